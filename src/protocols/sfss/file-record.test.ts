/** Files as values: what was encoded comes back, and no flipped bit goes unnoticed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StoreError } from '../../base/errors.ts'
import { compareVersions, decodeFileRecord, encodeFileRecord } from './file-record.ts'

const RECORD = {
  path: 'grüße/a.txt',
  version: 1_795_255_500_000_001,
  writer: 0xfffffffe,
  modifiedMs: 1_795_255_500_000,
  contentType: 'text/plain',
  data: Buffer.from('content'),
}

test('what was encoded comes back, empty files and removed ones too', () => {
  for (const data of [RECORD.data, Buffer.alloc(0), undefined]) {
    const record = { ...RECORD, data }
    assert.deepEqual(decodeFileRecord(encodeFileRecord(record), RECORD.path), record)
  }
  assert.ok(compareVersions(RECORD, { ...RECORD, version: RECORD.version - 1 }) > 0)
  assert.ok(compareVersions(RECORD, { ...RECORD, writer: 1 }) > 0)
})

test('a flipped bit, a cut and another path are found', () => {
  const isCorrupt = (error: unknown) => error instanceof StoreError && error.code === 'corrupt'
  const bytes = encodeFileRecord(RECORD)
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes)
    flipped[bit >> 3]! ^= 1 << (bit & 7)
    assert.throws(() => decodeFileRecord(flipped, RECORD.path), isCorrupt)
  }
  for (let end = 0; end < bytes.length; end++)
    assert.throws(() => decodeFileRecord(bytes.subarray(0, end), RECORD.path), isCorrupt)
  assert.throws(() => decodeFileRecord(bytes, 'other'), isCorrupt)
})
