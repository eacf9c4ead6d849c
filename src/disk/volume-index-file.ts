/**
 * Loading a volume's `.idx` into its needle index: each block checked by the sidecar, a bad one rebuilt alone from the
 * part of `.dat` that it covers.
 */
import { crc32c } from '../base/checksum.ts'
import { StoreError } from '../base/errors.ts'
import { INDEX_BLOCK_BYTES } from '../base/limits.ts'
import type { Disk } from './disk.ts'
import { encodeIdxEntry, IDX_ENTRY_BYTES, IDX_SIZE_DELETED, type IdxEntry } from './idx-entry.ts'
import { type Checkpoint, ENTRIES_PER_BLOCK, type IndexSums } from './index-sums.ts'
import { EMPTY_RECORD_BYTES, recordLength } from './needle.ts'
import type { NeedleIndex } from './needle-index.ts'
import { RecordScanner } from './record-scanner.ts'
import { type VolumeSlot, WORD } from './volume-table.ts'

/** Counts what a load puts into an index, and stores it into the slot at the end: atomics for each entry would cost. */
export class IndexLoader {
  readonly #index: NeedleIndex
  #entries = 0
  #puts = 0
  #deletes = 0
  #liveUnits = 0
  #maxKeyHigh = 0
  #maxKeyLow = 0

  constructor(index: NeedleIndex) {
    this.#index = index
  }

  /** Files that the index now holds. */
  get liveCount(): number {
    return this.#puts - this.#deletes
  }

  get entries(): number {
    return this.#entries
  }

  add(keyHigh: number, keyLow: number, offsetUnits: number, sizeBytes: number): void {
    this.#entries++
    if (keyHigh === 0 && keyLow === 0) return // A filler.
    const deletes = sizeBytes === IDX_SIZE_DELETED
    const lengthUnits = deletes ? EMPTY_RECORD_BYTES / 8 : recordLength(sizeBytes) / 8
    if (keyHigh > this.#maxKeyHigh || (keyHigh === this.#maxKeyHigh && keyLow > this.#maxKeyLow)) {
      this.#maxKeyHigh = keyHigh
      this.#maxKeyLow = keyLow
    } else if (this.#index.get(keyHigh, keyLow) && !this.#index.deleted) {
      this.#deletes++
      this.#liveUnits -= this.#index.lengthUnits
    }
    if (!deletes) {
      this.#puts++
      this.#liveUnits += lengthUnits
    }
    this.#index.put(keyHigh, keyLow, offsetUnits, lengthUnits, deletes)
  }

