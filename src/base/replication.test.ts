/** Replication strings and their byte. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StoreError } from './errors.ts'
import { copyCount, formatReplication, parseReplication, replicaPlacement } from './replication.ts'

test('strings and bytes', () => {
  const cases: [text: string, byte: number, copies: number][] = [
    ['000', 0, 1],
    ['', 0, 1],
    ['0', 0, 1],
    ['001', 1, 2],
    ['1', 1, 2],
    ['10', 10, 2],
    ['010', 10, 2],
    ['100', 100, 2],
    ['200', 200, 3],
    ['110', 110, 3],
    ['255', 255, 13],
  ]
  for (const [text, byte, copies] of cases) {
    assert.equal(parseReplication(text), byte, text)
    assert.equal(copyCount(byte), copies, text)
    assert.equal(formatReplication(byte), text.padStart(3, '0'))
  }
  assert.deepEqual(replicaPlacement(213), { otherDataCenters: 2, otherRacks: 1, sameRack: 3 })
})

test('malformed ones', () => {
  assert.throws(() => parseReplication('999'), { message: 'unexpected replication type: 999' })
  assert.throws(() => parseReplication('256'), StoreError)
  for (const text of ['abc', '0000', '-1', '1x', ' 00', '00 ', '0.1']) {
    assert.throws(() => parseReplication(text), /unknown replication type/, text)
  }
})
