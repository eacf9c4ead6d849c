/**
 * Compaction: the live records of a volume are copied into new files while reads and writes go on, what was written
 * meanwhile follows, and under the volume's lock the new files take the place of the old ones. The rename of the new
 * `.dat` decides; see `finish-compaction.ts` for what a crash leaves. Records of deleted, overwritten and expired needles,
 * delete markers and fillers are left out; records without trailer get one. `.idx` gives only the order: where a record is, how
 * long, and whether it lives, the index in memory says, and what `.idx` does not list is found there. Where most of a long `.idx`
 * speaks of what was replaced, the index gives the order as well, and only what writers add meanwhile is read of `.idx`.
 */
import { StoreError } from '../base/errors.ts'
import { ttlSeconds } from '../base/ttl.ts'
import { type AppendTime, appendTimeToMs } from './append-time.ts'
import { writeCheckpoint } from './checkpoint.ts'
import { ExpiredRecords } from './expired-records.ts'
import {
  decodeIdxEntry,
  encodeIdxEntry,
  IDX_ENTRY_BYTES,
  IDX_SIZE_DELETED,
  type IdxEntry,
} from './idx-entry.ts'
import type { IndexSums } from './index-sums.ts'
import { LiveRecords } from './live-records.ts'
import * as codec from './needle.ts'
import { INDEX_STATE_WORDS, type IndexEntries, indexEntries, NeedleIndex } from './needle-index.ts'
import { type RecordPlace, RecordsInput } from './records-input.ts'
import { encodeSuperBlock, SUPER_BLOCK_BYTES } from './super-block.ts'
import type { ThreadContext } from './thread-context.ts'
import { IndexLoader } from './volume-index-file.ts'
import { EXTENSION, volumeBaseName } from './volume-paths.ts'
import { FLAG, STATE, type VolumeSlot, WORD } from './volume-table.ts'

const OUTPUT_BYTES = 4 * 1024 * 1024
const ENTRIES_PER_STEP = 1024
/** Its thread does other things between steps, such as to tell the masters that the server lives. */
const STEP_BYTES_MAX = 16 * 1024 * 1024
/** From so many entries of `.idx` for each live record on, the index is gone through instead. */
const ENTRIES_PER_RECORD = 4
/** What may be left to copy when the volume is locked for the swap; more where writers outrun so many passes. */
const LAST_STEP_ENTRIES_MAX = 256
const PASSES_MAX = 4
const LAST_STEP_BYTES_MAX = 8 * 1024 * 1024
const DRAIN_RETRY_MS = 2
const DRAIN_TRIES_MAX = 30_000

export interface CompactionResult {
  sums: IndexSums
  bytesBefore: number
  bytesAfter: number
  damagedCopied: number
  /** Records that `.idx` did not list. */
  unlistedCopied: number
}

/** What is to be copied: the live record of a key, or its deletion. `sizeBytes` is what `.idx` says, which may be damaged; or 0. */
interface Due extends IdxEntry, RecordPlace {
  isDeletion: boolean
}

/**
 * Compacts one volume; one at a time for each. Between its steps it gives the thread back by `pause`, for longer where it may
 * rest: when it goes over what was written meanwhile it is not to be outrun by writers.
 * Throws `disk_full`, `io_error`, `index_full`, `conflict`; the old files then stand unless the volume is marked failed.
 */
export async function compactVolume(
  context: ThreadContext,
  volume: { slot: VolumeSlot; salt: number },
  pause: (mayRest: boolean) => Promise<void>,
): Promise<CompactionResult> {
  const { slot } = volume
  const compaction = new Compaction(context, slot, volume.salt)
  try {
    await compaction.copyLive(pause)
    return await compaction.swap(pause)
  } catch (error) {
    compaction.discard()
    throw error
  } finally {
    slot.clearFlag(FLAG.draining)
    compaction.end()
  }
}

