/**
 * Opens the files of a volume into a slot of the shared table, and heals them: the index is a cache of `.dat` and rebuilt
 * where it is behind, a torn tail is cut off, a hole is covered by a filler. Opens SeaweedFS's volumes as well.
 */
import { AssertionFailure } from '../base/assert.ts'
import { StoreError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import { appendTimeToMs, isLater } from './append-time.ts'
import { writeCheckpoint } from './checkpoint.ts'
import { readFileWhole, replaceFileDurably } from './disk.ts'
import { finishCompaction } from './finish-compaction.ts'
import { fillHole } from './hole.ts'
import {
  decodeIdxEntry,
  encodeIdxEntry,
  IDX_ENTRY_BYTES,
  IDX_SIZE_DELETED,
  type IdxEntry,
} from './idx-entry.ts'
import { decodeSums, type IndexSums } from './index-sums.ts'
import { mendSuperBlock } from './mend-super-block.ts'
import * as codec from './needle.ts'
import { NeedleIndex } from './needle-index.ts'
import { RecordScanner, type ScannedRecord } from './record-scanner.ts'
import { decodeSuperBlock, SUPER_BLOCK_BYTES, type SuperBlock } from './super-block.ts'
import type { ThreadContext } from './thread-context.ts'
import { IndexLoader, loadCoveredEntries } from './volume-index-file.ts'
import { decodeVolumeInfo, encodeVolumeInfo, isClosedForWrites, type VolumeInfoFile } from './volume-info.ts'
import { EXTENSION, volumeBaseName } from './volume-paths.ts'
import { saltFromRecords } from './volume-salt.ts'
import { FLAG, STATE, type VolumeSlot, WORD } from './volume-table.ts'

/** SeaweedFS's clock may have been ahead of ours by so much. */
const FOREIGN_CLOCK_AHEAD_MS_MAX = 24 * 3600 * 1000

const FIRST_RECORD_UNITS = SUPER_BLOCK_BYTES / 8

export interface OpenOptions {
  /** Number of the data directory in the thread context. */
  directory: number
  collection: string
  volumeId: number
  sizeLimitBytes: number
  random: Random
}

/** What opening found and did. */
export interface OpenReport {
  /** Written by SeaweedFS, opened by Cairn for the first time. */
  foreign: boolean
  /** No sidecar to rely on: all of `.dat` was read. */
  fullScan: boolean
  recordsScanned: number
  recordsRecovered: number
  /** Records that are in the index though damaged: reads of them say so. */
  recordsDamaged: number
  indexBlocksRebuilt: number
  bytesTruncated: number
  holesFilled: number
  /** A sync failed before: the volume is read only until a compaction has written it anew. */
  suspect: boolean
}

export interface OpenedVolume {
  slot: VolumeSlot
  sums: IndexSums
  /** What `.cairn` says now. */
  info: VolumeInfoFile
  report: OpenReport
}

/**
 * Throws `unsupported` (a version or offset size that Cairn does not read), `corrupt` (not a volume), `io_error`,
 * `index_full`. The slot is given back when it throws.
 */
export function openVolume(context: ThreadContext, options: OpenOptions): OpenedVolume {
  const slot = context.table.take()
  const opening = new VolumeOpening(context, slot, options)
  try {
    return opening.run()
  } catch (error) {
    opening.giveUp(error)
    throw error
  }
}

class VolumeOpening {
  readonly #context: ThreadContext
  readonly #slot: VolumeSlot
  readonly #options: OpenOptions
  readonly #directory: string
  readonly #base: string
  readonly #index: NeedleIndex
  #loader: IndexLoader
  readonly #report: OpenReport = {
    foreign: false,
    fullScan: false,
    recordsScanned: 0,
    recordsRecovered: 0,
    recordsDamaged: 0,
    indexBlocksRebuilt: 0,
    bytesTruncated: 0,
    holesFilled: 0,
    suspect: false,
  }
  #dat = -1
  #idx = -1
  /** Entries that `.idx` held when it was opened, whole ones. */
  #idxEntriesFound = 0
  /** Entries of `.idx` from the first place that was asked for on: place → size field. */
  #idxSizes: Map<number, number> | undefined
  readonly #added = new EntryBuffer()

  constructor(context: ThreadContext, slot: VolumeSlot, options: OpenOptions) {
    this.#context = context
    this.#slot = slot
    this.#options = options
    this.#directory = context.directories[options.directory] as string
    this.#base = volumeBaseName(options.collection, options.volumeId)
    this.#index = new NeedleIndex(context.arena, slot.indexWords)
    this.#loader = new IndexLoader(this.#index)
  }

  run(): OpenedVolume {
    const { disk } = this.#context
    this.#refuseWideOffsets()
    this.#dat = disk.open(this.#path(EXTENSION.dat), 'r+')
    const found = this.#readSuperBlock()
    const superBlock = mendSuperBlock(disk, this.#dat, this.#path(EXTENSION.cairn), found)
    finishCompaction(disk, this.#directory, this.#base, superBlock.compactionRevision)
    this.#idx = disk.open(this.#path(EXTENSION.idx), disk.stat(this.#path(EXTENSION.idx)) ? 'r+' : 'w+')
    this.#idxEntriesFound = Math.floor(disk.sizeSync(this.#idx) / IDX_ENTRY_BYTES)
    const info = this.#readInfo(superBlock)
    this.#fillSlot(superBlock, info)
    this.#load(superBlock)
    this.#loader.store(this.#slot)
    this.#report.suspect = info.suspect
    if (isClosedForWrites(info)) this.#slot.setFlag(FLAG.readOnly)
    if (info.filling) this.#slot.setFlag(FLAG.filling)
    const kept = this.#keepInfo(info)
    const sums = this.#checkpoint(superBlock)
    this.#slot.set(WORD.state, STATE.active)
    this.#context.table.bumpVersion()
    return { slot: this.#slot, sums, info: kept, report: this.#report }
  }

  /** After a bug, which may have left the index half changed, the slot and its pages are not used again. */
  giveUp(error: unknown): void {
    for (const handle of [this.#dat, this.#idx]) if (handle !== -1) this.#context.disk.close(handle)
    if (error instanceof AssertionFailure) return
    this.#index.clear()
    this.#slot.set(WORD.state, STATE.free)
  }

  #path(extension: string): string {
    return `${this.#directory}/${this.#base}${extension}`
  }

  #refuseWideOffsets(): void {
    const vif = readFileWhole(this.#context.disk, this.#path('.vif'))
    const width = /"bytesOffset":\s*(\d+)/.exec(vif?.toString('latin1') ?? '')?.[1]
    if (width === undefined || width === '4' || width === '0') return
    throw new StoreError(
      'unsupported',
      `${this.#path('.vif')}: a volume with ${width}-byte offsets, only 4 are read`,
    )
  }

  #readSuperBlock(): SuperBlock {
    const bytes = Buffer.alloc(SUPER_BLOCK_BYTES)
    const count = this.#context.disk.readSync(this.#dat, bytes, 0, SUPER_BLOCK_BYTES, 0)
    return decodeSuperBlock(bytes.subarray(0, count), this.#path(EXTENSION.dat))
  }

  /**
   * The `.cairn` file; with the salt that the records tell, where it is missing or damaged. When it speaks of another
   * `.dat`, either a compaction of ours was cut off, and then the sidecar is the new one, or SeaweedFS compacted the volume.
   */
  #readInfo(superBlock: SuperBlock): VolumeInfoFile {
    const bytes = readFileWhole(this.#context.disk, this.#path(EXTENSION.cairn))
    const read = bytes === undefined ? undefined : decodeVolumeInfo(bytes)
    const { compactionRevision, ttl } = superBlock
    if (read?.compactionRevision === compactionRevision) return read
    const isOurs = this.#readSums(superBlock) !== undefined
    const salt = read?.salt ?? saltFromRecords(this.#context.disk, this.#dat, compactionRevision)
    this.#report.foreign = !isOurs && (read !== undefined || salt === undefined)
    return {
      salt: salt ?? this.#options.random.u32(),
      redundancy: read?.redundancy ?? 'copies-1',
      ttl: read?.ttl ?? ttl,
      compactionRevision,
      foreignUnits: 0,
      suspect: read?.suspect ?? false,
      ...(read?.readOnly ? { readOnly: true } : {}),
      ...(read?.moving ? { moving: true } : {}),
      ...(read?.filling ? { filling: true } : {}),
    }
  }

  /** The sidecar, when it is whole and belongs to the present `.dat`. */
  #readSums(superBlock: SuperBlock): IndexSums | undefined {
    const bytes = readFileWhole(this.#context.disk, this.#path(EXTENSION.sums))
    const sums = bytes === undefined ? undefined : decodeSums(bytes)
    return sums?.compactionRevision === superBlock.compactionRevision ? sums : undefined
  }

  /** Writes `.cairn` when opening learned something that it does not say yet. */
  #keepInfo(info: VolumeInfoFile): VolumeInfoFile {
    const kept = { ...info, foreignUnits: this.#slot.get(WORD.foreignUnits) }
    const known = encodeVolumeInfo(kept)
    const bytes = readFileWhole(this.#context.disk, this.#path(EXTENSION.cairn))
    if (bytes?.equals(known)) return kept
    replaceFileDurably(this.#context.disk, this.#directory, `${this.#base}${EXTENSION.cairn}`, known)
    return kept
  }

  #fillSlot(superBlock: SuperBlock, info: VolumeInfoFile): void {
    const slot = this.#slot
    slot.set(WORD.volumeId, this.#options.volumeId)
    slot.set(WORD.directory, this.#options.directory)
    slot.set(WORD.datHandle, this.#dat)
    slot.set(WORD.idxHandle, this.#idx)
    slot.set(WORD.fileSalt, codec.revisionSalt(info.salt, superBlock.compactionRevision))
    slot.set(WORD.foreignUnits, info.foreignUnits)
    slot.set(WORD.ttl, info.ttl)
    slot.set(WORD.replicaPlacement, superBlock.replicaPlacement)
    slot.set(WORD.compactionRevision, superBlock.compactionRevision)
    slot.set(WORD.sizeLimitUnits, Math.min(Math.floor(this.#options.sizeLimitBytes / 8), 0xffffffff))
    slot.set(
      WORD.modifiedS,
      Math.floor((this.#context.disk.stat(this.#path(EXTENSION.dat))?.modifiedMs ?? 0) / 1000),
    )
    slot.collection = this.#options.collection
  }

  #load(superBlock: SuperBlock): void {
    const sums = this.#readSums(superBlock)
    if (sums !== undefined && this.#loadCovered(sums)) return
    if (this.#report.foreign && this.#idxEntriesFound > 0) return this.#loadForeign()
    this.#report.fullScan = true
    this.#index.clear()
    this.#loader = new IndexLoader(this.#index)
    this.#scan(FIRST_RECORD_UNITS, new Set())
  }

  #loadCovered(sums: IndexSums): boolean {
    const last = sums.checkpoints.at(-1)
    if (last === undefined || last.lowWaterUnits * 8 > this.#datEndBytes()) return false
    const loaded = loadCoveredEntries(
      {
        disk: this.#context.disk,
        idxHandle: this.#idx,
        datHandle: this.#dat,
        datEndBytes: this.#datEndBytes(),
        fileSalt: this.#slot.get(WORD.fileSalt),
      },
      sums,
      this.#loader,
    )
    if (loaded === undefined) return false
    this.#slot.set(WORD.appendNsHigh, sums.appendNsHigh)
    this.#slot.set(WORD.appendNsLow, sums.appendNsLow)
    this.#report.indexBlocksRebuilt = loaded.blocksRebuilt
    this.#scan(last.lowWaterUnits, loaded.recentOffsets)
    return true
  }

  /** SeaweedFS's `.idx` is taken as it is: only it knows which records of size 0 are deletions. */
  #loadForeign(): void {
    const datEndUnits = this.#datEndBytes() / 8
    const bytes = Buffer.alloc(this.#idxEntriesFound * IDX_ENTRY_BYTES)
    this.#context.disk.readSync(this.#idx, bytes, 0, bytes.length, 0)
    let endUnits = FIRST_RECORD_UNITS
    let lastUnits = 0
    for (let at = 0; at < bytes.length; at += IDX_ENTRY_BYTES) {
      const entry = decodeIdxEntry(bytes, at)
      const deleted = entry.sizeBytes === IDX_SIZE_DELETED
      const lengthUnits = codec.recordLength(deleted ? 0 : entry.sizeBytes) / 8
      const fits = entry.offsetUnits === 0 ? deleted : entry.offsetUnits + lengthUnits <= datEndUnits
      if (!fits) {
        this.#report.recordsDamaged++
        continue
      }
      this.#addEntry(entry)
      if (entry.offsetUnits >= lastUnits && entry.offsetUnits !== 0) {
        lastUnits = entry.offsetUnits
        endUnits = lastUnits + lengthUnits
      }
    }
    if (lastUnits > 0) this.#noteTimeOf(lastUnits)
    this.#slot.set(WORD.foreignUnits, endUnits)
    this.#scan(endUnits, new Set())
  }

  #noteTimeOf(offsetUnits: number): void {
    const time = this.#timeAt(offsetUnits)
    if (appendTimeToMs(time) > this.#context.clock.nowMs() + FOREIGN_CLOCK_AHEAD_MS_MAX) return
    this.#slot.set(WORD.appendNsHigh, time.high)
    this.#slot.set(WORD.appendNsLow, time.low)
  }

  #timeAt(offsetUnits: number): { high: number; low: number } {
    const { disk } = this.#context
    const bytes = Buffer.alloc(codec.HEADER_BYTES)
    disk.readSync(this.#dat, bytes, 0, codec.HEADER_BYTES, offsetUnits * 8)
    const tailAt = offsetUnits * 8 + codec.HEADER_BYTES + bytes.readUInt32BE(12)
    disk.readSync(this.#dat, bytes, 0, codec.TAIL_BYTES, tailAt)
    return { high: bytes.readUInt32BE(4), low: bytes.readUInt32BE(8) }
  }

  #datEndBytes(): number {
    const sizeBytes = this.#context.disk.sizeSync(this.#dat)
    return sizeBytes - (sizeBytes % 8)
  }

  /** Reads the records from a place to the end, indexes what the index lacks, heals what is damaged, and sets the tail. */
  #scan(fromUnits: number, known: Set<number>): void {
    const endBytes = this.#datEndBytes()
    const file = { handle: this.#dat, fileSalt: this.#slot.get(WORD.fileSalt), endBytes }
    const scanner = new RecordScanner(this.#context.disk, file)
    const holes: { offsetUnits: number; lengthBytes: number }[] = []
    let goodEnd = fromUnits
    for (let at = fromUnits; at * 8 < endBytes; ) {
      const scanned = scanner.check(at)
      this.#report.recordsScanned++
      if (scanned.ok && (known.has(at) || this.#recover(scanned.record))) {
        at += scanned.record.lengthBytes / 8
        goodEnd = at
        continue
      }
      const kept = !scanned.ok && this.#report.fullScan ? this.#keepDamaged(at) : undefined
      if (kept !== undefined) {
        at += kept
        goodEnd = at
        continue
      }
      const lengthBytes = scanned.ok ? scanned.record.lengthBytes : scanned.lengthBytes
      const next = lengthBytes === undefined ? scanner.search(at + 1) : at + lengthBytes / 8
      if (next === undefined) break
      const previous = holes.at(-1)
      if (previous !== undefined && previous.offsetUnits * 8 + previous.lengthBytes === at * 8) {
        previous.lengthBytes += (next - at) * 8
      } else holes.push({ offsetUnits: at, lengthBytes: (next - at) * 8 })
      at = next
    }
    this.#heal(
      holes.filter((hole) => hole.offsetUnits < goodEnd),
      goodEnd,
    )
    this.#slot.set(WORD.tailUnits, goodEnd)
  }

  /**
   * With no sidecar to tell what was synced, a damaged record that `.idx` knows was once whole: it stays in the index, so
   * that reads of it say "damaged" and not "missing". Returns its length in units.
   */
  #keepDamaged(offsetUnits: number): number | undefined {
    const entry = this.#findIdxEntry(offsetUnits)
    if (entry === undefined) return undefined
    const lengthUnits = codec.recordLength(entry.sizeBytes === IDX_SIZE_DELETED ? 0 : entry.sizeBytes) / 8
    if (offsetUnits + lengthUnits > this.#datEndBytes() / 8) return undefined
    this.#report.recordsDamaged++
    this.#addEntry(entry)
    return lengthUnits
  }

  #findIdxEntry(offsetUnits: number): IdxEntry | undefined {
    const block = Buffer.allocUnsafe(64 * 1024)
    for (let entry = 0; entry < this.#idxEntriesFound; entry += block.length / IDX_ENTRY_BYTES) {
      const count = this.#context.disk.readSync(this.#idx, block, 0, block.length, entry * IDX_ENTRY_BYTES)
      for (let at = 0; at + IDX_ENTRY_BYTES <= count; at += IDX_ENTRY_BYTES) {
        if (block.readUInt32BE(at + 8) === offsetUnits) return decodeIdxEntry(block, at)
      }
    }
    return undefined
  }

  /** Puts a scanned record into the index. False when it does not count: a later one of its key is there. */
  #recover(record: ScannedRecord): boolean {
    const { keyHigh, keyLow } = record.header
    if (record.kind === 'filler') {
      const sizeBytes = record.header.sizeBytes === 0 ? IDX_SIZE_DELETED : record.header.sizeBytes
      this.#addEntry({ keyHigh, keyLow, offsetUnits: record.offsetUnits, sizeBytes })
      return true
    }
    if (!record.hasTrailer && !this.#isForeign(record)) return false
    const known = this.#index.get(keyHigh, keyLow)
    if (known && !this.#isLatest(record)) return false
    const deletes =
      record.kind === 'delete' || (record.kind === 'unknown' && this.#isForeignDelete(record, known))
    const sizeBytes = deletes ? IDX_SIZE_DELETED : record.header.sizeBytes
    this.#noteTime(record)
    this.#addEntry({ keyHigh, keyLow, offsetUnits: record.offsetUnits, sizeBytes })
    if (!record.hasTrailer) this.#noteForeign(record)
    this.#report.recordsRecovered++
    return true
  }

  /** Whether the record is later than the one of its key that the index has just found. */
  #isLatest(record: ScannedRecord): boolean {
    const { appendNsHigh, appendNsLow } = record
    if (
      isLater(appendNsHigh, appendNsLow, this.#slot.get(WORD.appendNsHigh), this.#slot.get(WORD.appendNsLow))
    )
      return true
    if (this.#index.offsetUnits === 0) return true
    const present = this.#timeAt(this.#index.offsetUnits)
    return isLater(appendNsHigh, appendNsLow, present.high, present.low)
  }

  /** SeaweedFS has written to the volume: up to here, records need no trailer. */
  #noteForeign(record: ScannedRecord): void {
    const end = record.offsetUnits + record.lengthBytes / 8
    if (end > this.#slot.get(WORD.foreignUnits)) this.#slot.set(WORD.foreignUnits, end)
  }

  /** The volume's clock follows what it wrote itself, and others only as far as they can be believed. */
  #noteTime(record: ScannedRecord): void {
    const { appendNsHigh, appendNsLow } = record
    const ms = appendTimeToMs({ high: appendNsHigh, low: appendNsLow })
    if (!record.hasTrailer && ms > this.#context.clock.nowMs() + FOREIGN_CLOCK_AHEAD_MS_MAX) return
    if (
      !isLater(appendNsHigh, appendNsLow, this.#slot.get(WORD.appendNsHigh), this.#slot.get(WORD.appendNsLow))
    )
      return
    this.#slot.set(WORD.appendNsHigh, appendNsHigh)
    this.#slot.set(WORD.appendNsLow, appendNsLow)
  }

  /**
   * Whether a record without trailer is SeaweedFS's: where its records are known to be, or where `.idx` has an entry for it,
   * which SeaweedFS wrote after the record. Else it is what a crash left of a record of ours.
   */
  #isForeign(record: ScannedRecord): boolean {
    if (record.offsetUnits < this.#slot.get(WORD.foreignUnits) || this.#idxEntriesFound === 0) return true
    const sizeBytes = this.#idxSizeAt(record.offsetUnits)
    // Its empty files have the checksum 0; with another one the file could not be read.
    if (sizeBytes === 0 && this.#checksumOfEmpty(record.offsetUnits) !== 0) return false
    return sizeBytes !== undefined
  }

  #checksumOfEmpty(offsetUnits: number): number {
    const bytes = Buffer.alloc(4)
    this.#context.disk.readSync(this.#dat, bytes, 0, bytes.length, offsetUnits * 8 + codec.HEADER_BYTES)
    return bytes.readUInt32BE(0)
  }

  /** A record of size 0 that SeaweedFS wrote: `.idx` decides; without its entry, a key that lives is being deleted. */
  #isForeignDelete(record: ScannedRecord, known: boolean): boolean {
    const sizeBytes = this.#idxSizeAt(record.offsetUnits)
    // With any other size the entry is damaged.
    return sizeBytes === 0 ? false : sizeBytes === IDX_SIZE_DELETED || known
  }

  /** What `.idx` says of a place. Places are asked for in their order. */
  #idxSizeAt(offsetUnits: number): number | undefined {
    this.#idxSizes ??= this.#readIdxSizes(offsetUnits)
    return this.#idxSizes.get(offsetUnits)
  }

  #readIdxSizes(fromUnits: number): Map<number, number> {
    const sizes = new Map<number, number>()
    const block = Buffer.allocUnsafe(64 * 1024)
    for (let entry = 0; entry < this.#idxEntriesFound; entry += block.length / IDX_ENTRY_BYTES) {
      const count = this.#context.disk.readSync(this.#idx, block, 0, block.length, entry * IDX_ENTRY_BYTES)
      for (let at = 0; at + IDX_ENTRY_BYTES <= count; at += IDX_ENTRY_BYTES) {
        const units = block.readUInt32BE(at + 8)
        if (units >= fromUnits) sizes.set(units, block.readUInt32BE(at + 12))
      }
    }
    return sizes
  }

  /** Into the index, and into the `.idx` that will be written. */
  #addEntry(entry: IdxEntry): void {
    this.#loader.add(entry.keyHigh, entry.keyLow, entry.offsetUnits, entry.sizeBytes)
    this.#added.add(entry)
  }

  #heal(holes: { offsetUnits: number; lengthBytes: number }[], goodEnd: number): void {
    const { disk } = this.#context
    const surplus = disk.sizeSync(this.#dat) - goodEnd * 8
    if (surplus > 0) disk.truncateSync(this.#dat, goodEnd * 8)
    this.#report.bytesTruncated = Math.max(0, surplus)
    const time = { high: this.#slot.get(WORD.appendNsHigh), low: this.#slot.get(WORD.appendNsLow) }
    for (const hole of holes) {
      if (hole.lengthBytes < codec.EMPTY_RECORD_BYTES) {
        this.#slot.setFlag(FLAG.readOnly)
        continue
      }
      const place = { ...hole, datHandle: this.#dat, fileSalt: this.#slot.get(WORD.fileSalt), time }
      for (const filler of fillHole(disk, place)) this.#addEntry(filler)
      this.#report.holesFilled++
    }
  }

  /** Writes what `.idx` lacks, syncs all, and notes it in the sidecar. */
  #checkpoint(superBlock: SuperBlock): IndexSums {
    const { disk } = this.#context
    const coveredBytes = (this.#loader.entries - this.#added.count) * IDX_ENTRY_BYTES
    if (coveredBytes === 0) this.#replaceIdx()
    else {
      if (disk.sizeSync(this.#idx) > coveredBytes) disk.truncateSync(this.#idx, coveredBytes)
      const bytes = this.#added.bytes()
      if (bytes.length > 0) disk.writeSync(this.#idx, bytes, 0, bytes.length, coveredBytes)
    }
    disk.fdatasyncSync(this.#dat)
    disk.fdatasyncSync(this.#idx)
    return writeCheckpoint(
      disk,
      { directory: this.#directory, base: this.#base, idxHandle: this.#idx },
      {
        compactionRevision: superBlock.compactionRevision,
        appendNsHigh: this.#slot.get(WORD.appendNsHigh),
        appendNsLow: this.#slot.get(WORD.appendNsLow),
        checkpoint: {
          idxEntries: this.#loader.entries,
          lowWaterUnits: this.#slot.get(WORD.tailUnits),
          tailUnits: this.#slot.get(WORD.tailUnits),
        },
        previous: undefined,
      },
    )
  }

  /** Made anew, `.idx` is replaced in one step: until then the old one may be all that explains SeaweedFS's records. */
  #replaceIdx(): void {
    const { disk } = this.#context
    if (this.#added.count === 0 && disk.sizeSync(this.#idx) === 0) return
    replaceFileDurably(disk, this.#directory, `${this.#base}${EXTENSION.idx}`, this.#added.bytes())
    disk.close(this.#idx)
    this.#idx = -1
    this.#idx = disk.open(this.#path(EXTENSION.idx), 'r+')
    this.#slot.set(WORD.idxHandle, this.#idx)
  }
}

/** Index entries in their file form, millions if need be. */
class EntryBuffer {
  readonly #full: Buffer[] = []
  #current = Buffer.allocUnsafe(64 * 1024)
  #used = 0
  count = 0

  add(entry: IdxEntry): void {
    if (this.#used === this.#current.length) {
      this.#full.push(this.#current)
      this.#current = Buffer.allocUnsafe(1024 * 1024)
      this.#used = 0
    }
    encodeIdxEntry(entry, this.#current, this.#used)
    this.#used += IDX_ENTRY_BYTES
    this.count++
  }

  bytes(): Buffer {
    return Buffer.concat([...this.#full, this.#current.subarray(0, this.#used)])
  }
}
