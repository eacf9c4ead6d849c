/** Buffers in which chunks are gathered, used again and again: memory of this size is expensive to get and to give back. */
import { OBJECT_CHUNK_BYTES, OBJECT_CHUNK_BYTES_MIN } from '../../base/limits.ts'

/** Kept when nobody uses them: enough for one upload at full speed. */
const FREE_BYTES_MAX = 4 * OBJECT_CHUNK_BYTES

export class ChunkBuffers {
  readonly #free = new Map<number, Buffer[]>()
  readonly #isShared: boolean
  #freeBytes = 0

  /** `isShared`: in memory that other threads may see. */
  constructor(isShared: boolean) {
    this.#isShared = isShared
  }

  /** The length that holds so many bytes. */
  static lengthFor(bytes: number): number {
    let length = OBJECT_CHUNK_BYTES_MIN
    while (length < bytes) length *= 2
    return length
  }

  /** A buffer of exactly a length that `lengthFor` gave; its bytes are anything. */
  take(length: number): Buffer {
    const free = this.#free.get(length)?.pop()
    if (free !== undefined) {
      this.#freeBytes -= length
      return free
    }
    return this.#isShared ? Buffer.from(new SharedArrayBuffer(length)) : Buffer.allocUnsafeSlow(length)
  }

  /** Gives it back: nobody may use it any more. */
  give(buffer: Buffer): void {
    if (this.#freeBytes + buffer.length > FREE_BYTES_MAX) return
    const free = this.#free.get(buffer.length)
    if (free === undefined) this.#free.set(buffer.length, [buffer])
    else free.push(buffer)
    this.#freeBytes += buffer.length
  }
}
