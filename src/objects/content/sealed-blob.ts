/**
 * Encrypted blobs: blocks of AES-256-GCM, each with its tag behind it. The key is made for one blob alone, so that a blob which
 * stands in another one's place does not open; the block's number is its nonce, so that blocks cannot change places; and the last one says
 * that it is. `docs/formats/encryption.md` has the layout.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { assert } from '../../base/assert.ts'
import { StoreError } from '../../base/errors.ts'
import type { LentPiece, PieceBuffers } from '../../base/piece-buffers.ts'

const CIPHER = 'aes-256-gcm'
export const SEAL_BLOCK_BYTES = 64 * 1024
const TAG_BYTES = 16
const SEALED_BLOCK_BYTES = SEAL_BLOCK_BYTES + TAG_BYTES
const NONCE_BYTES = 12
const LAST = 1
const NO_BYTES = Buffer.alloc(0)

/** Length of a blob of so many bytes when it is sealed. */
export function sealedLength(sizeBytes: number): number {
  return sizeBytes + Math.ceil(sizeBytes / SEAL_BLOCK_BYTES) * TAG_BYTES
}

/** Whether a blob of so many bytes may be stored in so many. Rows of contents do not say whether they are encrypted. */
export function isLengthOf(sizeBytes: number, storedBytes: number): boolean {
  return storedBytes === sizeBytes || storedBytes === sealedLength(sizeBytes)
}

/**
 * The bytes of a blob as they are stored, in `sealed`, which has just that length. `key`: 32 bytes that are used for this blob
 * only.
 */
export function sealBlob(
  key: Buffer,
  bytes: Buffer,
  sealed: Buffer = Buffer.allocUnsafeSlow(sealedLength(bytes.length)),
): Buffer {
  assert(sealed.length === sealedLength(bytes.length), 'sealed bytes fill their memory')
  let filled = 0
  for (let at = 0; at < bytes.length; at += SEAL_BLOCK_BYTES) {
    const block = bytes.subarray(at, at + SEAL_BLOCK_BYTES)
    const cipher = createCipheriv(CIPHER, key, nonceOf(at, bytes.length))
    const encrypted = cipher.update(block)
    cipher.final()
    sealed.set(encrypted, filled)
    const { length } = encrypted
    release(encrypted)
    sealed.set(cipher.getAuthTag(), filled + length)
    filled += length + TAG_BYTES
  }
  return sealed
}

/** Of the block that begins at an offset. */
function nonceOf(offset: number, sizeBytes: number): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES)
  if (offset + SEAL_BLOCK_BYTES >= sizeBytes) nonce.writeUInt32BE(LAST)
  nonce.writeUInt32BE(offset / SEAL_BLOCK_BYTES, NONCE_BYTES - 4)
  return nonce
}

/** A range of a blob of `sizeBytes`. */
export interface SealedRange {
  key: Buffer
  sizeBytes: number
  start: number
  end: number
}

/** Where the blocks of a range are in the stored bytes. */
export function sealedRange({ sizeBytes, start, end }: SealedRange): { start: number; end: number } {
  const last = Math.ceil(end / SEAL_BLOCK_BYTES) * SEALED_BLOCK_BYTES
  return {
    start: Math.floor(start / SEAL_BLOCK_BYTES) * SEALED_BLOCK_BYTES,
    end: Math.min(last, sealedLength(sizeBytes)),
  }
}

/** The range of a blob whose stored bytes are all here. Throws `corrupt`. */
export function openWhole(sealed: Buffer, range: SealedRange): Buffer {
  if (sealed.length !== sealedLength(range.sizeBytes)) throw notWhatWasSealed()
  const { start, end } = sealedRange(range)
  const opening = new SealedBlocks(range)
  const pieces = opening.add(sealed.subarray(start, end))
  opening.end()
  if (pieces.length === 1) return pieces[0]!
  const whole = Buffer.concat(pieces)
  for (const piece of pieces) release(piece)
  return whole
}

