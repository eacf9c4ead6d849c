/**
 * One walk over one volume that is in use: every record that `.idx` speaks of is read and verified, and so are `.idx` itself
 * by its sidecar, and the small files. It reads a quarter of a megabyte at a time, without blocking the thread, and holds
 * the files only for that read. A compaction makes it begin again.
 */
import { crc32c } from '../base/checksum.ts'
import { StoreError, toStoreError } from '../base/errors.ts'
import { INDEX_BLOCK_BYTES, SMALL_RECORD_BYTES_MAX } from '../base/limits.ts'
import { DeadPlaces, readingAround } from './dead-places.ts'
import { readFileWhole } from './disk.ts'
import { decodeIdxEntry, IDX_ENTRY_BYTES, IDX_SIZE_DELETED, type IdxEntry } from './idx-entry.ts'
import { decodeSums, ENTRIES_PER_BLOCK } from './index-sums.ts'
import { LargeRecord } from './large-record.ts'
import * as codec from './needle.ts'
import { NeedleIndex } from './needle-index.ts'
import { isFillerKey } from './publish.ts'
import { RecordScanner, type Scanned } from './record-scanner.ts'
import { decodeSuperBlock, SUPER_BLOCK_BYTES } from './super-block.ts'
import type { ThreadContext } from './thread-context.ts'
import { decodeVolumeInfo } from './volume-info.ts'
import { EXTENSION, volumeBaseName } from './volume-paths.ts'
import { STATE, type VolumeSlot, WORD } from './volume-table.ts'

const WINDOW_BYTES = 256 * 1024
/** Of files that records speak of, read before others of the thread have their turn. */
const FOLLOWED_A_TURN_BYTES = 1024 * 1024
/** In what a scanner reads ahead. */
const DEAD_PLACES_MAX = 64
const FIRST_RECORD_UNITS = SUPER_BLOCK_BYTES / 8

/** What the scrub found damaged. */
export interface ScrubDamage {
  volumeId: number
  collection: string
  /** Extension of the file. */
  file: string
  /** Where in the file. */
  offsetBytes: number
  /** The record's, by `.idx`; undefined when no single record is meant. */
  key: { keyHigh: number; keyLow: number } | undefined
  /** The record's length in bytes; 0 when no single record is meant. */
  lengthBytes: number
  /** The key's present record: reads of it fail until it is repaired. */
  live: boolean
  reason: string
}

export interface ScrubCallbacks {
  onDamage: (damage: ScrubDamage) => void
  /** After so many records were verified; the caller notes how far the walk is. */
  onProgress: (records: number, position: ScrubPosition) => void
  /** Waits as long as so many bytes may take. Resolves to false when the scrub is to stop. */
  pace: (bytes: number) => Promise<boolean>
  follow?: FollowNeedle | undefined
}

/** Verifies what a live needle only refers to; gives the bytes that it read. Throws what is wrong with them. */
export type FollowNeedle = (slot: VolumeSlot, needle: codec.Needle) => number

/** Entries of `.idx` below this one are done, in this state of the files. */
export interface ScrubPosition {
  compactionRevision: number
  idxEntries: number
}

export type ScrubEnd = 'done' | 'stopped' | 'gone'

interface Files {
  generation: number
  dat: number
  idx: number
  fileSalt: number
  foreignUnits: number
}

/** The generation that a walk began with is not there any more. */
class FilesChanged extends Error {}

export class VolumeScrub {
  readonly #context: ThreadContext
  readonly #slot: VolumeSlot
  readonly #callbacks: ScrubCallbacks
  readonly #index: NeedleIndex
  readonly #incarnation: number
  readonly #window = Buffer.allocUnsafeSlow(SMALL_RECORD_BYTES_MAX)
  readonly #block = Buffer.allocUnsafeSlow(INDEX_BLOCK_BYTES)
  /** What belongs to one generation of the files. A swap in the middle of a read must not mix two of them. */
  #files: Files = { generation: 0, dat: -1, idx: -1, fileSalt: 0, foreignUnits: 0 }
  #windowAt = 0
  #windowBytes = 0
  /** Beside the records of the window. */
  #followedBytes = 0
  /** CRC32C of the blocks of `.idx`, as far as the sidecar covers it, and how many entries that is. */
  #sums: { checksums: number[]; entries: number } = { checksums: [], entries: 0 }
  /** Behind the last record that a good block of `.idx` spoke of. */
  #goodEndUnits = FIRST_RECORD_UNITS

