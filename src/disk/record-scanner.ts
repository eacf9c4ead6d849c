/**
 * Walks the records of a `.dat`, verifies each, and finds the next one behind damage. For recovery and offline checks. What
 * the disk cannot read is damage as well.
 */
import { crc32c } from '../base/checksum.ts'
import { StoreError } from '../base/errors.ts'
import { PIECE_BYTES, readAround } from './dead-sectors.ts'
import type { Disk } from './disk.ts'
import * as codec from './needle.ts'

const WINDOW_BYTES = 4 * 1024 * 1024
/** A disk that cannot read more pieces than that, of 4 KiB, has no bad places: it is dead. */
const UNREADABLE_PIECES_MAX = 4096

export interface ScannedRecord {
  header: codec.RecordHeader
  offsetUnits: number
  lengthBytes: number
  appendNsHigh: number
  appendNsLow: number
  /** `unknown`: of size 0 and not written by Cairn, so that only `.idx` can tell an empty file from a delete marker. */
  kind: 'file' | 'delete' | 'unknown' | 'filler'
  hasTrailer: boolean
}

/** What stands at a place: a record, or damage. */
export type Scanned = { ok: true; record: ScannedRecord } | Damage

export interface Damage {
  ok: false
  reason: string
  /** These two are there when the record's frame, by its trailer, is right. */
  lengthBytes: number | undefined
  header: codec.RecordHeader | undefined
  /** The disk could not read a part of it. */
  isUnreadable: boolean
}

export class RecordScanner {
  readonly #disk: Disk
  readonly #handle: number
  readonly #fileSalt: number
  readonly #endBytes: number
  readonly #window = Buffer.allocUnsafeSlow(WINDOW_BYTES)
  #windowAt = 0
  #windowBytes = 0
  /** Numbers of the pieces that the disk could not read. */
  readonly #unreadable = new Set<number>()
  #hasMetUnreadable = false

  /** `endBytes`: where the records end; a multiple of 8. */
  constructor(disk: Disk, file: { handle: number; fileSalt: number; endBytes: number }) {
    this.#disk = disk
    this.#handle = file.handle
    this.#fileSalt = file.fileSalt
    this.#endBytes = file.endBytes
  }

  /** Whether the disk could not read something there, of what was asked for so far. */
  hasUnreadable(fromBytes: number, toBytes = Number.POSITIVE_INFINITY): boolean {
    for (const piece of this.#unreadable) {
      if ((piece + 1) * PIECE_BYTES > fromBytes && piece * PIECE_BYTES < toBytes) return true
    }
    return false
  }

  /** Bytes of the file, from the window; shorter at the end. The view is good until the next call. Throws `corrupt`. */
  #bytes(position: number, lengthBytes: number): Buffer {
    const wanted = Math.min(lengthBytes, this.#endBytes - position)
    if (!this.#isInWindow(position, wanted)) {
      // A read that fails leaves nothing.
      this.#windowBytes = 0
      const length = Math.min(WINDOW_BYTES, this.#endBytes - position)
      this.#windowBytes = this.#read(position, this.#window.subarray(0, length))
      this.#windowAt = position
    }
    this.#assertReadable(position, wanted)
    const start = position - this.#windowAt
    return this.#window.subarray(start, Math.min(start + wanted, this.#windowBytes))
  }

  /** A few bytes that may be far from those that are looked at: they do not move the window. Throws `corrupt`. */
  #farBytes(position: number, lengthBytes: number): Buffer {
    if (this.#isInWindow(position, lengthBytes)) return this.#bytes(position, lengthBytes)
    const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(lengthBytes, this.#endBytes - position)))
    const count = this.#read(position, bytes)
    this.#assertReadable(position, count)
    return bytes.subarray(0, count)
  }

  #isInWindow(position: number, lengthBytes: number): boolean {
    return position >= this.#windowAt && position + lengthBytes <= this.#windowAt + this.#windowBytes
  }

  #read(position: number, into: Buffer): number {
    return readAround(this.#disk, { handle: this.#handle, position }, into, (fromBytes) => {
      this.#unreadable.add(Math.floor(fromBytes / PIECE_BYTES))
      if (this.#unreadable.size > UNREADABLE_PIECES_MAX)
        throw new StoreError('io_error', 'the disk cannot read the file in too many places')
    })
  }

