/**
 * Loading a volume's `.idx` into its needle index: each block checked by the sidecar, a bad one rebuilt alone from the
 * part of `.dat` that it covers.
 */
import { crc32c } from '../base/checksum.ts'
import { INDEX_BLOCK_BYTES } from '../base/limits.ts'
import { isUnreadable, readAround } from './dead-sectors.ts'
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
/** With more bad blocks than this, 16 MiB of `.idx`, all of it is made anew. */
const REBUILT_BLOCKS_MAX = 4096

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
  if (badBlocks.length > REBUILT_BLOCKS_MAX) return undefined
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
    // What cannot be read is zeros, which do not match.
    const place = { handle: files.idxHandle, position: start }
    const got = readAround(files.disk, place, buffer.subarray(0, wanted), () => {})
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
  const range = { fromUnits: before?.lowWaterUnits ?? 1, toUnits: after.tailUnits }
  const known = goodPlaces(files, { ...range, badBlocks: new Set(badBlocks), covered })
  const found = collectEntries(files, range, { known, countMax: missing.length })
  if (found?.length !== missing.length) return false
  const bytes = Buffer.alloc(IDX_ENTRY_BYTES)
  try {
    for (const [i, entry] of found.entries()) {
      const position = (missing[i] as number) * IDX_ENTRY_BYTES
      encodeIdxEntry(entry, bytes)
      files.disk.writeSync(files.idxHandle, bytes, 0, IDX_ENTRY_BYTES, position)
    }
    files.disk.fdatasyncSync(files.idxHandle)
  } catch (error) {
    // A sector that takes no writes: a new file has others.
    if (isUnreadable(error)) return false
    throw error
  }
  return findBadBlocks(files, sums, Buffer.allocUnsafeSlow(READ_BYTES)).length === 0
}

interface PlaceRange {
  fromUnits: number
  toUnits: number
}

/** The places in a range of `.dat` that entries outside the bad blocks speak of, lowest first. */
function goodPlaces(
  files: IdxFiles,
  range: PlaceRange & { badBlocks: Set<number>; covered: number },
): Uint32Array {
  // Memory that is not written to is not taken.
  const places = new Uint32Array(range.covered)
  let count = 0
  const block = Buffer.allocUnsafeSlow(INDEX_BLOCK_BYTES)
  for (let number = 0; number * ENTRIES_PER_BLOCK < range.covered; number++) {
    if (range.badBlocks.has(number)) continue
    const entries = Math.min(ENTRIES_PER_BLOCK, range.covered - number * ENTRIES_PER_BLOCK)
    files.disk.readSync(files.idxHandle, block, 0, entries * IDX_ENTRY_BYTES, number * INDEX_BLOCK_BYTES)
    for (let at = 0; at < entries * IDX_ENTRY_BYTES; at += IDX_ENTRY_BYTES) {
      const offsetUnits = block.readUInt32BE(at + 8)
      if (offsetUnits >= range.fromUnits && offsetUnits < range.toUnits) places[count++] = offsetUnits
    }
  }
  return places.subarray(0, count).sort()
}

/**
 * The index entries that the records of a range of `.dat` call for, in their order, those of known places left out. Undefined
 * when there are too many, or one that only `.idx` could explain: of a record of size 0 that SeaweedFS wrote.
 */
function collectEntries(
  files: IdxFiles,
  { fromUnits, toUnits }: PlaceRange,
  { known, countMax }: { known: Uint32Array; countMax: number },
): IdxEntry[] | undefined {
  const endBytes = Math.min(files.datEndBytes, toUnits * 8)
  const scanner = new RecordScanner(files.disk, {
    handle: files.datHandle,
    fileSalt: files.fileSalt,
    endBytes,
  })
  const entries: IdxEntry[] = []
  let passed = 0
  for (let at = fromUnits; at * 8 < endBytes; ) {
    const scanned = scanner.check(at)
    if (!scanned.ok) {
      const next = scanned.lengthBytes === undefined ? scanner.search(at + 1) : at + scanned.lengthBytes / 8
      if (next === undefined) break
      at = next
      continue
    }
    const { header, lengthBytes, kind } = scanned.record
    while (passed < known.length && (known[passed] as number) < at) passed++
    const isKnown = known[passed] === at
    const offsetUnits = at
    at += lengthBytes / 8
    if (isKnown) continue
    if (kind === 'unknown' || entries.length === countMax) return undefined
    const deletes = kind === 'delete' || (kind === 'filler' && header.sizeBytes === 0)
    const sizeBytes = deletes ? IDX_SIZE_DELETED : header.sizeBytes
    entries.push({ keyHigh: header.keyHigh, keyLow: header.keyLow, offsetUnits, sizeBytes })
  }
  return entries
}