  store(slot: VolumeSlot): void {
    slot.set(WORD.idxEntries, this.#entries)
    slot.set(WORD.putCount, this.#puts)
    slot.set(WORD.deleteCount, this.#deletes)
    slot.set(WORD.liveUnits, this.#liveUnits)
    slot.set(WORD.maxKeyHigh, this.#maxKeyHigh)
    slot.set(WORD.maxKeyLow, this.#maxKeyLow)
  }
}

export interface IdxFiles {
  disk: Disk
  idxHandle: number
  datHandle: number
  datEndBytes: number
  fileSalt: number
}

const READ_BYTES = 256 * INDEX_BLOCK_BYTES

/**
 * Loads the prefix of `.idx` that the sidecar covers. Returns the places at or behind the low water mark that are in it, and
 * how many blocks had to be rebuilt; undefined when that could not be done, and `.dat` must be scanned from its start.
 */
export function loadCoveredEntries(
  files: IdxFiles,
  sums: IndexSums,
  loader: IndexLoader,
): { recentOffsets: Set<number>; blocksRebuilt: number } | undefined {
  const last = sums.checkpoints.at(-1) as Checkpoint
  const endBytes = last.idxEntries * IDX_ENTRY_BYTES
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES)
  const badBlocks = findBadBlocks(files, sums, buffer)
  if (badBlocks.length > 0 && !rebuildBlocks(files, sums, badBlocks)) return undefined
  const recentOffsets = new Set<number>()
  for (let start = 0; start < endBytes; start += READ_BYTES) {
    const wanted = Math.min(READ_BYTES, endBytes - start)
    if (files.disk.readSync(files.idxHandle, buffer, 0, wanted, start) !== wanted) return undefined
    for (let at = 0; at < wanted; at += IDX_ENTRY_BYTES) {
      const offsetUnits = buffer.readUInt32BE(at + 8)
      loader.add(
        buffer.readUInt32BE(at),
        buffer.readUInt32BE(at + 4),
        offsetUnits,
        buffer.readUInt32BE(at + 12),
      )
      if (offsetUnits >= last.lowWaterUnits) recentOffsets.add(offsetUnits)
    }
  }
  return { recentOffsets, blocksRebuilt: badBlocks.length }
}

function findBadBlocks(files: IdxFiles, sums: IndexSums, buffer: Buffer): number[] {
  const bad: number[] = []
  const endBytes = (sums.checkpoints.at(-1) as Checkpoint).idxEntries * IDX_ENTRY_BYTES
  for (let start = 0; start < endBytes; start += READ_BYTES) {
    const wanted = Math.min(READ_BYTES, endBytes - start)
    const got = files.disk.readSync(files.idxHandle, buffer, 0, wanted, start)
    for (let at = 0; at < wanted; at += INDEX_BLOCK_BYTES) {
      const block = (start + at) / INDEX_BLOCK_BYTES
      const end = Math.min(at + INDEX_BLOCK_BYTES, wanted)
      if (end > got || crc32c(buffer.subarray(at, end)) !== sums.blockChecksums[block]) bad.push(block)
    }
  }
  return bad
}

/** Writes bad blocks anew from the records of `.dat`. False when the records do not fit into the gaps exactly. */
function rebuildBlocks(files: IdxFiles, sums: IndexSums, badBlocks: number[]): boolean {
  const covered = (sums.checkpoints.at(-1) as Checkpoint).idxEntries
  const missing: number[] = []
  for (const block of badBlocks) {
    const end = Math.min((block + 1) * ENTRIES_PER_BLOCK, covered)
    for (let entry = block * ENTRIES_PER_BLOCK; entry < end; entry++) missing.push(entry)
  }
  const first = missing[0] as number
  const behind = (missing.at(-1) as number) + 1
  const before = sums.checkpoints.findLast((checkpoint) => checkpoint.idxEntries <= first)
  const after = sums.checkpoints.find((checkpoint) => checkpoint.idxEntries >= behind) as Checkpoint
  const fromUnits = before?.lowWaterUnits ?? 1
  const known = goodOffsets(files, { badBlocks: new Set(badBlocks), covered, fromUnits })
  const found = collectEntries(files, fromUnits, after.tailUnits).filter(
    (entry) => !known.has(entry.offsetUnits),
  )
  if (found.length !== missing.length) return false
  const bytes = Buffer.alloc(IDX_ENTRY_BYTES)
  for (const [i, entry] of found.entries()) {
    encodeIdxEntry(entry, bytes)
    files.disk.writeSync(files.idxHandle, bytes, 0, IDX_ENTRY_BYTES, (missing[i] as number) * IDX_ENTRY_BYTES)
  }
  files.disk.fdatasyncSync(files.idxHandle)
  return findBadBlocks(files, sums, Buffer.allocUnsafeSlow(READ_BYTES)).length === 0
}

/** The places, from `fromUnits` on, that entries outside the bad blocks speak of. */
function goodOffsets(
  files: IdxFiles,
  range: { badBlocks: Set<number>; covered: number; fromUnits: number },
): Set<number> {
  const known = new Set<number>()
  const block = Buffer.allocUnsafeSlow(INDEX_BLOCK_BYTES)
  for (let number = 0; number * ENTRIES_PER_BLOCK < range.covered; number++) {
    if (range.badBlocks.has(number)) continue
    const count = Math.min(ENTRIES_PER_BLOCK, range.covered - number * ENTRIES_PER_BLOCK)
    files.disk.readSync(files.idxHandle, block, 0, count * IDX_ENTRY_BYTES, number * INDEX_BLOCK_BYTES)
    for (let at = 0; at < count * IDX_ENTRY_BYTES; at += IDX_ENTRY_BYTES) {
      const offsetUnits = block.readUInt32BE(at + 8)
      if (offsetUnits >= range.fromUnits) known.add(offsetUnits)
    }
  }
  return known
}

/** The index entries that the records between two places of `.dat` call for, in their order. */
function collectEntries(files: IdxFiles, fromUnits: number, toUnits: number): IdxEntry[] {
  const endBytes = Math.min(files.datEndBytes, toUnits * 8)
  const scanner = new RecordScanner(files.disk, {
    handle: files.datHandle,
    fileSalt: files.fileSalt,
    endBytes,
  })
  const entries: IdxEntry[] = []
  for (let at = fromUnits; at * 8 < endBytes; ) {
    const scanned = scanner.check(at)
    if (!scanned.ok) {
      const next = scanned.lengthBytes === undefined ? scanner.search(at + 1) : at + scanned.lengthBytes / 8
      if (next === undefined) break
      at = next
      continue
    }
    const { header, lengthBytes, kind } = scanned.record
    at += lengthBytes / 8
    if (kind === 'unknown')
      throw new StoreError('corrupt', 'a record of size 0 that only the index could explain')
    const deletes = kind === 'delete' || (kind === 'filler' && header.sizeBytes === 0)
    const sizeBytes = deletes ? IDX_SIZE_DELETED : header.sizeBytes
    entries.push({
      keyHigh: header.keyHigh,
      keyLow: header.keyLow,
      offsetUnits: scanned.record.offsetUnits,
      sizeBytes,
    })
  }
  return entries
}
