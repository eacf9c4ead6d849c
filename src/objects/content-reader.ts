/** Blobs back into bytes: a buffer for what is small, and pieces for the rest, of the blobs only that a range needs. */
import { assert } from '../base/assert.ts'
import { StoreError } from '../base/errors.ts'
import { SMALL_RECORD_BYTES_MAX } from '../base/limits.ts'
import { PieceBuffers } from '../base/piece-buffers.ts'
import type { BlobStore } from '../blobs/blob-store.ts'
import type { MetaStore } from '../meta/meta-store.ts'
import { BlobMap, type BlobPart } from './content/blob-map.ts'
import { BLOB_ENTRY_BYTES, blobAt } from './content/entries.ts'
import { locateContent } from './content/scripts.ts'
import { openPieces, openWhole, sealedLength, sealedRange } from './content/sealed-blob.ts'
import { digestsOf, type HashPool } from './digests.ts'
import type { DataKey, ObjectKeys } from './object-keys.ts'
import type { DigestName, Digests, ObjectPieces } from './object-store.ts'
import type { ContentReader, StoredContent } from './parts.ts'

/** Rows are the truth: what a row named a moment ago is still to be read when another has taken its place. */
const DELETED_TOO = { deleted: true }
const NO_BYTES = Buffer.alloc(0)
/** Pieces of what is decrypted, and how many of them are kept for the next. */
const OPENED_PIECE_BYTES = SMALL_RECORD_BYTES_MAX
const OPENED_PIECES_KEPT = 16

export interface ContentReaderOptions {
  blobs: BlobStore
  meta: MetaStore
  hashPool: HashPool
  keys: ObjectKeys
}

interface Reading {
  start: number
  end: number
  dataKey: DataKey | undefined
}

export class BlobContentReader implements ContentReader {
  readonly #options: ContentReaderOptions
  /** For what is decrypted. */
  readonly #buffers = new PieceBuffers(OPENED_PIECE_BYTES, OPENED_PIECES_KEPT)

  constructor(options: ContentReaderOptions) {
    this.#options = options
  }

  assertKey({ encryption }: StoredContent, customerKey?: Buffer): void {
    this.#options.keys.open(encryption, customerKey)
  }

  read(
    stored: StoredContent,
    start: number,
    end: number,
    customerKey?: Buffer,
  ): Buffer | Promise<Buffer> | ObjectPieces {
    assert(start >= 0 && start <= end && end <= stored.sizeBytes, 'a range lies within the object')
    const dataKey = this.#options.keys.open(stored.encryption, customerKey)
    if (start === end) return NO_BYTES
    const { blobs } = stored
    const isSmall = stored.sizeBytes <= SMALL_RECORD_BYTES_MAX
    if (isSmall && blobs !== undefined && blobs.length === BLOB_ENTRY_BYTES)
      return this.#readSmall(blobs, { start, end, dataKey })
    if (isSmall && blobs === undefined) {
      const run = this.#onlyRun(stored, start, end)
      if (run !== undefined) {
        const { blobs: only, skipBytes, sizeBytes } = run
        return this.#readSmall(only, { start: skipBytes, end: skipBytes + sizeBytes, dataKey })
      }
    }
    const pieces = () => this.#pieces(stored, { start, end, dataKey })
    return isSmall ? gather(pieces(), end - start) : { sizeBytes: end - start, pieces }
  }

  async digests(stored: StoredContent, names: readonly DigestName[], customerKey?: Buffer): Promise<Digests> {
    const bytes = this.read(stored, 0, stored.sizeBytes, customerKey)
    if (Buffer.isBuffer(bytes)) return digestsOf(names, bytes)
    if (bytes instanceof Promise) return digestsOf(names, await bytes)
    const hashing = this.#options.hashPool.start(names)
    try {
      for await (const piece of bytes.pieces()) await hashing.update(piece)
      return await hashing.finish()
    } finally {
      hashing.abandon()
    }
  }