  #assertReadable(position: number, lengthBytes: number): void {
    if (this.#unreadable.size === 0) return
    const last = Math.floor((position + lengthBytes - 1) / PIECE_BYTES)
    for (let piece = Math.floor(position / PIECE_BYTES); piece <= last; piece++) {
      if (!this.#unreadable.has(piece)) continue
      this.#hasMetUnreadable = true
      throw new StoreError('corrupt', 'that the disk cannot read')
    }
  }

  /** Verifies what stands at that place, data included. Throws `io_error`s of the disk. */
  check(offsetUnits: number): Scanned {
    this.#hasMetUnreadable = false
    try {
      return this.#check(offsetUnits)
    } catch (error) {
      if (isCorrupt(error)) return this.#damage(error.message)
      throw error
    }
  }

  #check(offsetUnits: number): Scanned {
    const position = offsetUnits * 8
    const head = this.#bytes(position, codec.HEADER_BYTES + 4)
    if (head.length < codec.HEADER_BYTES + 4) return this.#damage('cut off')
    const header = codec.decodeHeader(head)
    const lengthBytes = codec.recordLength(header.sizeBytes)
    if (position + lengthBytes > this.#endBytes) return this.#damage('cut off')
    if (header.sizeBytes === 0) return this.#checkEmpty(offsetUnits, header)
    if (header.sizeBytes < 4) return this.#damage('of an impossible size')
    const dataBytes = head.readUInt32BE(codec.HEADER_BYTES)
    const { fields } = this.#frame(offsetUnits, header, dataBytes)
    const { hasTrailer } = fields
    const wrong = this.#wrongData(fields, position, dataBytes)
    if (wrong !== undefined) return this.#damage(wrong, hasTrailer ? header : undefined)
    const { appendNsHigh, appendNsLow } = fields.needle
    const kind = header.keyHigh === 0 && header.keyLow === 0 ? 'filler' : 'file'
    return {
      ok: true,
      record: { header, offsetUnits, lengthBytes, appendNsHigh, appendNsLow, kind, hasTrailer },
    }
  }

  /** What is wrong with a record's data, if something is. */
  #wrongData(fields: codec.RecordFields, position: number, dataBytes: number): string | undefined {
    try {
      const matches = codec.checksumMatches(fields, this.#dataChecksum(position, dataBytes))
      return matches ? undefined : 'with damaged data'
    } catch (error) {
      if (isCorrupt(error)) return error.message
      throw error
    }
  }

  #damage(reason: string, header?: codec.RecordHeader): Damage {
    const lengthBytes = header === undefined ? undefined : codec.recordLength(header.sizeBytes)
    return { ok: false, reason, lengthBytes, header, isUnreadable: this.#hasMetUnreadable }
  }

  /** What a record's header says; undefined behind the end, and where it cannot be read. */
  headerAt(offsetUnits: number): codec.RecordHeader | undefined {
    const head = this.#readable(offsetUnits, codec.HEADER_BYTES)
    return head === undefined || head.length < codec.HEADER_BYTES ? undefined : codec.decodeHeader(head)
  }

  /** Decodes a record without its data; throws `corrupt`. */
  #frame(offsetUnits: number, header: codec.RecordHeader, dataBytes: number): { fields: codec.RecordFields } {
    const restBytes = restOf(header.sizeBytes, dataBytes)
    if (restBytes === undefined) throw new StoreError('corrupt', 'with an impossible data size')
    const position = offsetUnits * 8
    const frame = Buffer.allocUnsafe(codec.DATA_OFFSET + restBytes)
    this.#bytes(position, codec.DATA_OFFSET).copy(frame)
    const rest = this.#farBytes(position + codec.DATA_OFFSET + dataBytes, restBytes)
    if (rest.length < restBytes) throw new StoreError('corrupt', 'cut off')
    rest.copy(frame, codec.DATA_OFFSET)
    return { fields: codec.decodeRecord(frame, codec.recordSeed(this.#fileSalt, offsetUnits), dataBytes) }
  }

  #dataChecksum(position: number, dataBytes: number): number {
    let crc = 0
    for (let at = 0; at < dataBytes; ) {
      const piece = this.#bytes(position + codec.DATA_OFFSET + at, Math.min(dataBytes - at, WINDOW_BYTES))
      if (piece.length === 0) throw new StoreError('corrupt', 'cut off')
      crc = crc32c(piece, crc)
      at += piece.length
    }
    return crc
  }

  #checkEmpty(offsetUnits: number, header: codec.RecordHeader): Scanned {
    const record = this.#bytes(offsetUnits * 8, codec.EMPTY_RECORD_BYTES)
    const mark = codec.emptyRecordKind(record, codec.recordSeed(this.#fileSalt, offsetUnits))
    const noTime = record.readUInt32BE(20) === 0 && record.readUInt32BE(24) === 0
    const filler = header.keyHigh === 0 && header.keyLow === 0
    if (mark === undefined && (noTime || filler)) return this.#damage('of zeros')
    return {
      ok: true,
      record: {
        header,
        offsetUnits,
        lengthBytes: codec.EMPTY_RECORD_BYTES,
        appendNsHigh: record.readUInt32BE(20),
        appendNsLow: record.readUInt32BE(24),
        kind: filler ? 'filler' : mark === 'E' ? 'file' : mark === 'D' ? 'delete' : 'unknown',
        hasTrailer: mark !== undefined,
      },
    }
  }

  /**
   * The next place from `fromUnits` on, and below `toUnits`, at which a record of this volume stands, told by its salted trailer
   * alone: bytes that only look like a record (a stored copy of a volume, say) are none.
   */
  search(fromUnits: number, toUnits = Number.POSITIVE_INFINITY): number | undefined {
    const endUnits = Math.min(toUnits, (this.#endBytes - codec.EMPTY_RECORD_BYTES) / 8 + 1)
    for (let units = fromUnits; units < endUnits; units++) {
      const head = this.#readable(units, codec.EMPTY_RECORD_BYTES)
      if (head === undefined) units = this.#lastOfUnreadable(units)
      else if (this.#isOurs(units, head)) return units
    }
    return undefined
  }

  /** Whether sizes stand there that a record with data may have: a cheap look, which most bytes do not pass. */
  mayStandAt(offsetUnits: number): boolean {
    const head = this.#readable(offsetUnits, codec.EMPTY_RECORD_BYTES)
    return head !== undefined && head.length >= codec.DATA_OFFSET && this.#hasSizes(offsetUnits, head)
  }

  /** As `#bytes`; undefined where the disk cannot read them. */
  #readable(offsetUnits: number, lengthBytes: number): Buffer | undefined {
    try {
      return this.#bytes(offsetUnits * 8, lengthBytes)
    } catch (error) {
      if (isCorrupt(error)) return undefined
      throw error
    }
  }

  /** The last place of the piece that the place is in, where that cannot be read; else the place itself. */
  #lastOfUnreadable(offsetUnits: number): number {
    const piece = Math.floor((offsetUnits * 8) / PIECE_BYTES)
    return this.#unreadable.has(piece) ? ((piece + 1) * PIECE_BYTES) / 8 - 1 : offsetUnits
  }

  #hasSizes(offsetUnits: number, head: Buffer): boolean {
    const sizeBytes = head.readUInt32BE(12)
    if (offsetUnits * 8 + codec.recordLength(sizeBytes) > this.#endBytes) return false
    return restOf(sizeBytes, head.readUInt32BE(codec.HEADER_BYTES)) !== undefined
  }

  #isOurs(offsetUnits: number, head: Buffer): boolean {
    const position = offsetUnits * 8
    const sizeBytes = head.readUInt32BE(12)
    const seed = codec.recordSeed(this.#fileSalt, offsetUnits)
    // Zeros, as a torn write leaves them, are told apart cheaply.
    if (sizeBytes === 0) return head.readUInt32BE(28) !== 0 && codec.emptyRecordKind(head, seed) !== undefined
    if (!this.#hasSizes(offsetUnits, head)) return false
    const header = codec.decodeHeader(head)
    const dataBytes = head.readUInt32BE(codec.HEADER_BYTES)
    try {
      const end = this.#farBytes(position + codec.HEADER_BYTES + sizeBytes - 7, 3)
      if (end.length < 3 || !codec.looksLikeTrailer(end, dataBytes)) return false
      return this.#frame(offsetUnits, header, dataBytes).fields.hasTrailer
    } catch (error) {
      if (isCorrupt(error)) return false
      throw error
    }
  }
}

/** Bytes of a record behind its data; undefined where no record has those sizes. */
function restOf(sizeBytes: number, dataBytes: number): number | undefined {
  if (dataBytes + 4 > sizeBytes) return undefined
  const restBytes = codec.recordLength(sizeBytes) - codec.DATA_OFFSET - dataBytes
  const fits = restBytes >= codec.TAIL_BYTES + 1 && restBytes <= codec.FRAME_BYTES_MAX
  return fits ? restBytes : undefined
}

function isCorrupt(error: unknown): error is StoreError {
  return error instanceof StoreError && error.code === 'corrupt'
}
