/**
 * Opens the files of a volume into a slot of the shared table, and heals them: the index is a cache of `.dat` and rebuilt
 * where it is behind, a torn tail is cut off, a hole is covered by a filler. Opens SeaweedFS's volumes as well.
 */
import { AssertionFailure } from '../base/assert.ts'
import { isErasure } from '../base/erasure-id.ts'
import type { Random } from '../base/random.ts'
import { appendTimeToMs, isLater } from './append-time.ts'
import { writeCheckpoint } from './checkpoint.ts'
import { checksumOfEmpty, DatWalk, entryOf, type PassedOver, recordTime } from './dat-walk.ts'
import { readAround, readSideFile } from './dead-sectors.ts'
import { replaceFileDurably } from './disk.ts'
import { EntryBuffer } from './entry-buffer.ts'
import { finishCompaction, settleCompaction } from './finish-compaction.ts'
import { fillHole } from './hole.ts'
import { decodeIdxEntry, IDX_ENTRY_BYTES, IDX_SIZE_DELETED, type IdxEntry } from './idx-entry.ts'
import { IdxPlaces } from './idx-places.ts'
import { decodeSums, type IndexSums } from './index-sums.ts'
import { mendSuperBlock } from './mend-super-block.ts'
import * as codec from './needle.ts'
import { NeedleIndex } from './needle-index.ts'
import { newReport, type OpenReport } from './open-report.ts'
import type { Damage, ScannedRecord } from './record-scanner.ts'
import { decodeSuperBlock, SUPER_BLOCK_BYTES, type SuperBlock } from './super-block.ts'
import type { ThreadContext } from './thread-context.ts'
import { refuseWideOffsets } from './volume-facts.ts'
import { IndexLoader, loadCoveredEntries } from './volume-index-file.ts'
import { decodeVolumeInfo, encodeVolumeInfo, isClosedForWrites, type VolumeInfoFile } from './volume-info.ts'
import { EXTENSION, volumeBaseName } from './volume-paths.ts'
import { isSealedWith, saltFromRecords } from './volume-salt.ts'
import { FLAG, STATE, type VolumeSlot, WORD } from './volume-table.ts'

/** SeaweedFS's clock may have been ahead of ours by so much. */
const FOREIGN_CLOCK_AHEAD_MS_MAX = 24 * 3600 * 1000

export type { OpenReport } from './open-report.ts'

const FIRST_RECORD_UNITS = SUPER_BLOCK_BYTES / 8

