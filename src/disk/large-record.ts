/**
 * Reading a record above SMALL_RECORD_BYTES_MAX: its fields first, verified by the trailer, then any part of its data,
 * each 64 KiB block verified before it leaves. A record without trailer is read once to verify it and again to serve it.
 */
import { crc32c } from '../base/checksum.ts'
import { StoreError } from '../base/errors.ts'
import { CHECKSUM_BLOCK_BYTES, SMALL_RECORD_BYTES_MAX } from '../base/limits.ts'
import type { PieceBuffers } from '../base/piece-buffers.ts'
import type { Disk } from './disk.ts'
import type { LargeData } from './needle.ts'
import * as codec from './needle.ts'
import type { ReadPace } from './read-pace.ts'

const PIECE_BYTES = SMALL_RECORD_BYTES_MAX
/** Whole blocks that fit the cache of a processor's core. */
const CACHED_BYTES = 4 * CHECKSUM_BLOCK_BYTES

export interface LargePlace {
  handle: number
  offsetUnits: number
  lengthBytes: number
  seed: number
  /** Memory for pieces; absent: each gets its own. */
  pieces?: PieceBuffers
  /** Whether this thread reads itself; absent: others always read for it. */
  pace?: ReadPace
  onClose: () => void
  onDamage: (reason: string) => void
}

export class LargeRecord implements LargeData {
  readonly fields: codec.RecordFields
  readonly #disk: Disk
  readonly #place: LargePlace
  /** The record without its data. */
  readonly #frame: Buffer
  #closed = false

  private constructor(disk: Disk, place: LargePlace, frame: Buffer, fields: codec.RecordFields) {
    this.#disk = disk
    this.#place = place
    this.#frame = frame
    this.fields = fields
  }

  /** Reads and verifies all but the data (without trailer: the data as well). Throws `corrupt`, `io_error`. */
  static async open(disk: Disk, place: LargePlace): Promise<LargeRecord> {
    const head = Buffer.alloc(codec.DATA_OFFSET)
    await readExactly(disk, place.handle, head, place.offsetUnits * 8)
    const dataBytes = head.readUInt32BE(codec.HEADER_BYTES)
    const restBytes = place.lengthBytes - codec.DATA_OFFSET - dataBytes
    if (restBytes < codec.TAIL_BYTES || restBytes > codec.FRAME_BYTES_MAX) throw damaged()
    const frame = Buffer.alloc(codec.DATA_OFFSET + restBytes)
    head.copy(frame)
    const rest = frame.subarray(codec.DATA_OFFSET)
    await readExactly(disk, place.handle, rest, place.offsetUnits * 8 + codec.DATA_OFFSET + dataBytes)
    const fields = codec.decodeRecord(frame, place.seed, dataBytes)
    fields.needle.dataSizeBytes = dataBytes
    const record = new LargeRecord(disk, place, frame, fields)
    if (fields.blockChecksumsOffset === 0) {
      for await (const _piece of record.#readUnblocked(0, dataBytes));
    }
    return record
  }

  read(start: number, end: number): AsyncIterable<Buffer> {
    return this.fields.blockChecksumsOffset > 0
      ? this.#readBlocks(start, end)
      : this.#readUnblocked(start, end)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#place.onClose()
  }

  async *#readBlocks(start: number, end: number): AsyncGenerator<Buffer> {
    const dataBytes = this.fields.needle.dataSizeBytes
    let at = start - (start % CHECKSUM_BLOCK_BYTES)
    while (at < end) {
      const lengthBytes = Math.min(PIECE_BYTES, roundUp(end) - at, dataBytes - at)
      const pieces = lengthBytes > PIECE_BYTES / 2 ? this.#place.pieces : undefined
      const memory = pieces?.take()
      const piece = memory?.subarray(0, lengthBytes) ?? Buffer.allocUnsafeSlow(lengthBytes)
      const done = await this.#readAtOnce(piece, at)
      if (done < lengthBytes) {
        const rest = piece.subarray(done)
        await readExactly(this.#disk, this.#place.handle, rest, this.#position(at + done))
        this.#verifyBlocks(rest, at + done)
      }
      const [from, to] = [Math.max(0, start - at), Math.min(lengthBytes, end - at)]
      yield memory === undefined ? piece.subarray(from, to) : pieces!.lend(memory, from, to)
      at += lengthBytes
    }
  }

  /**
   * Reads blocks on this thread, and verifies a few at a time, which its processor still has in its cache. Gives how many bytes,
   * which are fewer where the disk is slow.
   */
  async #readAtOnce(blocks: Buffer, at: number): Promise<number> {
    const { handle, pace } = this.#place
    if (pace === undefined || pace.isSlow()) return 0
    // Others have their turn before each piece.
    await pace.turn()
    let done = 0
    for (let isQuick = true; isQuick && done < blocks.length; ) {
      const few = blocks.subarray(done, done + CACHED_BYTES)
      const startMs = pace.begin()
      const count = this.#disk.readSync(handle, few, 0, few.length, this.#position(at + done))
      isQuick = pace.end(startMs)
      if (count !== few.length) throw cutOff()
      this.#verifyBlocks(few, at + done)
      done += few.length
    }
    return done
  }

