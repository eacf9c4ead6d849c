/**
 * One thread's view of one volume: read, write, remove. All state is in the volume's slot of the shared table and in the
 * files, so any number of threads may have a view of the same volume.
 */
import { AssertionFailure, assert } from '../base/assert.ts'
import { StoreError, toStoreError } from '../base/errors.ts'
import type { Fid } from '../base/fid.ts'
import { SMALL_RECORD_BYTES_MAX } from '../base/limits.ts'
import { ttlSeconds } from '../base/ttl.ts'
import { AppendClock, type AppendTime, appendTimeToMs, laterTime } from './append-time.ts'
import { ExistingRecord } from './existing-record.ts'
import { decodeIdxEntry, IDX_ENTRY_BYTES, IDX_SIZE_DELETED, type IdxEntry } from './idx-entry.ts'
import { LargeRecord } from './large-record.ts'
import { writeLarge } from './large-write.ts'
import type { Needle, NeedleWrite, NewNeedle } from './needle.ts'
import * as codec from './needle.ts'
import { NeedleIndex } from './needle-index.ts'
import { isFillerKey, type Published, publishEntries, writeIdxEntries } from './publish.ts'
import { ReadPace } from './read-pace.ts'
import type { ThreadContext } from './thread-context.ts'
import { VolumeSync } from './volume-sync.ts'
import { FLAG, STATE, type VolumeSlot, WORD } from './volume-table.ts'

/** Records up to this size are read into a buffer that the next read uses again. */
const BORROWED_BYTES_MAX = 16 * 1024
/** Of `.idx`, looked through before others have their turn. */
const IDX_TURN_BYTES = 256 * 1024

export interface ReadOptions {
  /** Also serves a needle that was deleted, while its bytes are still there. */
  readDeleted?: boolean
  /**
   * Lends the thread's scratch for every small record, not only for those up to BORROWED_BYTES_MAX: no memory is taken.
   * Who must keep the bytes longer replaces `context.scratch` by a new buffer of its size.
   */
  borrow?: boolean
  /** Gives the memory for a small record that is not lent so; undefined, or none: it gets its own. */
  memory?: ((lengthBytes: number) => Buffer | undefined) | undefined
}
const NO_OPTIONS: ReadOptions = {}

export interface WriteResult {
  /** The same bytes were there already, and nothing was written. */
  unchanged: boolean
  /** CRC32C of the stored data. */
  checksum: number
  /** The record's `size` field. */
  sizeBytes: number
}

export class Volume {
  readonly id: number
  readonly collection: string
  /** From the super block. */
  readonly info: { ttl: number; replicaPlacement: number }
  readonly slot: VolumeSlot
  readonly context: ThreadContext
  readonly sync: VolumeSync
  readonly index: NeedleIndex
  readonly appendClock: AppendClock
  readonly existing: ExistingRecord
  readonly #marker = Buffer.alloc(codec.EMPTY_RECORD_BYTES)
  readonly #incarnation: number
  /** Of the one thread that syncs for others. */
  #syncForAll: VolumeSync | undefined
  readonly #pace: ReadPace

  constructor(context: ThreadContext, slot: VolumeSlot) {
    this.context = context
    this.#pace = new ReadPace(context.clock)
    this.slot = slot
    this.id = slot.get(WORD.volumeId)
    this.collection = slot.collection
    this.info = { ttl: slot.get(WORD.ttl), replicaPlacement: slot.get(WORD.replicaPlacement) }
    this.#incarnation = slot.get(WORD.incarnation)
    this.sync = new VolumeSync(context, slot)
    this.index = new NeedleIndex(context.arena, slot.indexWords)
    this.appendClock = new AppendClock(context.clock)
    this.existing = new ExistingRecord(context, slot, this.index)
  }

  /** Resolves when all that this thread wrote or removed before the call is on disk. Rejects with `io_error`. */
  durable(): Promise<void> {
    return this.sync.durable()
  }

  /** As `durable`, by an fdatasync of the caller's own. */
  durableAlone(): Promise<void> {
    return this.sync.durableAlone()
  }

