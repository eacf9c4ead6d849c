/**
 * One body on its way into blobs. Bytes are gathered in chunks; a full one is written while the next are filled, a few at a
 * time, and when all buffers are in use the body waits. A buffer is free when its chunk is written; that chunks get durable is
 * waited for at the end, and when many are not. Digests follow the bytes.
 */
import type { ByteSink } from '../../base/byte-sink.ts'
import { StoreError } from '../../base/errors.ts'
import { UPLOAD_CHUNKS_UNSYNCED_MAX, UPLOAD_CHUNKS_WRITTEN_MAX } from '../../base/limits.ts'
import type { LentPiece } from '../../base/piece-buffers.ts'
import type { BlobId, BlobTarget } from '../../blobs/blob-store.ts'
import type { Hashing } from '../digests.ts'
import type { DataKey } from '../object-keys.ts'
import type { Digests, ObjectBody } from '../object-store.ts'
import type { UploadLoad } from '../upload-load.ts'
import type { BlobWrites } from './blob-writes.ts'
import { ChunkBuffers } from './chunk-buffers.ts'
import type { BlobEntry } from './entries.ts'

/** Bytes go to the digests in pieces of at least this, so that another thread can begin before a chunk is full. */
const HASH_BYTES = 256 * 1024

export interface ChunkStreamParts {
  blobs: BlobWrites
  load: UploadLoad
  buffers: ChunkBuffers
  /** Of all chunks but the last, so that the chunk at an offset can be computed. */
  chunkBytes: number
  hashing: Hashing
  target: BlobTarget
  sizeBytesMax: number
  /** Chunks are stored encrypted with it. */
  dataKey: DataKey | undefined
}

interface Chunk {
  buffer: Buffer
  filled: number
  hashed: number
  /** Beyond the one that the upload was promised. */
  isExtra: boolean
  /** What must be over before the buffer is used again. */
  uses: Promise<void>[]
}

export class ChunkStream implements ByteSink {
  readonly #parts: ChunkStreamParts
  readonly #entries: (BlobEntry | undefined)[] = []
  /** Chunks that are not durable yet; none of these promises rejects. */
  readonly #writing = new Set<Promise<void>>()
  /** A buffer is free again, or a chunk durable. */
  #wake = () => {}
  #failure: unknown
  #current: Chunk | undefined
  #buffersHeld = 0
  #usesPromised = false
  /** Memory for each byte of a buffer: an encrypted chunk is a second one. */
  readonly #weight: number
  #sizeBytes = 0
  /** What was announced. */
  #mostBytes = Number.POSITIVE_INFINITY

