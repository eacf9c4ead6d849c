/** Replication strings and their byte. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StoreError } from './errors.ts'
import { formatReplication, parseReplication, replicaPlacement } from './replication.ts'

test('strings and bytes', () => {
  const cases: [text: string, byte: number][] = [
    ['000', 0],
    ['', 0],
    ['0', 0],
    ['001', 1],
    ['1', 1],
    ['10', 10],
    ['010', 10],
    ['100', 100],
    ['200', 200],
    ['110', 110],
    ['255', 255],
  ]
  for (const [text, byte] of cases) {
    assert.equal(parseReplication(text), byte, text)
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