  /**
   * Resolves when all that any thread of the process wrote before the call is on disk, and covers what they write from then on.
   * Rejects with `io_error`. For one thread of the process.
   */
  syncForAll(): Promise<void> {
    const sync = this.#coveringSync()
    sync.noteWrite()
    return sync.durable()
  }

  /** As `syncForAll`, while the thread waits. For a volume that is synced in this way only. Throws `io_error`. */
  syncForAllNow(): void {
    this.#coveringSync().syncNow()
  }

  #coveringSync(): VolumeSync {
    this.#syncForAll ??= new VolumeSync(this.context, this.slot, { covers: true })
    return this.#syncForAll
  }

  /** Gives back handles of files that a compaction has replaced. */
  releaseStale(): void {
    this.sync.releaseStale()
    this.#syncForAll?.releaseStale()
  }

  /** Gives back this thread's handles. */
  close(): void {
    this.sync.close()
    this.#syncForAll?.close()
  }

  /** False once the volume was removed; its slot may belong to another one by then. */
  #isHere(): boolean {
    return this.slot.get(WORD.state) === STATE.active && this.slot.get(WORD.incarnation) === this.#incarnation
  }

  // Reading

  /**
   * The needle, verified, or undefined when it is missing, deleted, expired, or has another cookie.
   * Throws (or rejects with) `corrupt` and `io_error`. A promise only for large records and while the disk is slow.
   */
  read(fid: Fid, options: ReadOptions = NO_OPTIONS): Needle | undefined | Promise<Needle | undefined> {
    const place = this.#locate(fid)
    if (place === undefined) return options.readDeleted === true ? this.#readDeleted(fid) : undefined
    if (place.lengthBytes > SMALL_RECORD_BYTES_MAX) return this.#readLarge(fid, place)
    if (this.#pace.isSlow()) return this.#readSlow(fid, place)
    try {
      const borrowed = options.borrow === true || place.lengthBytes <= BORROWED_BYTES_MAX
      const record = borrowed
        ? this.context.scratch.subarray(0, place.lengthBytes)
        : (options.memory?.(place.lengthBytes) ?? Buffer.allocUnsafeSlow(place.lengthBytes))
      const startMs = this.#pace.begin()
      const count = this.context.disk.readSync(
        place.handle,
        record,
        0,
        place.lengthBytes,
        place.offsetUnits * 8,
      )
      this.#pace.end(startMs)
      return this.#accept(fid, place, record.subarray(0, count), borrowed)
    } catch (error) {
      throw this.#readFailed(error, fid, place)
    } finally {
      this.slot.unpin(place.pin)
    }
  }

  /** Finds the record, and pins the file that it is in; the caller unpins. */
  #locate(fid: Fid): Place | undefined {
    for (;;) {
      const generation = this.slot.generation
      const pin = this.slot.pin()
      const found = this.#isHere() && this.index.get(fid.keyHigh, fid.keyLow) && !this.index.deleted
      const { offsetUnits, lengthUnits } = this.index
      const handle = this.slot.get(WORD.datHandle)
      const fileSalt = this.slot.get(WORD.fileSalt)
      const foreignUnits = this.slot.get(WORD.foreignUnits)
      if (this.slot.generation !== generation) {
        this.slot.unpin(pin)
        continue
      }
      if (found) {
        const seed = codec.recordSeed(fileSalt, offsetUnits)
        const mayLackTrailer = offsetUnits < foreignUnits
        return { pin, handle, offsetUnits, lengthBytes: lengthUnits * 8, seed, mayLackTrailer }
      }
      this.slot.unpin(pin)
      return undefined
    }
  }

  /** What was deleted, while its bytes are still there. */
  async #readDeleted(fid: Fid): Promise<Needle | undefined> {
    for (;;) {
      const generation = this.slot.generation
      const pin = this.slot.pin()
      const isDeleted = this.#isHere() && this.index.get(fid.keyHigh, fid.keyLow) && this.index.deleted
      const [handle, idxHandle] = [this.slot.get(WORD.datHandle), this.slot.get(WORD.idxHandle)]
      const entries = this.slot.get(WORD.idxEntries)
      const fileSalt = this.slot.get(WORD.fileSalt)
      const foreignUnits = this.slot.get(WORD.foreignUnits)
      const isOne = this.slot.generation === generation
      let entry: IdxEntry | undefined
      try {
        if (isOne && isDeleted) entry = await this.#earlierEntry(fid, idxHandle, entries)
      } catch (error) {
        this.slot.unpin(pin)
        throw toFailure(error)
      }
      if (entry === undefined) {
        this.slot.unpin(pin)
        if (isOne) return undefined
        continue
      }
      const { offsetUnits, sizeBytes } = entry
      const lengthBytes = codec.recordLength(sizeBytes)
      const seed = codec.recordSeed(fileSalt, offsetUnits)
      const place = {
        pin,
        handle,
        offsetUnits,
        lengthBytes,
        seed,
        mayLackTrailer: offsetUnits < foreignUnits,
      }
      return await (lengthBytes > SMALL_RECORD_BYTES_MAX
        ? this.#readLarge(fid, place)
        : this.#readSlow(fid, place))
    }
  }

  /** The last entry of the key in `.idx` that is no deletion. Reads all of `.idx` if need be, and others have their turn. */
  async #earlierEntry(fid: Fid, handle: number, entries: number): Promise<IdxEntry | undefined> {
    const block = Buffer.alloc(IDX_TURN_BYTES)
    for (let end = entries * IDX_ENTRY_BYTES; end > 0; end -= block.length) {
      const start = Math.max(0, end - block.length)
      const count = await this.context.disk.read(handle, block, 0, end - start, start)
      for (let at = count - IDX_ENTRY_BYTES; at >= 0; at -= IDX_ENTRY_BYTES) {
        const entry = decodeIdxEntry(block, at)
        if (entry.keyHigh !== fid.keyHigh || entry.keyLow !== fid.keyLow) continue
        if (entry.sizeBytes !== IDX_SIZE_DELETED) return entry
      }
    }
    return undefined
  }

  /** Verifies a record that was read whole. */
  #accept(fid: Fid, place: Place, record: Buffer, borrowed: boolean): Needle | undefined {
    if (record.length !== place.lengthBytes) throw new StoreError('corrupt', 'damaged record: it is cut off')
    const fields = codec.decodeWhole(record, place.seed)
    fields.needle.borrowed = borrowed
    return this.#acceptFields(fid, place, fields)
  }

  #acceptFields(fid: Fid, place: Place, fields: codec.RecordFields): Needle | undefined {
    const { needle } = fields
    if (needle.keyHigh !== fid.keyHigh || needle.keyLow !== fid.keyLow) {
      throw new StoreError('corrupt', 'damaged record: it has another key')
    }
    if (!fields.hasTrailer) {
      if (!place.mayLackTrailer) throw new StoreError('corrupt', 'damaged record: its trailer is gone')
      this.slot.add(WORD.trailerless, 1)
    }
    if (needle.cookie !== fid.cookie) return undefined
    if (needle.ttl !== 0 && this.#isExpired(needle)) return undefined
    return needle
  }

  #isExpired(needle: Needle): boolean {
    const bornMs = appendTimeToMs({ high: needle.appendNsHigh, low: needle.appendNsLow })
    return this.context.clock.nowMs() > bornMs + ttlSeconds(needle.ttl) * 1000
  }

  async #readSlow(fid: Fid, place: Place): Promise<Needle | undefined> {
    try {
      const record = Buffer.allocUnsafeSlow(place.lengthBytes)
      const count = await this.context.disk.read(
        place.handle,
        record,
        0,
        place.lengthBytes,
        place.offsetUnits * 8,
      )
      return this.#accept(fid, place, record.subarray(0, count), false)
    } catch (error) {
      throw this.#readFailed(error, fid, place)
    } finally {
      this.slot.unpin(place.pin)
    }
  }

  async #readLarge(fid: Fid, place: Place): Promise<Needle | undefined> {
    let kept = false
    try {
      const large = await LargeRecord.open(this.context.disk, {
        ...place,
        pieces: this.context.pieces,
        pace: this.#pace,
        onClose: () => this.slot.unpin(place.pin),
        onDamage: (reason) => this.noteDamage(fid, reason, place),
      })
      const needle = this.#acceptFields(fid, place, large.fields)
      if (needle !== undefined) {
        needle.large = large
        kept = true
      }
      return needle
    } catch (error) {
      throw this.#readFailed(error, fid, place)
    } finally {
      if (!kept) this.slot.unpin(place.pin)
    }
  }

  #readFailed(error: unknown, fid: Fid, place: Place): Error {
    const failure = toFailure(error)
    if (failure instanceof StoreError && failure.code === 'corrupt')
      this.noteDamage(fid, failure.message, place)
    return failure
  }

  /** Counts it, and tells who looks after this thread. */
  protected noteDamage(fid: Fid, reason: string, place?: { offsetUnits: number }): void {
    this.slot.add(WORD.damageFound, 1)
    const offsetBytes = place && place.offsetUnits * 8
    this.context.onDamage?.({ volumeId: this.id, fid, offsetBytes, reason })
  }

  /** Under the lock, or with a place that `#locate` gave: a compaction changes the salt. */
  #seed(offsetUnits: number): number {
    return codec.recordSeed(this.slot.get(WORD.fileSalt), offsetUnits)
  }

  // Writing

  /**
   * Appends a needle, or finds that it is there already. Not durable before `durable()` resolves.
   * Throws (or rejects with) `read_only`, `volume_full`, `disk_full`, `index_full`, `io_error`, `cookie_mismatch`,
   * `too_large`, `bad_request`, and `not_found` for a repair of what was deleted. A promise only for large records.
   */
  write(given: NeedleWrite): WriteResult | Promise<WriteResult> {
    const needle = this.#withTtl(given)
    codec.checkNeedle(needle)
    if (isFillerKey(needle)) throw new StoreError('bad_request', 'key 0 is never assigned')
    const lengthBytes = codec.recordLength(codec.needleSize(needle))
    if (lengthBytes > SMALL_RECORD_BYTES_MAX) return writeLarge(this, needle)
    const record = this.context.scratch
    const encoded = codec.encodeNeedle(needle, record)
    this.sync.prepare()
    this.slot.lock()
    try {
      this.assertWritable(lengthBytes)
      this.assertMayWrite(needle)
      const existing = needle.isKnownToDiffer === true ? undefined : this.existing.header(needle)
      if (existing !== undefined && this.existing.isUnchanged(needle, encoded)) {
        this.sync.noteWrite()
        return { unchanged: true, checksum: encoded.checksum, sizeBytes: encoded.sizeBytes }
      }
      const offsetUnits = this.slot.get(WORD.tailUnits)
      const time = this.appendClock.next(this.slot)
      codec.sealRecord(record, encoded, this.seal(offsetUnits, time))
      const entry = { ...needleKey(needle), offsetUnits, sizeBytes: encoded.sizeBytes }
      this.#append(record, [entry], lengthBytes)
    } catch (error) {
      throw toFailure(error)
    } finally {
      this.slot.unlock()
    }
    this.sync.noteWrite()
    return { unchanged: false, checksum: encoded.checksum, sizeBytes: encoded.sizeBytes }
  }

  /**
   * Appends needles in their order by one write: the first ones, as many as the thread's scratch holds. Gives how many. All are
   * known to differ from what their keys have. Throws as `write`, and then none was written.
   */
  writeMany(needles: readonly NewNeedle[]): number {
    const { entries, encoded, lengthBytes } = this.#encodeMany(needles)
    const records = this.context.scratch
    this.sync.prepare()
    this.slot.lock()
    try {
      this.assertWritable(lengthBytes, entries.length)
      const startUnits = this.slot.get(WORD.tailUnits)
      const fileSalt = this.slot.get(WORD.fileSalt)
      const times = this.appendClock.nextMany(this.slot, entries.length)
      for (let at = 0; at < entries.length; at++) {
        const entry = entries[at]!
        entry.offsetUnits += startUnits
        const { high: appendNsHigh, low: appendNsLow } = laterTime(times, at)
        const seed = codec.recordSeed(fileSalt, entry.offsetUnits)
        codec.sealRecord(encoded[at]!.record, encoded[at]!, { seed, appendNsHigh, appendNsLow })
      }
      return this.#append(records, entries, lengthBytes)
    } catch (error) {
      throw toFailure(error)
    } finally {
      this.slot.unlock()
      this.sync.noteWrite()
    }
  }

  /** Into the scratch, one behind the other; their entries have places from there. */
  #encodeMany(needles: readonly NewNeedle[]) {
    const { scratch } = this.context
    const entries: IdxEntry[] = []
    const encoded: (codec.EncodedNeedle & { record: Buffer })[] = []
    let lengthBytes = 0
    for (const given of needles) {
      const needle = this.#withTtl(given)
      codec.checkNeedle(needle)
      if (isFillerKey(needle)) throw new StoreError('bad_request', 'key 0 is never assigned')
      const nextBytes = codec.recordLength(codec.needleSize(needle))
      if (lengthBytes + nextBytes > scratch.length) break
      const record = scratch.subarray(lengthBytes)
      const { sizeBytes, checksum } = codec.encodeNeedle(needle, record)
      encoded.push({ sizeBytes, lengthBytes: nextBytes, checksum, record })
      const { keyHigh, keyLow } = needle
      entries.push({ keyHigh, keyLow, offsetUnits: lengthBytes / 8, sizeBytes })
      lengthBytes += nextBytes
    }
    assert(entries.length > 0, 'none is large')
    return { entries, encoded, lengthBytes }
  }

  #withTtl<N extends NewNeedle>(given: N): N {
    return given.ttl === 0 && this.info.ttl !== 0 ? { ...given, ttl: this.info.ttl } : given
  }

  /**
   * Appends a delete marker. Returns the `size` field of what was deleted, or undefined when there was nothing.
   * Throws `cookie_mismatch`, `read_only`, `disk_full`, `io_error`.
   */
  remove(fid: Fid): { sizeBytes: number } | undefined {
    this.sync.prepare()
    this.slot.lock()
    try {
      if (!this.#isHere()) throw new StoreError('volume_not_found', `volume ${this.id} is not here any more`)
      if (!this.index.get(fid.keyHigh, fid.keyLow) || this.index.deleted) return undefined
      this.#assertNotBlocked(FLAG.readOnly | FLAG.failed)
      if (!this.#hasRoomFor(codec.EMPTY_RECORD_BYTES))
        throw new StoreError('volume_full', 'the volume is full')
      const existing = this.existing.header(fid)
      if (existing === undefined) return undefined
      const offsetUnits = this.slot.get(WORD.tailUnits)
      const time = this.appendClock.next(this.slot)
      codec.encodeDeleteMarker(fid, this.seal(offsetUnits, time), this.#marker)
      const entry = { ...needleKey(fid), offsetUnits, sizeBytes: IDX_SIZE_DELETED }
      this.#append(this.#marker, [entry], codec.EMPTY_RECORD_BYTES)
      this.sync.noteWrite()
      return { sizeBytes: existing.sizeBytes }
    } catch (error) {
      throw toFailure(error)
    } finally {
      this.slot.unlock()
    }
  }

  /**
   * Under the lock: writes records, one behind the other, and their index entries, and makes them visible. Gives how many: fewer
   * than all when the index takes no more. Leaves no trace when it throws.
   */
  #append(records: Buffer, entries: readonly IdxEntry[], lengthBytes: number): number {
    const { disk } = this.context
    const datHandle = this.slot.get(WORD.datHandle)
    const startUnits = this.slot.get(WORD.tailUnits)
    let published: Published = { count: 0, lengthUnits: 0, error: undefined }
    try {
      disk.writeSync(datHandle, records, 0, lengthBytes, startUnits * 8)
      writeIdxEntries(disk, this.slot, entries)
      published = publishEntries(this.slot, this.index, entries)
    } catch (error) {
      published.error = error
    }
    const endUnits = startUnits + published.lengthUnits
    if (published.error !== undefined) {
      this.noteWriteFailure(published.error)
      this.#cutAt(endUnits)
      if (published.count === 0) throw toStoreError(published.error)
    }
    this.noteModified()
    this.advanceTail(startUnits, endUnits)
    return published.count
  }

  #cutAt(endUnits: number): void {
    try {
      this.context.disk.truncateSync(this.slot.get(WORD.datHandle), endUnits * 8)
    } catch {
      this.slot.setFlag(FLAG.failed)
    }
  }

  /** Under the lock. The masters are told at once that a volume has become full. */
  advanceTail(fromUnits: number, tailUnits: number): void {
    this.slot.set(WORD.tailUnits, tailUnits)
    const limit = this.slot.get(WORD.sizeLimitUnits)
    if (fromUnits < limit && tailUnits >= limit) this.context.table.callKeeper()
  }

  /** Under the lock, after an entry was published. */
  noteModified(): void {
    this.slot.set(WORD.modifiedS, Math.floor(this.context.clock.nowMs() / 1000))
  }

  /** Throws what keeps that many records, of that length together, from being appended. Under the lock. */
  assertWritable(lengthBytes: number, records = 1): void {
    this.#assertNotBlocked(FLAG.readOnly | FLAG.failed | FLAG.diskFull)
    if (!this.#hasRoomFor(lengthBytes)) {
      throw new StoreError('volume_full', `volume ${this.id} is full`)
    }
    if (!this.index.hasRoom(records))
      throw new StoreError('index_full', 'the memory for needle indexes is used up')
  }

  #hasRoomFor(lengthBytes: number): boolean {
    return this.slot.get(WORD.tailUnits) + lengthBytes / 8 <= 0xffffffff
  }

  #assertNotBlocked(flags: number): void {
    if (!this.#isHere()) {
      throw new StoreError('volume_not_found', `volume ${this.id} is not here any more`)
    }
    const blocked = this.slot.get(WORD.flags) & flags
    if (blocked === 0) return
    if ((blocked & FLAG.failed) !== 0) {
      throw new StoreError('io_error', `volume ${this.id} failed and takes no more writes`)
    }
    if ((blocked & FLAG.readOnly) !== 0) throw new StoreError('read_only', `volume ${this.id} is read only`)
    throw new StoreError('disk_full', `volume ${this.id}: no space left on its disk`)
  }

  /** Throws `not_found` when a repair would bring back what was deleted. Under the lock. */
  assertMayWrite({ keyHigh, keyLow, isRepair }: NeedleWrite): void {
    if (isRepair && this.index.get(keyHigh, keyLow) && this.index.deleted)
      throw new StoreError('not_found', 'it was deleted, and is not to be repaired')
  }

  /** After a failed write: a full disk is waited out, a disk that fails ends the volume's writes. */
  noteWriteFailure(error: unknown): void {
    const { code } = toStoreError(error)
    if (code === 'disk_full') this.slot.setFlag(FLAG.diskFull)
    if (code === 'io_error') this.slot.setFlag(FLAG.failed)
  }

  seal(offsetUnits: number, time: AppendTime): codec.Seal {
    return { seed: this.#seed(offsetUnits), appendNsHigh: time.high, appendNsLow: time.low }
  }
}

/** Where a record is. */
interface Place {
  pin: number
  handle: number
  offsetUnits: number
  lengthBytes: number
  seed: number
  mayLackTrailer: boolean
}

function needleKey(from: { keyHigh: number; keyLow: number }): { keyHigh: number; keyLow: number } {
  return { keyHigh: from.keyHigh, keyLow: from.keyLow }
}

/** What a caller gets to see: a StoreError, unless a bug was found. */
function toFailure(error: unknown): Error {
  return error instanceof AssertionFailure ? error : toStoreError(error)
}
