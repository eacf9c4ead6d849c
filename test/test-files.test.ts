/** What `npm test` counts: each test once, and no test is lost in silence. The real runner runs files made here. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

const RUNNER = join(import.meta.dirname, '..', 'script', 'test-files.ts')
const RUN_MS_MAX = 120_000
/** More than the socket between the two processes takes before the other one reads. */
const OUTPUT_BYTES = 8 << 20

const work = mkdtempSync(join(tmpdir(), 'cairn-test-files-'))
after(() => rmSync(work, { recursive: true }))

/** Runs a test file of this text; its output, and the counts `passed, failed, skipped`. */
function count(name: string, text: string) {
  const file = join(work, `${name}.test.mjs`)
  writeFileSync(file, `import { suite, test } from 'node:test'\n${text}`)
  const script = join(work, `${name}.mjs`)
  writeFileSync(
    script,
    `import { runTestFiles } from ${JSON.stringify(RUNNER)}
     const { passed, failed, skipped } = await runTestFiles([${JSON.stringify(file)}])
     console.log('counted', passed, failed, skipped)`,
  )
  // A test runner within a test runs nothing.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const { stdout, stderr } = spawnSync(process.execPath, [script], {
    env,
    encoding: 'utf8',
    maxBuffer: 4 * OUTPUT_BYTES,
    timeout: RUN_MS_MAX,
  })
  const counts = stdout.match(/^counted (\d+) (\d+) (\d+)\n$/m)
  assert.ok(counts !== null, stderr)
  return { stdout, counts: counts.slice(1).map(Number) }
}

test('each test counts once, and a server that a test leaves open holds up nobody', () => {
  const { counts } = count(
    'each',
    `import { createServer } from 'node:net'
     test('passes', () => { createServer().listen(0, '127.0.0.1') })
     suite('of a suite', () => { test('passes', () => {}); test('passes too', () => {}) })
     suite('skipped as a whole', { skip: true }, () => { test('one', () => {}); test('two', () => {}) })
     test('skipped', { skip: true }, () => {})
     test('to do', { todo: true }, () => {})
     test('fails', () => { throw new Error('as it should') })`,
  )
  assert.deepEqual(counts, [3, 1, 3])
})

test('what a process writes last is not lost when it is forced to exit', () => {
  const { stdout, counts } = count(
    'last',
    `test('passes', () => { setInterval(() => {}, 1000) })
     process.once('exit', () => process.stdout.write('.'.repeat(${OUTPUT_BYTES}) + 'the end'))`,
  )
  assert.ok(stdout.includes('.the end'))
  assert.deepEqual(counts, [1, 0, 0])
})

test('a process that ends well before all its reports are out is a failure', () => {
  const { stdout, counts } = count(
    'early',
    `test('first', () => {})
     test('ends', () => new Promise(() => setImmediate(() => process.exit(0))))
     test('last', () => {})`,
  )
  assert.match(stdout, /early\.test\.mjs: .*before all reports were out/)
  assert.equal(counts[1], 1)
})

test('a file without a test is named', () => {
  const { stdout, counts } = count('empty', '')
  assert.match(stdout, /empty\.test\.mjs: no test/)
  assert.deepEqual(counts, [0, 0, 0])
})

test('a file that throws, or that ends with a code, is one failure', () => {
  assert.deepEqual(count('throws', `throw new Error('as it should')`).counts, [0, 1, 0])
  assert.deepEqual(
    count('code', `test('passes', () => {})\nprocess.once('exit', () => { process.exitCode = 3 })`).counts,
    [1, 1, 0],
  )
})