  constructor(context: ThreadContext, slot: VolumeSlot, callbacks: ScrubCallbacks) {
    this.#context = context
    this.#slot = slot
    this.#callbacks = callbacks
    this.#index = new NeedleIndex(context.arena, slot.indexWords)
    this.#incarnation = slot.get(WORD.incarnation)
  }

  /** Walks from a position on, or from the start when that is of other files. Never throws for what the disk holds. */
  async run(from: ScrubPosition | undefined): Promise<ScrubEnd> {
    let start = from
    for (;;) {
      try {
        return await this.#walk(start)
      } catch (error) {
        if (!(error instanceof FilesChanged)) throw error
        if (!this.#isHere()) return 'gone'
        start = undefined
      }
    }
  }

  #isHere(): boolean {
    const slot = this.#slot
    return slot.get(WORD.state) === STATE.active && slot.get(WORD.incarnation) === this.#incarnation
  }

  async #walk(from: ScrubPosition | undefined): Promise<ScrubEnd> {
    if (!this.#isHere()) return 'gone'
    this.#files = this.#presentFiles()
    const compactionRevision = this.#slot.get(WORD.compactionRevision)
    const resumes = from?.compactionRevision === compactionRevision
    this.#windowBytes = 0
    this.#goodEndUnits = FIRST_RECORD_UNITS
    this.#sums = { checksums: [], entries: 0 }
    this.#checkSmallFiles()
    // What is written while the walk goes on waits for the next one.
    const entriesEnd = this.#slot.get(WORD.idxEntries)
    let done = resumes ? Math.min(from.idxEntries, entriesEnd) : 0
    // One block more, which says where the first record stands.
    done = Math.max(0, done - (done % ENTRIES_PER_BLOCK) - ENTRIES_PER_BLOCK)
    while (done < entriesEnd) {
      const end = Math.min(done + ENTRIES_PER_BLOCK, entriesEnd)
      if (!(await this.#scrubBlock(done, end))) return 'stopped'
      this.#callbacks.onProgress(end - done, { compactionRevision, idxEntries: end })
      done = end
    }
    return 'done'
  }

  #presentFiles(): Files {
    const slot = this.#slot
    const { generation } = slot
    const files = {
      generation,
      dat: slot.get(WORD.datHandle),
      idx: slot.get(WORD.idxHandle),
      fileSalt: slot.get(WORD.fileSalt),
      foreignUnits: slot.get(WORD.foreignUnits),
    }
    if ((generation & 1) === 1 || slot.generation !== generation) throw new FilesChanged()
    return files
  }

  /** Runs a step with the files pinned. Throws `FilesChanged` when they are not those that the walk began with. */
  async #pinned<T>(step: () => Promise<T>): Promise<T> {
    const pin = this.#slot.pin()
    try {
      if (this.#slot.generation !== this.#files.generation || !this.#isHere()) throw new FilesChanged()
      return await step()
    } finally {
      this.#slot.unpin(pin)
    }
  }

  // The small files

  #checkSmallFiles(): void {
    const directory = this.#context.directories[this.#slot.get(WORD.directory)] as string
    const base = volumeBaseName(this.#slot.collection, this.#slot.get(WORD.volumeId))
    const read = (extension: string) => readFileWhole(this.#context.disk, `${directory}/${base}${extension}`)
    this.#guarded(EXTENSION.cairn, () => {
      const bytes = read(EXTENSION.cairn)
      if (bytes === undefined) throw new StoreError('corrupt', 'missing')
      if (decodeVolumeInfo(bytes) === undefined)
        throw new StoreError('corrupt', 'it does not match its checksum')
    })
    this.#guarded(EXTENSION.sums, () => {
      const bytes = read(EXTENSION.sums)
      const sums = bytes === undefined ? undefined : decodeSums(bytes)
      if (bytes === undefined) throw new StoreError('corrupt', 'missing')
      if (sums === undefined) throw new StoreError('corrupt', 'it does not match its checksum')
      if (sums.compactionRevision !== this.#slot.get(WORD.compactionRevision))
        throw new StoreError('corrupt', 'it speaks of another .dat')
      this.#sums = { checksums: sums.blockChecksums, entries: sums.checkpoints.at(-1)?.idxEntries ?? 0 }
    })
    this.#guarded(EXTENSION.dat, () => {
      const bytes = Buffer.alloc(SUPER_BLOCK_BYTES)
      this.#context.disk.readSync(this.#files.dat, bytes, 0, bytes.length, 0)
      const block = decodeSuperBlock(bytes, '')
      const same =
        block.ttl === this.#slot.get(WORD.ttl) &&
        block.replicaPlacement === this.#slot.get(WORD.replicaPlacement) &&
        block.compactionRevision === this.#slot.get(WORD.compactionRevision)
      if (!same) throw new StoreError('corrupt', 'the super block is not what it was at the start')
    })
  }

  #guarded(file: string, check: () => void): void {
    try {
      check()
    } catch (error) {
      this.#report({ file, offsetBytes: 0, reason: toStoreError(error).message })
    }
  }

  #report(damage: Partial<ScrubDamage> & Pick<ScrubDamage, 'file' | 'offsetBytes' | 'reason'>): void {
    this.#callbacks.onDamage({
      volumeId: this.#slot.get(WORD.volumeId),
      collection: this.#slot.collection,
      key: undefined,
      lengthBytes: 0,
      live: false,
      ...damage,
    })
  }

  // Records

  /** The records of one block of `.idx`. False when the scrub is to stop. */
  async #scrubBlock(from: number, end: number): Promise<boolean> {
    const bytes = this.#block.subarray(0, (end - from) * IDX_ENTRY_BYTES)
    const isGood = await this.#pinned(() => this.#readBlock(bytes, from))
    if (!isGood) return this.#chain(from, end)
    const entries: IdxEntry[] = []
    for (let at = 0; at < bytes.length; at += IDX_ENTRY_BYTES) entries.push(decodeIdxEntry(bytes, at))
    entries.sort((a, b) => a.offsetUnits - b.offsetUnits)
    for (let first = 0; first < entries.length; ) {
      const count = this.#fitting(entries, first)
      const group = entries.slice(first, first + count)
      const read = await this.#pinned(() => this.#verifyGroup(group))
      if (read === undefined || !(await this.#callbacks.pace(read))) return false
      first += count
    }
    const last = entries.at(-1) as IdxEntry
    this.#goodEndUnits = Math.max(this.#goodEndUnits, last.offsetUnits + lengthOf(last) / 8)
    return true
  }

  /** Reads entries; false when the sidecar says that they are damaged, which is reported. */
  async #readBlock(bytes: Buffer, from: number): Promise<boolean> {
    const handle = this.#files.idx
    const offsetBytes = from * IDX_ENTRY_BYTES
    const count = await this.#context.disk.read(handle, bytes, 0, bytes.length, offsetBytes).catch(() => -1)
    const number = from / ENTRIES_PER_BLOCK
    const coveredBytes = Math.min(ENTRIES_PER_BLOCK, Math.max(0, this.#sums.entries - from)) * IDX_ENTRY_BYTES
    const isGood =
      count === bytes.length &&
      (coveredBytes === 0 || crc32c(bytes.subarray(0, coveredBytes)) === this.#sums.checksums[number])
    if (!isGood)
      this.#report({ file: EXTENSION.idx, offsetBytes, reason: 'a block does not match its checksum' })
    return isGood
  }

  /** How many entries from `first` on one read can serve; a large record stands alone. */
  #fitting(entries: IdxEntry[], first: number): number {
    const start = (entries[first] as IdxEntry).offsetUnits * 8
    let count = 0
    for (let i = first; i < entries.length; i++) {
      const entry = entries[i] as IdxEntry
      if (entry.offsetUnits * 8 + lengthOf(entry) - start > WINDOW_BYTES) break
      count++
    }
    return Math.max(1, count)
  }

  /** Verifies records that lie together. Resolves to the bytes read, or undefined when the scrub is to stop. */
  async #verifyGroup(group: IdxEntry[]): Promise<number | undefined> {
    const [first, last] = [group[0] as IdxEntry, group.at(-1) as IdxEntry]
    if (lengthOf(first) > SMALL_RECORD_BYTES_MAX) return this.#verifyLarge(first)
    const start = first.offsetUnits * 8
    const wanted = last.offsetUnits * 8 + lengthOf(last) - start
    const handle = this.#files.dat
    try {
      this.#windowBytes = await this.#context.disk.read(handle, this.#window, 0, wanted, start)
      this.#windowAt = start
    } catch (error) {
      // Which of them the disk does not give is found one by one.
      if (group.length > 1) return this.#verifySingly(group)
      this.#reportRecord(first, toStoreError(error).message)
      return wanted
    }
    this.#followedBytes = 0
    let turnAtBytes = FOLLOWED_A_TURN_BYTES
    for (const entry of group) {
      if (!isPlaceless(entry)) this.#verify(entry)
      if (this.#followedBytes < turnAtBytes) continue
      turnAtBytes = this.#followedBytes + FOLLOWED_A_TURN_BYTES
      await new Promise<void>((resolve) => this.#context.clock.soon(resolve))
    }
    return wanted + this.#followedBytes
  }

  async #verifySingly(group: IdxEntry[]): Promise<number | undefined> {
    let bytes = 0
    for (const entry of group) bytes += (await this.#verifyGroup([entry])) ?? 0
    return bytes
  }

  /** A record in the window. */
  #verify(entry: IdxEntry): void {
    const at = entry.offsetUnits * 8 - this.#windowAt
    const record = this.#window.subarray(at, Math.min(at + lengthOf(entry), this.#windowBytes))
    const reason = this.#faultOf(record, entry)
    if (reason !== undefined) this.#reportRecord(entry, reason)
  }

  #faultOf(record: Buffer, entry: IdxEntry): string | undefined {
    if (record.length < lengthOf(entry)) return 'damaged record: it is cut off'
    const header = codec.decodeHeader(record)
    const size = entry.sizeBytes === IDX_SIZE_DELETED ? 0 : entry.sizeBytes
    if (header.keyHigh !== entry.keyHigh || header.keyLow !== entry.keyLow || header.sizeBytes !== size)
      return 'damaged record: it has another key or size than the index says'
    const seed = codec.recordSeed(this.#files.fileSalt, entry.offsetUnits)
    const isForeign = entry.offsetUnits < this.#files.foreignUnits
    if (size === 0) {
      const kind = codec.emptyRecordKind(record, seed)
      const expected = entry.sizeBytes === IDX_SIZE_DELETED ? 'D' : 'E'
      return kind === expected || (kind === undefined && isForeign)
        ? undefined
        : 'damaged record: its checksum does not match'
    }
    try {
      const { hasTrailer, needle } = codec.decodeWhole(record, seed)
      if (!hasTrailer && !isForeign && !isFillerKey(entry)) return 'damaged record: its trailer is gone'
      const { follow } = this.#callbacks
      if (follow !== undefined && this.#isLive(entry)) this.#followedBytes += follow(this.#slot, needle)
      return undefined
    } catch (error) {
      return toStoreError(error).message
    }
  }

  /** A record above SMALL_RECORD_BYTES_MAX, piece by piece. */
  async #verifyLarge(entry: IdxEntry): Promise<number | undefined> {
    let damaged = false
    const place = {
      handle: this.#files.dat,
      offsetUnits: entry.offsetUnits,
      lengthBytes: lengthOf(entry),
      seed: codec.recordSeed(this.#files.fileSalt, entry.offsetUnits),
      onClose: () => undefined,
      onDamage: () => {
        damaged = true
      },
    }
    try {
      const large = await LargeRecord.open(this.#context.disk, place)
      const { needle, hasTrailer } = large.fields
      const isForeign = entry.offsetUnits < this.#files.foreignUnits || isFillerKey(entry)
      if (!hasTrailer && !isForeign) throw new StoreError('corrupt', 'damaged record: its trailer is gone')
      if (needle.keyHigh !== entry.keyHigh || needle.keyLow !== entry.keyLow)
        throw new StoreError('corrupt', 'damaged record: it has another key')
      if (large.fields.blockChecksumsOffset > 0) {
        for await (const piece of large.read(0, needle.dataSizeBytes)) {
          if (!(await this.#callbacks.pace(piece.length))) return undefined
        }
        return 0
      }
    } catch (error) {
      this.#reportRecord(entry, toStoreError(error).message)
      if (damaged) return 0
    }
    return lengthOf(entry)
  }

  #reportRecord(entry: IdxEntry, reason: string): void {
    // The place is one of files that are no more: the walk finds it again in the new ones.
    if (this.#slot.generation !== this.#files.generation) return
    const { keyHigh, keyLow, offsetUnits } = entry
    this.#report({
      file: EXTENSION.dat,
      offsetBytes: offsetUnits * 8,
      key: { keyHigh, keyLow },
      lengthBytes: lengthOf(entry),
      live: this.#isLive(entry),
      reason,
    })
  }

  /** The key's present record. */
  #isLive({ keyHigh, keyLow, offsetUnits }: IdxEntry): boolean {
    const known = this.#index.get(keyHigh, keyLow)
    return known && !this.#index.deleted && this.#index.offsetUnits === offsetUnits
  }

  // Where the index cannot be believed

  /**
   * The records that a damaged block of `.idx` spoke of, found by going from record to record from where the last good block
   * ended. Damage in a record there ends the chain: what is behind it waits until the index is made anew.
   */
  async #chain(from: number, end: number): Promise<boolean> {
    const { scanner, dead } = await this.#pinned(async () => this.#scannerAroundDead())
    const endUnits = this.#slot.lowWaterUnits()
    let at = this.#goodEndUnits
    for (let entry = from; entry < end && at < endUnits; entry++) {
      const scanned = await this.#pinned(() => this.#checkInChain(scanner, dead, at)).catch((error) => {
        if (toStoreError(error).code !== 'io_error') throw error
        return { ok: false, reason: toStoreError(error).message, isDead: true } as const
      })
      if (scanned === undefined) return true
      if (!scanned.ok) {
        // In SeaweedFS's part only the index can explain some delete markers.
        if (scanned.isDead || at >= this.#files.foreignUnits) {
          const reason = `damaged record, ${scanned.reason}`
          this.#report({ file: EXTENSION.dat, offsetBytes: at * 8, reason })
        }
        return true
      }
      at += scanned.record.lengthBytes / 8
      this.#goodEndUnits = at
      if (!(await this.#callbacks.pace(scanned.record.lengthBytes))) return false
    }
    return true
  }

  /** It reads far ahead: what it cannot read there must not keep it from what stands before. */
  #scannerAroundDead(): { scanner: RecordScanner; dead: DeadPlaces } {
    const { disk } = this.#context
    const dead = new DeadPlaces(disk, DEAD_PLACES_MAX, () => undefined)
    const around = readingAround(disk, () => dead, new Map([[this.#files.dat, dead]]))
    const file = {
      handle: this.#files.dat,
      fileSalt: this.#files.fileSalt,
      endBytes: this.#slot.lowWaterUnits() * 8,
    }
    return { scanner: new RecordScanner(around, file), dead }
  }

  /** Undefined for a large record, which would keep the thread busy. */
  async #checkInChain(
    scanner: RecordScanner,
    dead: DeadPlaces,
    at: number,
  ): Promise<(Scanned & { isDead: boolean }) | undefined> {
    const into = Buffer.alloc(codec.HEADER_BYTES)
    const read = { handle: this.#files.dat, into, intoOffset: 0, lengthBytes: into.length }
    await dead.read({ ...read, position: at * 8 })
    const lengthBytes = codec.recordLength(into.readUInt32BE(12))
    if (lengthBytes > SMALL_RECORD_BYTES_MAX) return undefined
    const scanned = scanner.check(at)
    const isDead = dead.within({ start: at * 8, end: at * 8 + lengthBytes }).length > 0
    return !scanned.ok && isDead
      ? { ...scanned, isDead, reason: 'the disk cannot read it' }
      : { ...scanned, isDead }
  }
}

function lengthOf(entry: IdxEntry): number {
  return codec.recordLength(entry.sizeBytes === IDX_SIZE_DELETED ? 0 : entry.sizeBytes)
}

/** SeaweedFS notes some deletions without a place. */
function isPlaceless(entry: IdxEntry): boolean {
  return entry.offsetUnits === 0
}
