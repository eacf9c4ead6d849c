/** A bad block in an index of more entries than a Set or a Map can hold. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32c } from '../base/checksum.ts'
import type { Disk } from './disk.ts'
import { encodeIdxEntry, IDX_ENTRY_BYTES } from './idx-entry.ts'
import { ENTRIES_PER_BLOCK } from './index-sums.ts'
import { EMPTY_RECORD_BYTES, encodeDeleteMarker, recordSeed } from './needle.ts'
import { type IndexLoader, loadCoveredEntries } from './volume-index-file.ts'

const BLOCK_BYTES = ENTRIES_PER_BLOCK * IDX_ENTRY_BYTES
const BLOCKS = 2 ** 24 / ENTRIES_PER_BLOCK + 2
const ENTRIES = BLOCKS * ENTRIES_PER_BLOCK
const [IDX, DAT, SALT] = [1, 2, 9]
const UNITS_A_RECORD = EMPTY_RECORD_BYTES / 8

/** All blocks are alike but for the first, and speak of the same places, which costs less to make. */
function block(keyHigh: number): Buffer {
  const bytes = Buffer.alloc(BLOCK_BYTES)
  for (let i = 0; i < ENTRIES_PER_BLOCK; i++) {
    const offsetUnits = 1 + (keyHigh === 0 ? 0 : ENTRIES_PER_BLOCK * UNITS_A_RECORD) + i * UNITS_A_RECORD
    encodeIdxEntry({ keyHigh, keyLow: i + 1, offsetUnits, sizeBytes: 0xffffffff }, bytes, i * IDX_ENTRY_BYTES)
  }
  return bytes
}

/** Delete markers that the first block of the index speaks of. */
function datOf(): Buffer {
  const dat = Buffer.alloc(8 + ENTRIES_PER_BLOCK * EMPTY_RECORD_BYTES)
  for (let i = 0; i < ENTRIES_PER_BLOCK; i++) {
    const offsetUnits = 1 + i * UNITS_A_RECORD
    const seal = { seed: recordSeed(SALT, offsetUnits), appendNsHigh: 1, appendNsLow: i }
    const key = { keyHigh: 0, keyLow: i + 1, cookie: 1 }
    encodeDeleteMarker(key, seal, dat.subarray(offsetUnits * 8))
  }
  return dat
}

test('more than 2^24 entries, one bad block', () => {
  const [first, other, dat] = [block(0), block(1), datOf()]
  const present = Buffer.from(first)
  present[3]! ^= 1
  // Each entry behind the first block speaks of a place of its own.
  const place = 1 + ENTRIES_PER_BLOCK * UNITS_A_RECORD
  const places = (bytes: Buffer, at: number) => {
    for (let i = 0; i < ENTRIES_PER_BLOCK; i++)
      bytes.writeUInt32BE(place + (at / BLOCK_BYTES) * ENTRIES_PER_BLOCK + i, i * IDX_ENTRY_BYTES + 8)
  }
  const disk = {
    readSync(handle: number, into: Buffer, intoOffset: number, length: number, position: number): number {
      if (handle === DAT) return dat.copy(into, intoOffset, position, position + length)
      for (let at = 0; at < length; at += BLOCK_BYTES) {
        if (position + at > 0) places(other, position + at)
        const from = position + at === 0 ? present : other
        from.copy(into, intoOffset + at)
      }
      return length
    },
    writeSync(_handle: number, from: Buffer, fromOffset: number, length: number, position: number): void {
      from.copy(present, position, fromOffset, fromOffset + length)
    },
    fdatasyncSync(): void {},
  } as unknown as Disk
  const blockChecksums = [crc32c(first)]
  for (let number = 1; number < BLOCKS; number++) {
    places(other, number * BLOCK_BYTES)
    blockChecksums.push(crc32c(other))
  }
  const middle = 1 + ENTRIES_PER_BLOCK * UNITS_A_RECORD
  const endUnits = place + ENTRIES
  const checkpoints = [
    { idxEntries: ENTRIES_PER_BLOCK, lowWaterUnits: middle, tailUnits: middle },
    { idxEntries: ENTRIES, lowWaterUnits: endUnits, tailUnits: endUnits },
  ]
  let added = 0
  const loader = { add: () => void added++ } as unknown as IndexLoader
  const loaded = loadCoveredEntries(
    { disk, idxHandle: IDX, datHandle: DAT, datEndBytes: dat.length, fileSalt: SALT },
    { compactionRevision: 0, appendNsHigh: 1, appendNsLow: 0, checkpoints, blockChecksums },
    loader,
  )
  assert.equal(loaded?.blocksRebuilt, 1)
  assert.equal(added, ENTRIES)
  assert.ok(present.equals(first), 'the block is as it was')
})