  /** Where a range of a shared content is, when that is a single blob and can be told at once. */
  #onlyRun(stored: StoredContent, start: number, end: number) {
    const { meta } = this.#options
    if (!meta.capabilities.synchronousReads) return undefined
    const contentId = stored.contentId!
    const found = meta.read(locateContent, { contentId, start, end, blobsMax: 2 })
    if (found === undefined || found instanceof Promise || found.runs.length !== 1) return undefined
    const [run] = found.runs
    if (run!.blobs.length !== BLOB_ENTRY_BYTES || run!.sizeBytes !== end - start) return undefined
    return { ...run!, blobs: Buffer.from(run!.blobs) }
  }

  #readSmall(blobs: Buffer, { start, end, dataKey }: Reading): Buffer | Promise<Buffer> {
    const blob = blobAt(blobs, 0)
    const cut = (bytes: Buffer) => {
      if (dataKey !== undefined) return openWhole(bytes, sealedPart(dataKey, { blob, start, end }))
      if (bytes.length !== blob.sizeBytes) throw wrongLength(blob.sizeBytes, bytes.length)
      return start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end)
    }
    const bytes = this.#options.blobs.read(blob, DELETED_TOO)
    return bytes instanceof Promise ? bytes.then(cut) : cut(bytes)
  }

  /** While one blob is given out, the first piece of the next is on its way. */
  async *#pieces(stored: StoredContent, { start, end, dataKey }: Reading): AsyncGenerator<Buffer> {
    const map = new BlobMap(this.#options.meta, stored, { start, end })
    const begun: OpenBlob[] = []
    let left = end - start
    try {
      let part = await map.next()
      if (part !== undefined) begun.push(new OpenBlob(part, this.#open(part, dataKey)))
      for (let open = begun[0]; open !== undefined; open = begun[0]) {
        part = await map.next()
        if (part !== undefined) begun.push(new OpenBlob(part, this.#open(part, dataKey)))
        for (let piece = await open.next(); piece !== undefined; piece = await open.next()) {
          left -= piece.length
          yield piece
        }
        begun.shift()
      }
      assert(left === 0, 'blobs have the bytes of the object')
    } finally {
      for (const open of begun) await open.close()
    }
  }

  async *#open(part: BlobPart, dataKey: DataKey | undefined): AsyncGenerator<Buffer> {
    const { blobs } = this.#options
    const { blob, start, end } = part
    if (dataKey !== undefined) {
      const range = sealedPart(dataKey, part)
      const stored = sealedRange(range)
      const sizeBytes = sealedLength(blob.sizeBytes)
      const pieces = blobs.readRange(blob, stored.start, stored.end, { deleted: true, sizeBytes })
      yield* openPieces(pieces, range, this.#buffers)
      return
    }
    if (blob.sizeBytes > SMALL_RECORD_BYTES_MAX) {
      yield* blobs.readRange(blob, start, end, { deleted: true, sizeBytes: blob.sizeBytes })
      return
    }
    const bytes = await blobs.read(blob, DELETED_TOO)
    if (bytes.length !== blob.sizeBytes) throw wrongLength(blob.sizeBytes, bytes.length)
    yield bytes.subarray(start, end)
  }
}

/** A blob whose first piece was asked for already. */
class OpenBlob {
  readonly #part: BlobPart
  readonly #pieces: AsyncIterator<Buffer>
  #ahead: Promise<IteratorResult<Buffer>> | undefined
  #left: number

  constructor(part: BlobPart, pieces: AsyncIterable<Buffer>) {
    this.#part = part
    this.#left = part.end - part.start
    this.#pieces = pieces[Symbol.asyncIterator]()
    this.#ahead = this.#pieces.next()
    // Its failure is heard when its turn comes.
    this.#ahead.catch(() => {})
  }

  async next(): Promise<Buffer | undefined> {
    const { value, done } = await (this.#ahead ?? this.#pieces.next())
    this.#ahead = undefined
    if (done === true) {
      if (this.#left !== 0) throw wrongLength(this.#part.end, this.#part.end - this.#left)
      return undefined
    }
    this.#left -= value.length
    return value
  }

  async close(): Promise<void> {
    try {
      await this.#ahead
      await this.#pieces.return?.()
    } catch {
      // The reader has left, or has heard of another failure.
    }
  }
}

const sealedPart = (dataKey: DataKey, { blob, start, end }: BlobPart) => ({
  key: dataKey.blobKey(blob),
  sizeBytes: blob.sizeBytes,
  start,
  end,
})

const wrongLength = (expected: number, found: number) =>
  new StoreError('corrupt', `a blob of ${expected} bytes has ${found}`)

async function gather(pieces: AsyncIterable<Buffer>, sizeBytes: number): Promise<Buffer> {
  const whole = Buffer.allocUnsafe(sizeBytes)
  let filled = 0
  for await (const piece of pieces) filled += piece.copy(whole, filled)
  assert(filled === sizeBytes, 'pieces have the bytes of the range')
  return whole
}