  constructor(parts: ChunkStreamParts) {
    this.#parts = parts
    this.#weight = parts.dataKey === undefined ? 1 : 2
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /**
   * Takes all of the body, asks `verify`, and gives the blobs in order. A body of one chunk is verified before it is written.
   * When it throws, call `undo`.
   */
  async store<T>(
    body: ObjectBody,
    verify: (digests: Digests, sizeBytes: number) => T,
  ): Promise<{ entries: BlobEntry[]; verified: T; digests: Digests }> {
    const { hashing } = this.#parts
    const announced = body.sizeBytes
    this.#mostBytes = announced ?? Number.POSITIVE_INFINITY
    if (body.pour !== undefined) await body.pour(this)
    else for await (const piece of body.pieces()) await this.#takeAll(piece)
    if (announced !== undefined && this.#sizeBytes < announced) throw wrongLength(announced)
    if (this.#current !== undefined) this.#hash(this.#current, 1)
    // A body of several chunks has its last one written while the digests end.
    if (this.#entries.length > 0) this.#write()
    if (this.#failure !== undefined) throw this.#failure
    const digests = await hashing.finish()
    const verified = verify(digests, this.#sizeBytes)
    this.#write()
    await Promise.all(this.#writing)
    if (this.#failure !== undefined) throw this.#failure
    return { entries: this.#entries as BlobEntry[], verified, digests }
  }

  /** After a failure: ends what is under way and gives the blobs that were written. */
  async undo(): Promise<BlobId[]> {
    this.#parts.hashing.abandon()
    await Promise.all(this.#writing)
    if (this.#current !== undefined) await this.#release(this.#current)
    this.#current = undefined
    return this.#entries.filter((entry) => entry !== undefined)
  }

  async #takeAll(piece: LentPiece): Promise<void> {
    for (let at = 0; ; await this.room()) {
      at += this.take(piece.subarray(at))
      if (at === piece.length) break
    }
    piece.giveBack?.()
  }

  take(bytes: Buffer): number {
    const { sizeBytesMax } = this.#parts
    if (this.#failure !== undefined) throw this.#failure
    if (this.#sizeBytes + bytes.length > sizeBytesMax) throw tooLarge(sizeBytesMax)
    if (this.#sizeBytes + bytes.length > this.#mostBytes) throw wrongLength(this.#mostBytes)
    let at = 0
    while (at < bytes.length) {
      const chunk = this.#chunk()
      if (chunk === undefined) break
      const count = bytes.copy(chunk.buffer, chunk.filled, at)
      chunk.filled += count
      this.#sizeBytes += count
      at += count
      this.#hash(chunk, HASH_BYTES)
    }
    return at
  }

  roomBytes(): number {
    const chunk = this.#chunk()
    return chunk === undefined ? 0 : chunk.buffer.length - chunk.filled
  }

  async room(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    // When there is none, chunks are being written.
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    if (this.#failure !== undefined) throw this.#failure
  }

  /** The chunk that takes the next byte, where there is room. The full one is written only now: a body may end with it. */
  #chunk(): Chunk | undefined {
    if (this.#current !== undefined && this.#current.filled === this.#current.buffer.length) this.#write()
    if (this.#current !== undefined) return this.#current
    const { load, buffers, chunkBytes } = this.#parts
    const length = ChunkBuffers.lengthFor(Math.min(this.#mostBytes - this.#sizeBytes, chunkBytes))
    const isExtra = this.#usesPromised
    if (this.#buffersHeld > UPLOAD_CHUNKS_WRITTEN_MAX) return undefined
    if (this.#writing.size >= UPLOAD_CHUNKS_UNSYNCED_MAX) return undefined
    if (isExtra && !load.reserve(length * this.#weight)) return undefined
    this.#usesPromised = true
    this.#buffersHeld++
    this.#current = { buffer: buffers.take(length), filled: 0, hashed: 0, isExtra, uses: [] }
    return this.#current
  }

  #hash(chunk: Chunk, bytesMin: number): void {
    if (chunk.filled - chunk.hashed < bytesMin && chunk.filled < chunk.buffer.length) return
    const hashed = this.#parts.hashing.update(chunk.buffer.subarray(chunk.hashed, chunk.filled))
    if (hashed !== undefined) chunk.uses.push(hashed.catch((error) => this.#fail(error)))
    chunk.hashed = chunk.filled
  }

  /** Begins to write the current chunk. */
  #write(): void {
    const chunk = this.#current
    if (chunk === undefined) return
    this.#current = undefined
    const index = this.#entries.push(undefined) - 1
    const writing = this.#writeChunk(chunk, index).finally(() => {
      this.#writing.delete(writing)
      this.#wake()
    })
    this.#writing.add(writing)
  }

  async #writeChunk(chunk: Chunk, index: number): Promise<void> {
    const { blobs, target, dataKey } = this.#parts
    let released: Promise<void> | undefined
    const onWritten = () => {
      released ??= this.#release(chunk)
    }
    try {
      const data = chunk.buffer.subarray(0, chunk.filled)
      const id = await blobs.write({ data, target, dataKey, onWritten })
      this.#entries[index] = { ...id, sizeBytes: chunk.filled }
    } catch (error) {
      this.#parts.load.noteOrphan()
      this.#fail(error)
    }
    onWritten()
    await released
  }

  /** Notes the first failure, which the stream then throws. */
  #fail(error: unknown): void {
    this.#failure ??= error
  }

  async #release({ buffer, isExtra, uses }: Chunk): Promise<void> {
    await Promise.all(uses)
    this.#parts.buffers.give(buffer)
    if (isExtra) this.#parts.load.release(buffer.length * this.#weight)
    else this.#usesPromised = false
    this.#buffersHeld--
    this.#wake()
  }
}

export const tooLarge = (sizeBytesMax: number) =>
  new StoreError('too_large', `longer than ${sizeBytesMax} bytes`)

export const wrongLength = (announced: number) =>
  new StoreError('incomplete_body', `not the ${announced} bytes that were announced`)
