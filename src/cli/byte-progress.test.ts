import assert from 'node:assert/strict'
import { test } from 'node:test'
import { byteProgressLine } from './byte-progress.ts'

const MIB = 1024 * 1024

test('the bar of bytes: share, rate, and time that is left', () => {
  const line = (done: number, total: number, elapsedMs: number) =>
    byteProgressLine({ label: 'uploading', totalBytes: total * MIB, doneBytes: () => done * MIB }, elapsedMs)
  const bar = (cells: number) => `[${'#'.repeat(cells)}${'.'.repeat(24 - cells)}]`
  assert.equal(line(0, 1_000, 0), `uploading ${bar(0)}  0 %  0/1000 MiB  0 MiB/s`)
  assert.equal(line(250, 1_000, 2_500), `uploading ${bar(6)}  25 %  250/1000 MiB  100 MiB/s  8 s left`)
  assert.equal(line(1_000, 1_000, 10_000), `uploading ${bar(24)}  100 %  1000/1000 MiB  100 MiB/s`)
  // A file that grew meanwhile does not make it longer.
  assert.equal(line(1_200, 1_000, 10_000), `uploading ${bar(24)}  100 %  1000/1000 MiB  100 MiB/s`)
  assert.equal(line(0, 0, 1), `uploading ${bar(24)}  100 %  0/0 MiB  0 MiB/s`)
})