/**
 * The range of a blob, of the stored bytes that `sealedRange` names as they arrive. Pieces are given back when they are opened, and
 * what they held is given out in memory of `buffers`. Throws `corrupt`.
 */
export async function* openPieces(
  stored: AsyncIterable<LentPiece>,
  range: SealedRange,
  buffers: PieceBuffers,
): AsyncGenerator<LentPiece, void, undefined> {
  const opening = new SealedBlocks(range)
  for await (const piece of stored) {
    const opened = opening.add(piece)
    piece.giveBack?.()
    yield* gathered(opened, buffers)
  }
  opening.end()
}

/**
 * Frees the memory of a block at once. Each has memory of its own, from the cipher; so much of it comes and goes that the collector
 * would run all the time.
 */
function release({ buffer }: Buffer): void {
  if (buffer instanceof ArrayBuffer) buffer.transfer(0)
}

/** Blocks, several in one piece: each piece costs its receiver more than a copy does. */
function* gathered(blocks: readonly Buffer[], buffers: PieceBuffers): Generator<LentPiece> {
  let whole: Buffer | undefined
  let filled = 0
  for (const block of blocks) {
    if (whole !== undefined && filled + block.length > whole.length) {
      yield buffers.lend(whole, 0, filled)
      whole = undefined
    }
    if (whole === undefined) {
      if (blocks.length === 1) {
        yield block
        return
      }
      whole = buffers.take()
      filled = 0
    }
    filled += block.copy(whole, filled)
    release(block)
  }
  if (whole !== undefined) yield buffers.lend(whole, 0, filled)
}

/** Opens the blocks of a range, which arrive in pieces of any length; nothing is given out before its tag was verified. */
class SealedBlocks {
  readonly #range: SealedRange
  /** Of the block that comes next. */
  #offset: number
  /** Stored bytes of it that came already. */
  #begun: Buffer = NO_BYTES

  constructor(range: SealedRange) {
    this.#range = range
    this.#offset = range.start - (range.start % SEAL_BLOCK_BYTES)
  }

  add(piece: Buffer): Buffer[] {
    const opened: Buffer[] = []
    let at = 0
    if (this.#begun.length > 0) {
      const missing = this.#storedLength() - this.#begun.length
      at = Math.min(missing, piece.length)
      this.#begun = Buffer.concat([this.#begun, piece.subarray(0, at)])
      if (at < missing) return opened
      opened.push(this.#open(this.#begun))
      this.#begun = NO_BYTES
    }
    while (at < piece.length) {
      const length = this.#storedLength()
      if (piece.length - at < length) {
        this.#begun = Buffer.from(piece.subarray(at))
        break
      }
      opened.push(this.#open(piece.subarray(at, at + length)))
      at += length
    }
    return opened
  }

  /** All stored bytes came. */
  end(): void {
    if (this.#begun.length > 0 || this.#offset < this.#range.end) throw notWhatWasSealed()
  }

  #storedLength(): number {
    const left = this.#range.sizeBytes - this.#offset
    assert(left > 0, 'a block of a blob has bytes')
    return Math.min(left, SEAL_BLOCK_BYTES) + TAG_BYTES
  }

  /** What the range has of a block. */
  #open(stored: Buffer): Buffer {
    const { key, sizeBytes, start, end } = this.#range
    const offset = this.#offset
    const length = stored.length - TAG_BYTES
    const decipher = createDecipheriv(CIPHER, key, nonceOf(offset, sizeBytes), { authTagLength: TAG_BYTES })
    decipher.setAuthTag(stored.subarray(length))
    const bytes = decipher.update(stored.subarray(0, length))
    try {
      decipher.final()
    } catch (cause) {
      throw notWhatWasSealed(cause)
    }
    this.#offset += length
    return bytes.subarray(Math.max(0, start - offset), Math.min(length, end - offset))
  }
}

const notWhatWasSealed = (cause?: unknown) =>
  new StoreError('corrupt', 'an encrypted block is not the one that was stored', { cause })
