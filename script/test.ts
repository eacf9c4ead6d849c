/**
 * `npm test [-- PATTERN...]`: types, format and lint, then every `*.test.ts` under `src` and `test`.
 * A pattern narrows to the test files whose path contains it, and then skips the checks. The last line is
 * `N passed, N failed, N skipped`; under CI a skipped test counts as failed.
 */
import { existsSync, globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { check, ROOT } from './checks.ts'
import { ensureClients } from './clients.ts'
import { ensurePackages, TEST_PACKAGES } from './packages.ts'

/** For those that hang: a slow machine under load may need several times what others do. */
const TEST_MS_MAX = 300_000
const ALL_MS_MAX = 30 * 60_000
/** Some test files start servers with threads of their own: more files at once would only make them wait. */
const FILES_AT_ONCE_MAX = 4

interface Counts {
  passed: number
  failed: number
  skipped: number
}

const patterns = process.argv.slice(2).filter((word) => word !== '--')
const strict = process.env.CI === 'true' || process.env.CI === '1'
const files = globSync(['src/**/*.test.ts', 'test/**/*.test.ts'], { cwd: ROOT })
  .filter((file) => !file.startsWith('test/long/'))
  .filter((file) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern)))
  .sort()

process.exitCode = await main()

async function main(): Promise<number> {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 }
  if (files.length === 0) {
    console.log(`no test file matches ${patterns.join(' ')}`)
    counts.failed++
  } else {
    const missing = ensurePackages(TEST_PACKAGES)
    if (missing.length > 0)
      console.log(`not installed: ${missing.join(', ')}; tests that need them are skipped`)
    if (files.some((file) => file.startsWith('test/clients/'))) await ensureClients()
    if (patterns.length === 0) {
      if (check({ fix: false })) counts.passed++
      else counts.failed++
    }
    await runFiles(counts)
  }
  // A line of its own, whatever came before it.
  console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
  return counts.failed > 0 || (strict && counts.skipped > 0) ? 1 : 0
}

/** Runs the files, each in a process of its own, and counts the tests that hold no others. */
async function runFiles(counts: Counts): Promise<void> {
  const events = run({
    files,
    cwd: ROOT,
    concurrency: Math.min(FILES_AT_ONCE_MAX, Math.max(2, availableParallelism())),
    timeout: TEST_MS_MAX,
    signal: AbortSignal.timeout(ALL_MS_MAX),
    // A test that leaves a server or child behind must not hold up all others.
    execArgv: ['--test-force-exit'],
    isolation: 'process',
  })
  const isFile = (name: string) => existsSync(name) || files.includes(name)
  events.on('test:pass', (event) => {
    // Of a suite that is skipped as a whole, its tests are not reported.
    if (event.skip !== undefined || event.todo !== undefined) counts.skipped++
    else if (event.details.type === 'suite') return
    else if (!isFile(event.name)) counts.passed++
  })
  events.on('test:fail', (event) => {
    if (event.todo !== undefined) counts.skipped++
    else counts.failed++
  })
  const report = events.compose(new spec())
  for await (const text of report) process.stdout.write(text)
}