class Compaction {
  readonly #context: ThreadContext
  readonly #slot: VolumeSlot
  readonly #directory: string
  readonly #base: string
  readonly #revision: number
  readonly #newFileSalt: number
  readonly #index: NeedleIndex
  readonly #newIndex: NeedleIndex
  readonly #loader: IndexLoader
  readonly #oldDat: number
  readonly #oldIdx: number
  readonly #input: RecordsInput
  readonly #output = Buffer.allocUnsafeSlow(OUTPUT_BYTES)
  readonly #idxOutput = Buffer.allocUnsafeSlow(ENTRIES_PER_STEP * IDX_ENTRY_BYTES)
  #outputUsed = SUPER_BLOCK_BYTES
  #outputAt = 0
  #idxUsed = 0
  #idxAt = 0
  /** Entries of the old `.idx` that are dealt with. */
  #copied = 0
  /** What was copied by the index, if it was gone through: entries of `.idx` that were new then speak of it again. */
  #byIndex: LiveRecords | undefined
  #dat = -1
  #idx = -1
  readonly #expired: ExpiredRecords
  #damaged = 0
  #unlisted = 0
  #hasLookedForUnlisted = false
  #sums: IndexSums | undefined
  #committed = false
  #swapped = false

  constructor(context: ThreadContext, slot: VolumeSlot, salt: number) {
    this.#context = context
    this.#slot = slot
    this.#directory = context.directories[slot.get(WORD.directory)] as string
    this.#base = volumeBaseName(slot.collection, slot.get(WORD.volumeId))
    this.#revision = (slot.get(WORD.compactionRevision) + 1) & 0xffff
    this.#newFileSalt = codec.revisionSalt(salt, this.#revision)
    this.#index = new NeedleIndex(context.arena, slot.indexWords)
    this.#newIndex = new NeedleIndex(
      context.arena,
      new Int32Array(new SharedArrayBuffer(INDEX_STATE_WORDS * 4)),
    )
    this.#loader = new IndexLoader(this.#newIndex)
    this.#expired = new ExpiredRecords(context.arena)
    this.#oldDat = slot.get(WORD.datHandle)
    this.#oldIdx = slot.get(WORD.idxHandle)
    this.#input = new RecordsInput(context.disk, this.#oldDat)
  }

  #path(extension: string): string {
    return `${this.#directory}/${this.#base}${extension}`
  }

  /** Copies until little is left, while the volume lives on. */
  async copyLive(pause: (mayRest: boolean) => Promise<void>): Promise<void> {
    const { disk } = this.#context
    this.#dat = disk.open(this.#path(EXTENSION.compactedDat), 'w+')
    this.#idx = disk.open(this.#path(EXTENSION.compactedIdx), 'w+')
    encodeSuperBlock({
      replicaPlacement: this.#slot.get(WORD.replicaPlacement),
      ttl: this.#slot.get(WORD.ttl),
      compactionRevision: this.#revision,
    }).copy(this.#output)
    // What writers add meanwhile is gone over again, as they wait while the rest is copied under the lock.
    let passes = 0
    await this.#copyByIndex(() => pause(true))
    do {
      const isFirst = passes === 0 && this.#byIndex === undefined
      await this.#copyPass(() => pause(isFirst))
      this.#flush()
      await disk.fdatasync(this.#dat)
      await disk.fdatasync(this.#idx)
    } while (++passes < PASSES_MAX && !this.#isLittleLeft())
    this.#sums = this.#checkpoint()
  }

  /** Copies what is there when it begins, where that is little for so long an `.idx`. */
  async #copyByIndex(pause: () => Promise<void>): Promise<void> {
    const entries = this.#slot.get(WORD.idxEntries)
    const live = this.#slot.get(WORD.putCount) - this.#slot.get(WORD.deleteCount)
    if (live * ENTRIES_PER_RECORD > entries) return
    const records = await LiveRecords.of(this.#index, entries / ENTRIES_PER_RECORD, pause)
    if (records === undefined) return
    this.#copied = entries
    this.#byIndex = records
    for (let at = 0; at < records.length; at += ENTRIES_PER_STEP)
      await this.#copyInSteps(records.entries(at, at + ENTRIES_PER_STEP), pause)
  }

  /** The same, as `.idx` has it. */
  async #copyPass(pause: () => Promise<void>): Promise<void> {
    for (const entries = this.#slot.get(WORD.idxEntries); this.#copied < entries; ) {
      const upTo = Math.min(entries, this.#copied + ENTRIES_PER_STEP)
      await this.#copyInSteps(this.#entriesUpTo(upTo), pause)
      this.#copied = upTo
    }
  }

  #isLittleLeft(): boolean {
    const entries = this.#slot.get(WORD.idxEntries)
    return entries - this.#copied <= LAST_STEP_ENTRIES_MAX && this.#bytesLeft() <= LAST_STEP_BYTES_MAX
  }

  /** The new files' sidecar, as far as they are written and synced. */
  #checkpoint(): IndexSums {
    const tailUnits = this.#outputAt / 8
    const place = {
      directory: this.#directory,
      base: this.#base,
      idxHandle: this.#idx,
      extension: EXTENSION.compactedSums,
    }
    return writeCheckpoint(this.#context.disk, place, {
      compactionRevision: this.#revision,
      appendNsHigh: this.#slot.get(WORD.appendNsHigh),
      appendNsLow: this.#slot.get(WORD.appendNsLow),
      checkpoint: { idxEntries: this.#loader.entries, lowWaterUnits: tailUnits, tailUnits },
      previous: this.#sums,
    })
  }

  #assertAlive(): void {
    if (this.#slot.get(WORD.state) !== STATE.active)
      throw new StoreError('conflict', 'the volume was removed')
    // What the system has not written may be gone from memory too: only a restart tells what the files still hold.
    if (this.#slot.hasFlag(FLAG.failed))
      throw new StoreError('conflict', 'the volume failed: it needs a restart first')
  }

  /** Bytes of `.dat` that the entries not yet copied speak of. */
  #bytesLeft(): number {
    const entry = Buffer.alloc(IDX_ENTRY_BYTES)
    let bytes = 0
    for (let i = this.#copied; i < this.#slot.get(WORD.idxEntries); i++) {
      this.#context.disk.readSync(this.#oldIdx, entry, 0, IDX_ENTRY_BYTES, i * IDX_ENTRY_BYTES)
      const { sizeBytes } = decodeIdxEntry(entry)
      if (sizeBytes !== IDX_SIZE_DELETED) bytes += sizeBytes
    }
    return bytes
  }

  /** The next entries of the old `.idx`, but for those of what was copied by the index. */
  #entriesUpTo(upTo: number): IdxEntry[] {
    const bytes = Buffer.allocUnsafe((upTo - this.#copied) * IDX_ENTRY_BYTES)
    this.#context.disk.readSync(this.#oldIdx, bytes, 0, bytes.length, this.#copied * IDX_ENTRY_BYTES)
    const entries: IdxEntry[] = []
    for (let at = 0; at < bytes.length; at += IDX_ENTRY_BYTES) {
      const entry = decodeIdxEntry(bytes, at)
      if (this.#byIndex?.has(entry.offsetUnits) !== true) entries.push(entry)
    }
    return entries
  }

  async #copyInSteps(entries: readonly IdxEntry[], pause: () => Promise<void>): Promise<void> {
    let at = 0
    do {
      at = this.#copyStep(entries, at)
      await pause()
      this.#assertAlive()
    } while (at < entries.length)
  }

  /** Copies what entries from that one on speak of. Gives the number of the first one that is left for the next step. */
  #copyStep(entries: readonly IdxEntry[], from: number): number {
    const due: Due[] = []
    let lengthBytes = 0
    let at = from
    while (at < entries.length && lengthBytes < STEP_BYTES_MAX) {
      const next = this.#due(entries[at++]!)
      if (next === undefined) continue
      due.push(next)
      lengthBytes += next.lengthBytes
    }
    this.#copyDue(due)
    return at
  }

  /** What an entry speaks of, if that is its key's present state; a deletion only where the copy has the key. */
  #due(entry: IdxEntry): Due | undefined {
    const { keyHigh, keyLow, offsetUnits } = entry
    const index = this.#index
    if (!index.get(keyHigh, keyLow) || index.offsetUnits !== offsetUnits) return undefined
    const isDeletion = index.deleted
    if (!isDeletion) return { ...entry, lengthBytes: index.lengthUnits * 8, isDeletion }
    this.#expired.remove(entry)
    if (!this.#hasCopied(keyHigh, keyLow)) return undefined
    return { ...entry, lengthBytes: codec.EMPTY_RECORD_BYTES, isDeletion }
  }

  #copyDue(due: readonly Due[]): void {
    this.#input.begin(due)
    for (let at = 0; at < due.length; at++) {
      const record = this.#input.record(at)
      if (due[at]!.isDeletion) this.#copyDeletion(due[at]!, record)
      else this.#copyRecord(due[at]!, record)
    }
  }

  #hasCopied(keyHigh: number, keyLow: number): boolean {
    return this.#newIndex.get(keyHigh, keyLow) && !this.#newIndex.deleted
  }

  #copyDeletion(entry: IdxEntry, old: Buffer): void {
    const { cookie } = codec.decodeHeader(old)
    this.#putMarker({ ...entry, cookie }, { high: old.readUInt32BE(20), low: old.readUInt32BE(24) })
  }

  #putMarker(key: { keyHigh: number; keyLow: number; cookie: number }, { high, low }: AppendTime): void {
    const offsetUnits = this.#place(codec.EMPTY_RECORD_BYTES)
    const seal = { seed: this.#seed(offsetUnits), appendNsHigh: high, appendNsLow: low }
    codec.encodeDeleteMarker(key, seal, this.#output.subarray(this.#outputUsed))
    this.#outputUsed += codec.EMPTY_RECORD_BYTES
    this.#note({ keyHigh: key.keyHigh, keyLow: key.keyLow, offsetUnits, sizeBytes: IDX_SIZE_DELETED })
  }

  #copyRecord(entry: IdxEntry, record: Buffer): void {
    const fields = this.#verified(record, entry)
    if (fields === undefined) return this.#copyDamaged(record, entry)
    if (this.#isExpired(fields.needle)) return this.#leaveOut(entry, fields.needle)
    const newBytes = codec.movedLength(record, fields)
    const offsetUnits = this.#place(newBytes)
    const into = this.#outputFor(newBytes)
    const sizeBytes = codec.moveRecord(record, fields, this.#seed(offsetUnits), into)
    this.#advance(into, newBytes)
    const { keyHigh, keyLow } = entry
    this.#note({ keyHigh, keyLow, offsetUnits, sizeBytes })
  }

  /** A record that has expired. An older one of its key that was copied before must not come back. */
  #leaveOut(entry: IdxEntry, needle: codec.Needle): void {
    if (this.#hasCopied(entry.keyHigh, entry.keyLow))
      this.#putMarker(needle, { high: needle.appendNsHigh, low: needle.appendNsLow })
    this.#expired.add(entry)
  }

  #verified(record: Buffer, entry: IdxEntry): codec.RecordFields | undefined {
    try {
      const seed = codec.recordSeed(this.#slot.get(WORD.fileSalt), entry.offsetUnits)
      const fields = codec.decodeWhole(record, seed)
      if (!fields.hasTrailer && entry.offsetUnits >= this.#slot.get(WORD.foreignUnits)) return undefined
      const { keyHigh, keyLow } = fields.needle
      return keyHigh === entry.keyHigh && keyLow === entry.keyLow ? fields : undefined
    } catch (error) {
      if (error instanceof StoreError && error.code === 'corrupt') return undefined
      throw error
    }
  }

  #isExpired(needle: codec.Needle): boolean {
    if (needle.ttl === 0) return false
    const bornMs = appendTimeToMs({ high: needle.appendNsHigh, low: needle.appendNsLow })
    return this.#context.clock.nowMs() > bornMs + ttlSeconds(needle.ttl) * 1000
  }

  /** A damaged record moves as it is, key and size mended so that a walk passes it: reads of it go on saying "damaged". */
  #copyDamaged(record: Buffer, entry: IdxEntry): void {
    const sizeBytes = sizeOfDamaged(record, entry)
    const offsetUnits = this.#place(record.length)
    // The record itself may be part of another one's that is yet to be copied.
    const into = this.#outputFor(record.length)
    into.set(record)
    into.writeUInt32BE(entry.keyHigh, 4)
    into.writeUInt32BE(entry.keyLow, 8)
    into.writeUInt32BE(sizeBytes, 12)
    this.#advance(into, record.length)
    this.#damaged++
    this.#note({ ...entry, offsetUnits, sizeBytes })
  }

  /** Makes room for a record in the output, and says where it will be. */
  #place(lengthBytes: number): number {
    if (this.#outputUsed + lengthBytes > OUTPUT_BYTES) this.#flushDat()
    return (this.#outputAt + this.#outputUsed) / 8
  }

  /** Where a record is to be put, behind `#place`. */
  #outputFor(lengthBytes: number): Buffer {
    return lengthBytes > OUTPUT_BYTES
      ? Buffer.allocUnsafe(lengthBytes)
      : this.#output.subarray(this.#outputUsed)
  }

  /** Takes what was put there. */
  #advance(record: Buffer, lengthBytes: number): void {
    if (lengthBytes <= OUTPUT_BYTES) {
      this.#outputUsed += lengthBytes
      return
    }
    this.#context.disk.writeSync(this.#dat, record, 0, lengthBytes, this.#outputAt)
    this.#outputAt += lengthBytes
  }

  #note(entry: IdxEntry): void {
    this.#expired.remove(entry)
    if (this.#idxUsed === this.#idxOutput.length) this.#flushIdx()
    encodeIdxEntry(entry, this.#idxOutput, this.#idxUsed)
    this.#idxUsed += IDX_ENTRY_BYTES
    this.#loader.add(entry.keyHigh, entry.keyLow, entry.offsetUnits, entry.sizeBytes)
  }

  #flush(): void {
    this.#flushDat()
    this.#flushIdx()
  }

  #flushDat(): void {
    this.#context.disk.writeSync(this.#dat, this.#output, 0, this.#outputUsed, this.#outputAt)
    this.#outputAt += this.#outputUsed
    this.#outputUsed = 0
  }

  #flushIdx(): void {
    this.#context.disk.writeSync(this.#idx, this.#idxOutput, 0, this.#idxUsed, this.#idxAt)
    this.#idxAt += this.#idxUsed
    this.#idxUsed = 0
  }

  #seed(offsetUnits: number): number {
    return codec.recordSeed(this.#newFileSalt, offsetUnits)
  }

  /** Waits until no large write is under way, then, under the lock, copies the last entries and swaps the files. */
  async swap(pause: (mayRest: boolean) => Promise<void>): Promise<CompactionResult> {
    const bytesBefore = this.#slot.get(WORD.tailUnits) * 8
    for (;;) {
      const sums = await this.#whenDrained(() => {
        this.#copyRest()
        return this.#isComplete() ? this.#swapLocked() : undefined
      })
      if (sums !== undefined) return this.#result(sums, bytesBefore)
      this.#slot.clearFlag(FLAG.draining)
      await this.#copyUnlisted(() => pause(false))
    }
  }

  /** Under the lock: what was written since the last pass. */
  #copyRest(): void {
    const upTo = this.#slot.get(WORD.idxEntries)
    const entries = this.#entriesUpTo(upTo)
    for (let at = 0; at < entries.length; ) at = this.#copyStep(entries, at)
    this.#copied = upTo
  }

  #result(sums: IndexSums, bytesBefore: number): CompactionResult {
    const [damagedCopied, unlistedCopied] = [this.#damaged, this.#unlisted]
    return { sums, bytesBefore, bytesAfter: this.#outputAt, damagedCopied, unlistedCopied }
  }

  /** Calls `run` under the lock when no large write is under way. */
  async #whenDrained<T>(run: () => T): Promise<T> {
    this.#slot.setFlag(FLAG.draining)
    for (let tries = 0; ; tries++) {
      if (tries > DRAIN_TRIES_MAX) throw new StoreError('conflict', 'large writes did not end')
      this.#slot.lock()
      try {
        this.#assertAlive()
        if (this.#slot.largeWritesUnderWay() === 0) return run()
      } finally {
        this.#slot.unlock()
      }
      await this.#context.clock.sleep(DRAIN_RETRY_MS)
    }
  }

  #swapLocked(): IndexSums {
    const { disk } = this.#context
    this.#flush()
    disk.fdatasyncSync(this.#dat)
    disk.fdatasyncSync(this.#idx)
    const sums = this.#checkpoint()
    this.#rename()
    this.#publish(this.#outputAt / 8)
    return sums
  }

  /** A damaged `.idx` must not make records vanish. Throws `corrupt` when even the index in memory does not have them all. */
  #isComplete(): boolean {
    const live = this.#slot.get(WORD.putCount) - this.#slot.get(WORD.deleteCount)
    const found = this.#loader.liveCount + this.#expired.count
    if (found >= live) return true
    if (!this.#hasLookedForUnlisted) return false
    throw new StoreError('corrupt', `the index does not have every file: ${found} of ${live} were found`)
  }

  /** Goes through the index for records that a damaged `.idx` does not list. */
  async #copyUnlisted(pause: () => Promise<void>): Promise<void> {
    const page = indexEntries()
    this.#hasLookedForUnlisted = true
    for (let at: IndexEntries['next'] = { keyHigh: 0, keyLow: 0 }; at !== undefined; at = page.next) {
      this.#index.readFrom(at.keyHigh, at.keyLow, page)
      const before = this.#loader.liveCount
      await this.#copyInSteps(this.#unlistedOf(page), pause)
      this.#unlisted += this.#loader.liveCount - before
    }
    this.#flush()
    await this.#context.disk.fdatasync(this.#dat)
    await this.#context.disk.fdatasync(this.#idx)
  }

  #unlistedOf({ count, keyHighs, keyLows, offsetUnits, deleted }: IndexEntries): IdxEntry[] {
    const unlisted: IdxEntry[] = []
    for (let i = 0; i < count; i++) {
      const entry = { keyHigh: keyHighs[i]!, keyLow: keyLows[i]!, offsetUnits: offsetUnits[i]!, sizeBytes: 0 }
      const isKnown = this.#hasCopied(entry.keyHigh, entry.keyLow) || this.#expired.has(entry)
      if (deleted[i] === 0 && !isKnown) unlisted.push(entry)
    }
    return unlisted
  }

  /** The first rename decides. A failure behind it leaves files of which nobody can tell what a crash would bring back. */
  #rename(): void {
    const { disk } = this.#context
    disk.renameSync(this.#path(EXTENSION.compactedDat), this.#path(EXTENSION.dat))
    this.#committed = true
    try {
      disk.syncDirectorySync(this.#directory)
      disk.renameSync(this.#path(EXTENSION.compactedIdx), this.#path(EXTENSION.idx))
      disk.syncDirectorySync(this.#directory)
      disk.renameSync(this.#path(EXTENSION.compactedSums), this.#path(EXTENSION.sums))
      disk.syncDirectorySync(this.#directory)
    } catch {
      this.#slot.setFlag(FLAG.failed)
    }
  }

  /** From here on readers and writers use the new files. The generation is odd while index and handles do not fit. */
  #publish(tailUnits: number): void {
    const slot = this.#slot
    slot.add(WORD.generation, 1)
    this.#index.adopt(this.#newIndex)
    slot.set(WORD.datHandle, this.#dat)
    slot.set(WORD.idxHandle, this.#idx)
    slot.set(WORD.tailUnits, tailUnits)
    slot.set(WORD.compactionRevision, this.#revision)
    slot.set(WORD.fileSalt, this.#newFileSalt)
    slot.set(WORD.foreignUnits, 0)
    const [high, low] = [slot.get(WORD.maxKeyHigh), slot.get(WORD.maxKeyLow)]
    this.#loader.store(slot)
    slot.set(WORD.maxKeyHigh, high)
    slot.set(WORD.maxKeyLow, low)
    for (const { entry } of slot.abandonedLargeWrites()) slot.removeLargeWrite(entry)
    slot.add(WORD.generation, 1)
    this.#context.table.bumpVersion()
    this.#swapped = true
  }

  /** After a failure: the new files go away, unless they are the volume already. */
  discard(): void {
    if (this.#swapped) return
    const { disk } = this.#context
    this.#newIndex.clear()
    for (const handle of [this.#dat, this.#idx]) if (handle !== -1) disk.close(handle)
    if (this.#committed) return
    for (const extension of [EXTENSION.compactedDat, EXTENSION.compactedIdx, EXTENSION.compactedSums]) {
      try {
        disk.removeSync(this.#path(extension))
      } catch {
        // The next opening of the volume removes it.
      }
    }
  }

  end(): void {
    this.#expired.clear()
    if (this.#swapped) this.#closeOld()
  }

  /** Once nobody reads them. Pins are counted for the last two generations apart. */
  #closeOld(): void {
    const { clock, disk } = this.#context
    const generation = this.#slot.generation - 2
    const close = () => {
      if (this.#slot.pins(generation) > 0) return clock.after(50, close)
      disk.closeSoon(this.#oldDat)
      disk.closeSoon(this.#oldIdx)
      return undefined
    }
    close()
  }
}

/** The size that a damaged record is given: what `.idx` or its own header says, if the record is as long as that, or one that is. */
function sizeOfDamaged(record: Buffer, { sizeBytes }: IdxEntry): number {
  const told = [sizeBytes, codec.decodeHeader(record).sizeBytes]
  const fits = told.find((size) => codec.recordLength(size) === record.length)
  return fits ?? Math.max(0, record.length - codec.HEADER_BYTES - codec.TAIL_BYTES - 8)
}
