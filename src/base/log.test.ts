/** The log's two line formats, its levels, and what becomes of errors. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StoreError } from './errors.ts'
import { createLog, type LogFormat, type LogLevel } from './log.ts'

function collect(format: LogFormat, level: LogLevel = 'debug') {
  const lines: string[] = []
  return { lines, log: createLog({ format, level, write: (line) => lines.push(line) }) }
}

test('a json line has level, time, message and the fields', () => {
  const { lines, log } = collect('json')
  log.with({ role: 'volume' }).warn({ volume: 7 }, 'it is full')
  assert.equal(lines.length, 1)
  assert.ok(lines[0]!.endsWith('\n'))
  const { time, ...rest } = JSON.parse(lines[0]!)
  assert.match(time, /^\d{4}-\d\d-\d\dT/)
  assert.deepEqual(rest, { level: 'warn', role: 'volume', volume: 7, message: 'it is full' })
})

test('an error keeps its code, message and cause', () => {
  const { lines, log } = collect('json')
  log.error({ error: new StoreError('io_error', 'read failed', { cause: new Error('EIO') }) }, 'a bad disk')
  const { error } = JSON.parse(lines[0]!)
  assert.equal(error.code, 'io_error')
  assert.match(error.message, /read failed.*EIO/)
  assert.match(error.stack, /log\.test\.ts/)
})

test('a pretty line is short, and quotes what has spaces', () => {
  const { lines, log } = collect('pretty')
  log.info({ port: 8080, dir: '/a b', list: [1] }, 'ready')
  assert.match(lines[0]!, /^\d\d:\d\d:\d\d\.\d{3} info {2}ready {2}port=8080 dir="\/a b" list=\[1\]\n$/)
})

test('lines below the level are dropped', () => {
  const { lines, log } = collect('json', 'warn')
  log.debug({}, 'a')
  log.info({}, 'b')
  log.error({}, 'c')
  assert.equal(lines.length, 1)
  const quiet = collect('json', 'silent')
  quiet.log.error({}, 'd')
  assert.deepEqual(quiet.lines, [])
})