export interface OpenOptions {
  /** Number of the data directory in the thread context. */
  directory: number
  collection: string
  volumeId: number
  sizeLimitBytes: number
  random: Random
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
  readonly #report = newReport()
  #dat = -1
  #idx = -1
  /** Entries that `.idx` held when it was opened, whole ones. */
  #idxEntriesFound = 0
  #idxPlaces: IdxPlaces | undefined
  /** Its checksums do not match, and the blocks that are damaged could not be made anew. */
  #isIdxDamaged = false
  /** `.cairn` was missing, damaged or not readable: nothing says which records are SeaweedFS's. */
  #isInfoLost = false
  /** `.cairn` spoke of another `.dat`, or was lost. */
  #isInfoNew = false
  /** A compaction of ours was cut off behind its deciding step. */
  #isAfterCompaction = false
  /** Where SeaweedFS's records ended before. */
  #foreignUnitsFound = 0
  #keepsRest = false
  #scannedFromUnits = 0
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
    const { collection, volumeId } = this.#options
    refuseWideOffsets(disk, { directory: this.#directory, collection, volumeId })
    this.#dat = disk.open(this.#path(EXTENSION.dat), 'r+')
    const superBlock = this.#readSuperBlock()
    const files = { directory: this.#directory, base: this.#base }
    const isDecided = finishCompaction(disk, files, superBlock.compactionRevision)
    const info = this.#readInfo(superBlock)
    if (!isDecided) settleCompaction(disk, files, this.#isAfterCompaction)
    const isIdxOld = this.#isAfterCompaction && isDecided && this.#readSums(superBlock) === undefined
    this.#idx = disk.open(this.#path(EXTENSION.idx), disk.stat(this.#path(EXTENSION.idx)) ? 'r+' : 'w+')
    this.#idxEntriesFound = isIdxOld ? 0 : Math.floor(disk.sizeSync(this.#idx) / IDX_ENTRY_BYTES)
    this.#fillSlot(superBlock, info)
    this.#load(superBlock)
    this.#loader.store(this.#slot)
    const kept = this.#learned(info)
    this.#report.suspect = kept.suspect
    if (isClosedForWrites(kept)) this.#slot.setFlag(FLAG.readOnly)
    if (kept.filling) this.#slot.setFlag(FLAG.filling)
    // A crash in the first opening must leave another first opening, but one that is in doubt must not be forgotten.
    const isLast = this.#isInfoNew && this.#report.doubt === undefined
    if (!isLast) this.#keepInfo(kept)
    const sums = this.#checkpoint(superBlock)
    if (isLast) this.#keepInfo(kept)
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

  #readSuperBlock(): SuperBlock {
    const bytes = Buffer.alloc(SUPER_BLOCK_BYTES)
    const count = this.#context.disk.readSync(this.#dat, bytes, 0, SUPER_BLOCK_BYTES, 0)
    const found = decodeSuperBlock(bytes.subarray(0, count), this.#path(EXTENSION.dat))
    if (this.#decodeInfo() === undefined) return found
    return mendSuperBlock(this.#context.disk, this.#dat, this.#path(EXTENSION.cairn), found)
  }

  #decodeInfo(): VolumeInfoFile | undefined {
    const bytes = readSideFile(this.#context.disk, this.#path(EXTENSION.cairn))
    return bytes === undefined ? undefined : decodeVolumeInfo(bytes)
  }

  /**
   * The `.cairn` file; with the salt that the records tell, where it is missing or damaged. When it speaks of another
   * `.dat`, either a compaction of ours was cut off, and then the sidecar is the new one, or SeaweedFS compacted the volume.
   */
  #readInfo(superBlock: SuperBlock): VolumeInfoFile {
    const read = this.#decodeInfo()
    const { compactionRevision, ttl } = superBlock
    if (read?.compactionRevision === compactionRevision) return read
    this.#isInfoNew = true
    this.#isInfoLost = read === undefined
    const salt = read?.salt ?? saltFromRecords(this.#context.disk, this.#dat, compactionRevision)
    this.#isAfterCompaction = read !== undefined && this.#isSealed(read.salt, superBlock)
    this.#report.foreign = read === undefined ? salt === undefined : !this.#isAfterCompaction
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

  /** Whether the present `.dat` is of a compaction of ours: its records are sealed so, or it has none and the sidecar is its own. */
  #isSealed(salt: number, superBlock: SuperBlock): boolean {
    if (this.#datEndBytes() <= SUPER_BLOCK_BYTES) return this.#readSums(superBlock) !== undefined
    const fileSalt = codec.revisionSalt(salt, superBlock.compactionRevision)
    return isSealedWith(this.#context.disk, this.#dat, fileSalt)
  }

  /** The sidecar, when it is whole and belongs to the present `.dat`. */
  #readSums(superBlock: SuperBlock): IndexSums | undefined {
    const bytes = readSideFile(this.#context.disk, this.#path(EXTENSION.sums))
    const sums = bytes === undefined ? undefined : decodeSums(bytes)
    return sums?.compactionRevision === superBlock.compactionRevision ? sums : undefined
  }

  #learned(info: VolumeInfoFile): VolumeInfoFile {
    const foreignUnits = this.#slot.get(WORD.foreignUnits)
    const known = { ...info, foreignUnits }
    if (this.#report.doubt === undefined) return known
    return { ...known, suspect: true, keepsRest: this.#keepsRest || info.keepsRest === true }
  }

  /** Writes `.cairn` when opening learned something that it does not say yet. */
  #keepInfo(info: VolumeInfoFile): void {
    const known = encodeVolumeInfo(info)
    const bytes = readSideFile(this.#context.disk, this.#path(EXTENSION.cairn))
    if (bytes?.equals(known)) return
    replaceFileDurably(this.#context.disk, this.#directory, `${this.#base}${EXTENSION.cairn}`, known)
  }

  #fillSlot(superBlock: SuperBlock, info: VolumeInfoFile): void {
    const slot = this.#slot
    this.#foreignUnitsFound = info.foreignUnits
    this.#keepsRest = info.suspect && info.keepsRest === true
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
    const sums = this.#report.foreign ? undefined : this.#readSums(superBlock)
    if (sums !== undefined && this.#loadCovered(sums)) return
    this.#isIdxDamaged = sums !== undefined
    if (this.#report.foreign && this.#idxEntriesFound > 0 && this.#loadForeign()) return
    this.#report.fullScan = true
    this.#index.clear()
    this.#loader = new IndexLoader(this.#index)
    this.#scan(FIRST_RECORD_UNITS, new Set())
  }

  #loadCovered(sums: IndexSums): boolean {
    const last = sums.checkpoints.at(-1)
    if (last === undefined) return false
    // The index knows what was lost: without it, deleted files and old versions would come back.
    if (last.lowWaterUnits * 8 > this.#datEndBytes()) this.#noteShort(last.lowWaterUnits * 8)
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
    if (this.#isInfoLost) this.#slot.set(WORD.foreignUnits, last.tailUnits)
    this.#scan(last.lowWaterUnits, loaded.recentOffsets)
    return true
  }

  /** SeaweedFS's `.idx` is taken as it is: only it knows which records of size 0 are deletions. False when it cannot be read. */
  #loadForeign(): boolean {
    const datEndUnits = this.#datEndBytes() / 8
    const bytes = Buffer.alloc(this.#idxEntriesFound * IDX_ENTRY_BYTES)
    let isWhole = true
    readAround(this.#context.disk, { handle: this.#idx, position: 0 }, bytes, () => {
      isWhole = false
    })
    if (!isWhole) return false
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
    return true
  }

  #noteTimeOf(offsetUnits: number): void {
    const time = recordTime(this.#context.disk, this.#dat, offsetUnits)
    if (time === undefined) return
    if (appendTimeToMs(time) > this.#context.clock.nowMs() + FOREIGN_CLOCK_AHEAD_MS_MAX) return
    this.#slot.set(WORD.appendNsHigh, time.high)
    this.#slot.set(WORD.appendNsLow, time.low)
  }

  #datEndBytes(): number {
    const sizeBytes = this.#context.disk.sizeSync(this.#dat)
    return sizeBytes - (sizeBytes % 8)
  }

  /** Reads the records from a place to the end, indexes what the index lacks, heals what is damaged, and sets the tail. */
  #scan(fromUnits: number, known: Set<number>): void {
    const file = {
      handle: this.#dat,
      fileSalt: this.#slot.get(WORD.fileSalt),
      endBytes: this.#datEndBytes(),
    }
    const walk = new DatWalk(this.#context.disk, {
      file,
      known,
      mayBeForeign: (offsetUnits) => this.#mayBeForeign(offsetUnits),
      isFullScan: this.#report.fullScan,
    })
    this.#scannedFromUnits = fromUnits
    let goodEnd = fromUnits
    for (let at = fromUnits; at < walk.endUnits; ) {
      const scanned = walk.scanner.check(at)
      this.#report.recordsScanned++
      const passed = scanned.ok ? this.#accept(scanned.record, walk) : this.#keepDamaged(at, scanned, walk)
      if (passed !== undefined) {
        at += passed
        goodEnd = at
        continue
      }
      const next = scanned.ok ? at + scanned.record.lengthBytes / 8 : walk.behindDamage(at, scanned)
      if (next === undefined) break
      walk.passOver(at, next)
      at = next
    }
    this.#heal(
      walk.holes.filter((hole) => hole.offsetUnits < goodEnd),
      goodEnd,
      this.#mayCut(goodEnd, walk),
    )
    this.#slot.set(WORD.tailUnits, goodEnd)
  }

  /** Whether records there may be SeaweedFS's, as far as that was known before. */
  #mayBeForeign(offsetUnits: number): boolean {
    if (this.#report.foreign || offsetUnits < this.#foreignUnitsFound) return true
    return this.#isInfoLost && this.#report.fullScan
  }

  /** The length of a record in units when it was taken, or is to be left alone; undefined where it is none. */
  #accept(record: ScannedRecord, { known }: DatWalk): number | undefined {
    const lengthUnits = record.lengthBytes / 8
    if (known.has(record.offsetUnits) || this.#recover(record)) return lengthUnits
    return !record.hasTrailer && this.#mayBeForeign(record.offsetUnits) ? lengthUnits : undefined
  }

  /**
   * A damaged record that was once whole stays in the index, so that reads of it say "damaged" and not "missing": one that the
   * disk cannot read; with no sidecar to tell what was synced, one that `.idx` knows; and one of SeaweedFS's. Returns its length
   * in units.
   */
  #keepDamaged(at: number, damage: Damage, walk: DatWalk): number | undefined {
    const isKnown = walk.known.has(at)
    if (!isKnown && !damage.isUnreadable && !this.#report.fullScan && !this.#mayBeForeign(at))
      return undefined
    const header = walk.scanner.headerAt(at)
    const entry =
      this.#places().at(at, header) ??
      (damage.isUnreadable ? entryOf(at, damage.header) : undefined) ??
      this.#foreignEntry(at, header, walk)
    if (entry === undefined) return undefined
    const lengthUnits = codec.recordLength(entry.sizeBytes === IDX_SIZE_DELETED ? 0 : entry.sizeBytes) / 8
    if (at + lengthUnits > walk.endUnits) return undefined
    this.#report.recordsDamaged++
    if (!isKnown && !this.#isOmitted(at, entry)) this.#addEntry(entry)
    return lengthUnits
  }

  /** What the header of a damaged record of SeaweedFS says, where it leads to others. */
  #foreignEntry(
    at: number,
    header: codec.RecordHeader | undefined,
    { chain }: DatWalk,
  ): IdxEntry | undefined {
    if (!this.#mayBeForeign(at) || header === undefined || header.sizeBytes === 0) return undefined
    // `.idx` has all but what a crash cut off.
    const endCounts = this.#idxEntriesFound === 0
    return chain.behind(at, endCounts) === undefined ? undefined : entryOf(at, header)
  }

  /** Whether SeaweedFS's `.idx` passes over a record though it has later ones, and the key: it was never acknowledged. */
  #isOmitted(offsetUnits: number, { keyHigh, keyLow }: { keyHigh: number; keyLow: number }): boolean {
    const places = this.#places()
    if (this.#isIdxDamaged || !places.isWhole || !this.#mayBeForeign(offsetUnits)) return false
    if (places.has(offsetUnits) || !places.reachesBeyond(offsetUnits)) return false
    return this.#index.get(keyHigh, keyLow)
  }

  #places(): IdxPlaces {
    const idx = { handle: this.#idx, entries: this.#idxEntriesFound }
    this.#idxPlaces ??= new IdxPlaces(this.#context.disk, idx, this.#scannedFromUnits)
    return this.#idxPlaces
  }

  /** Whether what stands behind the last record is what a crash cut off. */
  #mayCut(goodEnd: number, walk: DatWalk): boolean {
    const doubt = this.#keepsRest ? undefined : walk.doubtOfRest(goodEnd)
    if (doubt !== undefined) {
      this.#keepsRest = true
      this.#noteDoubt(doubt)
    }
    return !this.#keepsRest
  }

  /** Shards that are gone are made anew from the others of their group, for which the volume must take writes. */
  #noteShort(syncedBytes: number): void {
    if (isErasure(this.#options.volumeId)) this.#report.recordsDamaged++
    else this.#noteDoubt(`.dat is shorter than the ${syncedBytes} bytes that were synced`)
  }

  /** The volume is opened, but takes no writes until somebody has looked at it. */
  #noteDoubt(doubt: string): void {
    this.#report.recordsDamaged++
    this.#report.doubt ??= doubt
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
    if (!record.hasTrailer && this.#isOmitted(record.offsetUnits, record.header)) return false
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
    const present = recordTime(this.#context.disk, this.#dat, this.#index.offsetUnits)
    // Places and times have the same order.
    if (present === undefined) return record.offsetUnits > this.#index.offsetUnits
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
    if (this.#report.foreign || record.offsetUnits < this.#slot.get(WORD.foreignUnits)) return true
    if (this.#isInfoLost && this.#idxEntriesFound === 0) return true
    const sizeBytes = this.#idxSizeAt(record)
    // Its empty files have the checksum 0; with another one the file could not be read.
    if (sizeBytes === 0 && checksumOfEmpty(this.#context.disk, this.#dat, record.offsetUnits) !== 0)
      return false
    return sizeBytes !== undefined
  }

  /** A record of size 0 that SeaweedFS wrote: `.idx` decides; without its entry, a key that lives is being deleted. */
  #isForeignDelete(record: ScannedRecord, known: boolean): boolean {
    const sizeBytes = this.#idxSizeAt(record)
    // With any other size the entry is damaged.
    return sizeBytes === 0 ? false : sizeBytes === IDX_SIZE_DELETED || known
  }

  /** What `.idx` says of a place. */
  #idxSizeAt({ offsetUnits, header }: ScannedRecord): number | undefined {
    return this.#places().at(offsetUnits, header)?.sizeBytes
  }

  /** Into the index, and into the `.idx` that will be written. */
  #addEntry(entry: IdxEntry): void {
    this.#loader.add(entry.keyHigh, entry.keyLow, entry.offsetUnits, entry.sizeBytes)
    this.#added.add(entry)
  }

  #heal(holes: PassedOver[], goodEnd: number, mayCut: boolean): void {
    const { disk } = this.#context
    const surplus = disk.sizeSync(this.#dat) - goodEnd * 8
    if (surplus > 0 && mayCut) {
      disk.truncateSync(this.#dat, goodEnd * 8)
      this.#report.bytesTruncated = surplus
    }
    const time = { high: this.#slot.get(WORD.appendNsHigh), low: this.#slot.get(WORD.appendNsLow) }
    for (const hole of holes) {
      if (!hole.mayBeFilled) {
        this.#noteDoubt(
          `${hole.lengthBytes} bytes from ${hole.offsetUnits * 8} of .dat are no record of ours`,
        )
        continue
      }
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
    let content: Buffer | undefined
    if (coveredBytes === 0) content = this.#replaceIdx()
    else {
      if (disk.sizeSync(this.#idx) > coveredBytes) disk.truncateSync(this.#idx, coveredBytes)
      const bytes = this.#added.bytes()
      if (bytes.length > 0) disk.writeSync(this.#idx, bytes, 0, bytes.length, coveredBytes)
    }
    disk.fdatasyncSync(this.#dat)
    disk.fdatasyncSync(this.#idx)
    return writeCheckpoint(
      disk,
      { directory: this.#directory, base: this.#base, idxHandle: this.#idx, content },
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
  #replaceIdx(): Buffer {
    const { disk } = this.#context
    const content = this.#added.bytes()
    if (content.length === 0 && disk.sizeSync(this.#idx) === 0) return content
    replaceFileDurably(disk, this.#directory, `${this.#base}${EXTENSION.idx}`, content)
    disk.close(this.#idx)
    this.#idx = -1
    this.#idx = disk.open(this.#path(EXTENSION.idx), 'r+')
    this.#slot.set(WORD.idxHandle, this.#idx)
    return content
  }
}