  /** Of a byte of the data, in the file. */
  #position(at: number): number {
    return this.#place.offsetUnits * 8 + codec.DATA_OFFSET + at
  }

  /** `at`: where the first of these blocks is in the data. */
  #verifyBlocks(blocks: Buffer, at: number): void {
    for (let block = 0; block < blocks.length; block += CHECKSUM_BLOCK_BYTES) {
      const crc = crc32c(blocks.subarray(block, block + CHECKSUM_BLOCK_BYTES))
      const expected = codec.blockChecksum(this.#frame, this.fields, (at + block) / CHECKSUM_BLOCK_BYTES)
      if (crc !== expected) throw this.#damage()
    }
  }

  async readInto(whole: Buffer): Promise<void> {
    await readExactly(this.#disk, this.#place.handle, whole, this.#position(0))
    if (this.fields.blockChecksumsOffset > 0) this.#verifyBlocks(whole, 0)
    else if (!codec.checksumMatches(this.fields, crc32c(whole))) throw this.#damage()
  }

  /** Verifies the whole while it passes, and gives out the part that is asked for. The last piece leaves only if all is well. */
  async *#readUnblocked(start: number, end: number): AsyncGenerator<Buffer> {
    const dataBytes = this.fields.needle.dataSizeBytes
    let crc = 0
    let held: Buffer | undefined
    for (let at = 0; at < dataBytes; ) {
      const lengthBytes = Math.min(PIECE_BYTES, dataBytes - at)
      const piece = Buffer.allocUnsafeSlow(lengthBytes)
      await readExactly(this.#disk, this.#place.handle, piece, this.#position(at))
      crc = crc32c(piece, crc)
      const [from, to] = [Math.max(0, start - at), Math.min(lengthBytes, end - at)]
      if (from < to) {
        if (held !== undefined) yield held
        held = piece.subarray(from, to)
      }
      at += lengthBytes
    }
    if (!codec.checksumMatches(this.fields, crc)) throw this.#damage()
    if (held !== undefined) yield held
  }

  #damage(): StoreError {
    const error = damaged()
    this.#place.onDamage(error.message)
    return error
  }
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / CHECKSUM_BLOCK_BYTES) * CHECKSUM_BLOCK_BYTES
}

function damaged(): StoreError {
  return new StoreError('corrupt', 'damaged record: its data does not match its checksum')
}

async function readExactly(disk: Disk, handle: number, into: Buffer, position: number): Promise<void> {
  const count = await disk.read(handle, into, 0, into.length, position)
  if (count !== into.length) throw cutOff()
}

const cutOff = () => new StoreError('corrupt', 'damaged record: it is cut off')
