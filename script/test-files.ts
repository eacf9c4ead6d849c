/**
 * Runs test files, each in a process of its own, and counts their tests. No test is lost in silence: a file whose
 * reports are not complete counts as failed, and one that has no test is named.
 */
import { availableParallelism } from 'node:os'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { ROOT } from './checks.ts'

export interface Counts {
  passed: number
  failed: number
  skipped: number
}

/** For those that hang: a slow machine under load may need several times what others do. */
const TEST_MS_MAX = 300_000
const ALL_MS_MAX = 30 * 60_000
/** Some test files start servers with threads of their own: more files at once would only make them wait. */
const FILES_AT_ONCE_MAX = 4
/**
 * A process that is forced to exit loses what waits to be written, so nothing may wait: its standard output, where its
 * reports go, blocks until this process has taken them. A worker thread of a test has no such stream.
 */
const WRITE_AT_ONCE = 'data:text/javascript,process.stdout._handle?.setBlocking(true)'

/** Prints what the tests of the files say, whose paths are absolute. */
export async function runTestFiles(files: string[]): Promise<Counts> {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 }
  /** How many tests each file has reported that has not said yet that these are all. */
  const incomplete = new Map(files.map((file) => [file, 0]))
  const events = run({
    files,
    cwd: ROOT,
    concurrency: Math.min(FILES_AT_ONCE_MAX, Math.max(2, availableParallelism())),
    timeout: TEST_MS_MAX,
    signal: AbortSignal.timeout(ALL_MS_MAX),
    // A test that leaves a server or child behind must not hold up all others.
    execArgv: ['--test-force-exit', `--import=${WRITE_AT_ONCE}`],
    isolation: 'process',
  })
  /** Without an entry file it is the report of this process about a whole file, not that of one of its tests. */
  const noteTest = ({ entryFile, details }: { entryFile?: string; details: { type?: string } }) => {
    if (entryFile !== undefined && details.type !== 'suite')
      incomplete.set(entryFile, incomplete.get(entryFile)! + 1)
  }
  events.on('test:pass', (event) => {
    noteTest(event)
    // Of a suite that is skipped as a whole, its tests are not reported.
    if (event.skip !== undefined || event.todo !== undefined) counts.skipped++
    else if (event.entryFile !== undefined && event.details.type !== 'suite') counts.passed++
    if (event.entryFile !== undefined || incomplete.get(event.name) !== 0) return
    // There is no summary of none: what it needs is not here, as the volumes of another store.
    console.log(`${event.name}: no test`)
    incomplete.delete(event.name)
  })
  events.on('test:fail', (event) => {
    noteTest(event)
    if (event.todo !== undefined) counts.skipped++
    else counts.failed++
    if (event.entryFile === undefined) incomplete.delete(event.name)
  })
  events.on('test:summary', ({ file, counts: { tests } }) => {
    if (file !== undefined && incomplete.get(file) === tests) incomplete.delete(file)
  })
  const report = events.compose(new spec())
  for await (const text of report) process.stdout.write(text)
  for (const [file, tests] of incomplete) {
    console.log(`${file}: its process ended before all reports were out; ${tests} came`)
    counts.failed++
  }
  return counts
}
