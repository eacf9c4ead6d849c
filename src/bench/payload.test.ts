import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatFid, parseFid } from '../base/fid.ts'
import { FidTable } from './fid-table.ts'
import { Payload } from './payload.ts'

test('content is recognized by its id, and by every byte', () => {
  const [fid, other] = [parseFid('3,01637037d6'), parseFid('3,02637037d6')]
  for (const sizeBytes of [1, 7, 16, 17, 1024, 3_000_000]) {
    const payload = new Payload(sizeBytes)
    const content = Buffer.alloc(sizeBytes + 5)
    payload.copyTo(content, 5)
    payload.stamp(content, 5, fid)
    const read = content.subarray(5)
    assert.ok(payload.matches(read, fid))
    if (sizeBytes >= 4) assert.ok(!payload.matches(read, other))
    assert.ok(!payload.matches(read.subarray(0, -1), fid))
    for (const at of [0, sizeBytes >> 1, sizeBytes - 1]) {
      read[at]! ^= 1
      assert.ok(!payload.matches(read, fid), `byte ${at} of ${sizeBytes}`)
      read[at]! ^= 1
    }
    assert.ok(payload.matches(read, fid))
  }
})

test('a table of ids keeps what was put in, and drops the empty places', () => {
  const texts = ['3,01637037d6', '4294967295,ffffffffffffffff00000000', '7,8000000001ffffffff']
  const table = FidTable.ofSize(6)
  for (const [at, text] of texts.entries()) table.set(at * 2, parseFid(text))
  assert.deepEqual([...table.texts()], texts)
  const compacted = new FidTable(table.compacted().shared)
  assert.equal(compacted.length, 3)
  assert.equal(formatFid(compacted.get(1)), texts[1])
  assert.deepEqual([...FidTable.fromTexts(texts).texts()], texts)
})
