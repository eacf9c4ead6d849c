/** Finding a volume's salt in its records, should `.cairn` be lost: a CRC is linear in its start value. */
import { isUnreadable } from './dead-sectors.ts'
import type { Disk } from './disk.ts'
import * as codec from './needle.ts'
import { RecordScanner } from './record-scanner.ts'
import { SUPER_BLOCK_BYTES } from './super-block.ts'

const RECORDS_MAX = 100_000
const RECORD_BYTES_MAX = 4 * 1024 * 1024
const VOTES_MAX = 16
const WINDOW_BYTES = 64 * 1024
/** What is read of a place that is not behind the last one. */
const JUMP_BYTES = 4096
/** Length, version and CRC at the end of a trailer. */
const TRAILER_END_BYTES = 7
/** Behind damage, the next record is looked for within so much. */
const SEARCH_BYTES = 1024 * 1024
const SEALED_RECORDS_MAX = 64

/**
 * The salt on which most of the first records with a trailer agree; undefined when none has one. Throws the disk's error when there
 * may be one that cannot be read.
 */
export function saltFromRecords(
  disk: Disk,
  datHandle: number,
  compactionRevision: number,
): number | undefined {
  const bytes = new NearBytes(disk, datHandle)
  const votes = new Map<number, number>()
  let found = 0
  let at = SUPER_BLOCK_BYTES
  for (let records = 0; found < VOTES_MAX && records < RECORDS_MAX; records++) {
    const lengthBytes = bytes.lengthAt(at)
    if (lengthBytes === undefined) {
      const next = bytes.isCutOff(at) ? undefined : bytes.nextSealed(at + 8)
      if (next === undefined) break
      at = next
      continue
    }
    const seed = bytes.seedAt(at, lengthBytes)
    if (seed !== undefined) {
      const salt = codec.revisionSalt(codec.recordSeed(seed, at / 8), compactionRevision)
      votes.set(salt, (votes.get(salt) ?? 0) + 1)
      found++
    }
    at += lengthBytes
  }
  if (found === 0 && bytes.failure !== undefined) throw bytes.failure
  return [...votes].sort((a, b) => b[1] - a[1])[0]?.[0]
}

/** Parts of a `.dat`, of records without trailer no more than it takes to tell that they have none. */
class NearBytes {
  /** Why something could not be read. */
  failure: unknown
  readonly #disk: Disk
  readonly #handle: number
  readonly #endBytes: number
  readonly #window = Buffer.allocUnsafe(WINDOW_BYTES)
  #windowAt = 0
  #windowBytes = 0

  constructor(disk: Disk, handle: number) {
    this.#disk = disk
    this.#handle = handle
    this.#endBytes = disk.sizeSync(handle)
  }

  isCutOff(at: number): boolean {
    return at + codec.DATA_OFFSET > this.#endBytes
  }

  /** The length of a record by its header; undefined where none can stand, or where it cannot be read. */
  lengthAt(at: number): number | undefined {
    const header = this.#part(at, codec.HEADER_BYTES)
    if (header === undefined) return undefined
    const lengthBytes = codec.recordLength(header.readUInt32BE(12))
    return at + lengthBytes > this.#endBytes ? undefined : lengthBytes
  }

  seedAt(at: number, lengthBytes: number): number | undefined {
    if (lengthBytes > RECORD_BYTES_MAX || !this.#mayHaveTrailer(at)) return undefined
    const record = this.#part(at, lengthBytes)
    return record && codec.seedOfRecord(record)
  }

  /** The next place at which a record with a trailer stands, as far as that can be told without the salt. */
  nextSealed(from: number): number | undefined {
    for (let at = from; at < from + SEARCH_BYTES && !this.isCutOff(at); at += 8) {
      const lengthBytes = this.lengthAt(at)
      if (lengthBytes !== undefined && this.seedAt(at, lengthBytes) !== undefined) return at
    }
    return undefined
  }

  #mayHaveTrailer(at: number): boolean {
    const head = this.#part(at, codec.DATA_OFFSET)
    if (head === undefined) return false
    const [sizeBytes, dataBytes] = [head.readUInt32BE(12), head.readUInt32BE(codec.HEADER_BYTES)]
    if (dataBytes + 4 + 1 + codec.TAIL_BYTES + TRAILER_END_BYTES > sizeBytes) return false
    const flags = this.#part(at + codec.DATA_OFFSET + dataBytes, 1)?.[0] ?? 0
    if ((flags & codec.FLAG_TRAILER) === 0) return false
    const end = this.#part(at + codec.HEADER_BYTES + sizeBytes - TRAILER_END_BYTES, 3)
    return end !== undefined && codec.looksLikeTrailer(end, dataBytes)
  }

  /** Undefined behind the end, and where it cannot be read. Small parts come from a window, which is good until the next call. */
  #part(at: number, lengthBytes: number): Buffer | undefined {
    if (at + lengthBytes > this.#endBytes) return undefined
    try {
      if (lengthBytes > WINDOW_BYTES) return this.#read(at, Buffer.allocUnsafe(lengthBytes))
      if (at < this.#windowAt || at + lengthBytes > this.#windowAt + this.#windowBytes)
        this.#fill(at, lengthBytes)
      const start = at - this.#windowAt
      return this.#window.subarray(start, start + lengthBytes)
    } catch (error) {
      if (!isUnreadable(error)) throw error
      this.failure ??= error
      return this.#alone(at, lengthBytes)
    }
  }

  #fill(at: number, lengthBytes: number): void {
    const isNext = at >= this.#windowAt && at <= this.#windowAt + this.#windowBytes
    const most = isNext ? WINDOW_BYTES : Math.max(JUMP_BYTES, lengthBytes)
    const wanted = Math.min(most, this.#endBytes - at)
    this.#windowBytes = 0
    this.#windowBytes = this.#read(at, this.#window.subarray(0, wanted)).length
    this.#windowAt = at
  }

  #alone(at: number, lengthBytes: number): Buffer | undefined {
    try {
      return this.#read(at, Buffer.allocUnsafe(lengthBytes))
    } catch (error) {
      if (isUnreadable(error)) return undefined
      throw error
    }
  }

  #read(at: number, into: Buffer): Buffer {
    return into.subarray(0, this.#disk.readSync(this.#handle, into, 0, into.length, at))
  }
}

/** Whether the first records of a `.dat`, or one near them, are sealed with that salt. */
export function isSealedWith(disk: Disk, datHandle: number, fileSalt: number): boolean {
  const sizeBytes = disk.sizeSync(datHandle)
  const endBytes = sizeBytes - (sizeBytes % 8)
  const scanner = new RecordScanner(disk, { handle: datHandle, fileSalt, endBytes })
  let at = SUPER_BLOCK_BYTES / 8
  for (let records = 0; records < SEALED_RECORDS_MAX && at * 8 < endBytes; records++) {
    const scanned = scanner.check(at)
    if (scanned.ok ? scanned.record.hasTrailer : scanned.lengthBytes !== undefined) return true
    if (!scanned.ok) break
    at += scanned.record.lengthBytes / 8
  }
  return scanner.search(at, at + SEARCH_BYTES / 8) !== undefined
}
