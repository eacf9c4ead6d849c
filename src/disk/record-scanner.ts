/** Walks the records of a `.dat`, verifies each, and finds the next one behind damage. For recovery and offline checks. */
import { crc32c } from '../base/checksum.ts'
import { StoreError } from '../base/errors.ts'
import type { Disk } from './disk.ts'
import * as codec from './needle.ts'

const WINDOW_BYTES = 4 * 1024 * 1024

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

/** What stands at a place: a record, or damage. `lengthBytes` is there when the record's frame, by its trailer, is right. */
export type Scanned =
  | { ok: true; record: ScannedRecord }
  | { ok: false; reason: string; lengthBytes: number | undefined }

export class RecordScanner {
  readonly #disk: Disk
  readonly #handle: number
  readonly #fileSalt: number
  readonly #endBytes: number
  readonly #window = Buffer.allocUnsafeSlow(WINDOW_BYTES)
  #windowAt = 0
  #windowBytes = 0

  /** `endBytes`: where the records end; a multiple of 8. */
  constructor(disk: Disk, file: { handle: number; fileSalt: number; endBytes: number }) {
    this.#disk = disk
    this.#handle = file.handle
    this.#fileSalt = file.fileSalt
    this.#endBytes = file.endBytes
  }

  /** Bytes of the file, from the window; shorter at the end. The view is good until the next call. */
  #bytes(position: number, lengthBytes: number): Buffer {
    const wanted = Math.min(lengthBytes, this.#endBytes - position)
    if (position < this.#windowAt || position + wanted > this.#windowAt + this.#windowBytes) {
      this.#windowBytes = this.#disk.readSync(
        this.#handle,
        this.#window,
        0,
        Math.min(WINDOW_BYTES, this.#endBytes - position),
        position,
      )
      this.#windowAt = position
    }
    const start = position - this.#windowAt
    return this.#window.subarray(start, Math.min(start + wanted, this.#windowBytes))
  }

  /** Verifies what stands at that place, data included. Throws `io_error`s of the disk. */
  check(offsetUnits: number): Scanned {
    const position = offsetUnits * 8
    const head = this.#bytes(position, codec.HEADER_BYTES + 4)
    if (head.length < codec.HEADER_BYTES + 4) return damage('cut off')
    const header = codec.decodeHeader(head)
    const lengthBytes = codec.recordLength(header.sizeBytes)
    if (position + lengthBytes > this.#endBytes) return damage('cut off')
    if (header.sizeBytes === 0) return this.#checkEmpty(offsetUnits, header)
    if (header.sizeBytes < 4) return damage('of an impossible size')
    try {
      const dataBytes = head.readUInt32BE(codec.HEADER_BYTES)
      const { fields } = this.#frame(offsetUnits, header, dataBytes)
      if (!codec.checksumMatches(fields, this.#dataChecksum(position, dataBytes))) {
        return {
          ok: false,
          reason: 'with damaged data',
          lengthBytes: fields.hasTrailer ? lengthBytes : undefined,
        }
      }
      const { appendNsHigh, appendNsLow } = fields.needle
      const kind = header.keyHigh === 0 && header.keyLow === 0 ? 'filler' : 'file'
      const { hasTrailer } = fields
      return {
        ok: true,
        record: { header, offsetUnits, lengthBytes, appendNsHigh, appendNsLow, kind, hasTrailer },
      }
    } catch (error) {
      if (error instanceof StoreError && error.code === 'corrupt') return damage(error.message)
      throw error
    }
  }

  /** Decodes a record without its data; throws `corrupt`. */
  #frame(offsetUnits: number, header: codec.RecordHeader, dataBytes: number): { fields: codec.RecordFields } {
    const lengthBytes = codec.recordLength(header.sizeBytes)
    const restBytes = lengthBytes - codec.DATA_OFFSET - dataBytes
    if (restBytes < codec.TAIL_BYTES + 1 || restBytes > codec.FRAME_BYTES_MAX)
      throw new StoreError('corrupt', 'with an impossible data size')
    const position = offsetUnits * 8
    const frame = Buffer.allocUnsafe(codec.DATA_OFFSET + restBytes)
    this.#bytes(position, codec.DATA_OFFSET).copy(frame)
    this.#copy(position + codec.DATA_OFFSET + dataBytes, frame.subarray(codec.DATA_OFFSET))
    return { fields: codec.decodeRecord(frame, codec.recordSeed(this.#fileSalt, offsetUnits), dataBytes) }
  }

  #copy(position: number, into: Buffer): void {
    for (let at = 0; at < into.length; ) {
      const piece = this.#bytes(position + at, Math.min(into.length - at, WINDOW_BYTES))
      if (piece.length === 0) throw new StoreError('corrupt', 'cut off')
      piece.copy(into, at)
      at += piece.length
    }
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
    if (mark === undefined && (noTime || filler)) return damage('of zeros')
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
   * The next place from `fromUnits` on at which a record of this volume stands, told by its salted trailer alone: bytes
   * that only look like a record (a stored copy of a volume, say) are none.
   */
  search(fromUnits: number): number | undefined {
    for (let units = fromUnits; units * 8 + codec.EMPTY_RECORD_BYTES <= this.#endBytes; units++) {
      if (this.#isOurs(units)) return units
    }
    return undefined
  }

  #isOurs(offsetUnits: number): boolean {
    const position = offsetUnits * 8
    const head = this.#bytes(position, codec.EMPTY_RECORD_BYTES)
    const sizeBytes = head.readUInt32BE(12)
    const seed = codec.recordSeed(this.#fileSalt, offsetUnits)
    // Zeros, as a torn write leaves them, are told apart cheaply.
    if (sizeBytes === 0) return head.readUInt32BE(28) !== 0 && codec.emptyRecordKind(head, seed) !== undefined
    const lengthBytes = codec.recordLength(sizeBytes)
    const dataBytes = head.readUInt32BE(codec.HEADER_BYTES)
    if (position + lengthBytes > this.#endBytes || dataBytes + 4 > sizeBytes) return false
    if (!codec.looksLikeTrailer(this.#bytes(position + codec.HEADER_BYTES + sizeBytes - 7, 3), dataBytes))
      return false
    try {
      return this.#frame(offsetUnits, codec.decodeHeader(this.#bytes(position, 16)), dataBytes).fields
        .hasTrailer
    } catch (error) {
      if (error instanceof StoreError && error.code === 'corrupt') return false
      throw error
    }
  }
}

function damage(reason: string): Scanned {
  return { ok: false, reason, lengthBytes: undefined }
}
