import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../base/clock.ts'
import { Histogram } from '../base/histogram.ts'
import { progressLine } from './progress.ts'
import { formatReport, type PhaseFigures, reportToJson } from './report.ts'

/** A table as users of such tools know it, spaces joined. */
const EXPECTED = `------------ Writing Benchmark ----------
Concurrency Level: 16
Time taken for tests: 278.368 seconds
Complete requests: 4
Failed requests: 480
Total transferred: 204800 bytes
Requests per second: 0.01 [#/sec]
Transfer rate: 0.72 [Kbytes/sec]
Connection Times (ms)
min avg max std
Total: 0.7 4671.7 18660.8 8076.6
Percentage of the requests served within a certain time (ms)
50% 8.4 ms
66% 16.9 ms
75% 16.9 ms
80% 18660.8 ms
90% 18660.8 ms
95% 18660.8 ms
98% 18660.8 ms
99% 18660.8 ms
100% 18660.8 ms`

function figures(): PhaseFigures {
  const times = new Histogram()
  for (const timeMs of [0.7, 8.4, 16.9, 18_660.8]) times.add(timeMs * 1_000)
  return {
    title: 'Writing Benchmark',
    concurrency: 16,
    elapsedMs: 278_368,
    completed: 4,
    failed: 480,
    deleted: 0,
    contentBytes: 204_800,
    times,
    failures: {},
  }
}

test('the table has the known lines in the known order', () => {
  const lines = formatReport(figures())
    .split('\n')
    .map((line) => line.trim().replace(/ +/g, ' '))
    .filter((line) => line !== '')
  const expected = EXPECTED.split('\n')
  // Percentiles are known to within a bucket; all other figures are exact.
  for (const [at, line] of expected.entries()) {
    const percentile = /^(\d+%) ([\d.]+) ms$/.exec(line)
    if (percentile === null) {
      assert.equal(lines[at], line)
      continue
    }
    const printed = /^(\d+%) ([\d.]+) ms$/.exec(lines[at]!)
    assert.equal(printed?.[1], percentile[1])
    assert.ok(Math.abs(Number(printed?.[2]) - Number(percentile[2])) <= Number(percentile[2]) / 100)
  }
  assert.equal(lines.length, expected.length)
})

test('failures are listed by kind', () => {
  const text = formatReport({ ...figures(), failures: { 'write: status 507': 480 } })
  assert.match(text, /\nFailures\n +480 {2}write: status 507\n$/)
})

test('JSON carries the same figures with their units', () => {
  const json = reportToJson(figures()) as { timesMs: { min: number }; percentilesMs: Record<string, number> }
  assert.equal(json.timesMs.min, 0.7)
  assert.equal(json.percentilesMs['100'], 18_660.8)
  assert.deepEqual(Object.keys(json.percentilesMs), ['50', '66', '75', '80', '90', '95', '98', '99', '100'])
})

test('a phase without requests prints zeros', () => {
  const empty = { ...figures(), completed: 0, contentBytes: 0, elapsedMs: 0, times: new Histogram() }
  assert.match(formatReport(empty), /Requests per second: +0\.00 /)
})

test('the progress line counts successes and failures', () => {
  const output = { write: () => undefined, isTerminal: true }
  const options = {
    output,
    clock: systemClock,
    label: 'writing',
    total: 1_000,
    state: () => ({ done: 240, failed: 10 }),
  }
  const line = progressLine(options, 1_000)
  assert.equal(line, 'writing [######..................]  25 %  250/1000  250/s  10 failed  3 s left')
  assert.match(progressLine({ ...options, total: 250 }, 1_000), /100 % {2}250\/250 {2}250\/s {2}10 failed$/)
})
