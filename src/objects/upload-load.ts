/** How much all uploads of the process hold in memory, counted over its threads: the more there are, the smaller their chunks. */
import { OBJECT_CHUNK_BYTES, OBJECT_CHUNK_BYTES_MIN, UPLOAD_BYTES_IN_FLIGHT_MAX } from '../base/limits.ts'

/** Counted in units, so that 32 bits do. */
const UNIT_BYTES = OBJECT_CHUNK_BYTES_MIN
const UNITS_MAX = UPLOAD_BYTES_IN_FLIGHT_MAX / UNIT_BYTES

/** An upload's chunks are at most this part of the memory that nobody has: so most of it is never promised to a few. */
const SHARE_OF_REST = 8

export const UPLOAD_LOAD_BYTES = 12

/** What an upload may always have, once it has begun. */
export interface UploadPromise {
  /** Length of all its chunks but the last: a power of two, so that buffers are used again. */
  readonly chunkBytes: number
  readonly heldBytes: number
}

export class UploadLoad {
  readonly #words: Int32Array

  /** `shared`: UPLOAD_LOAD_BYTES, the same for every thread, zero at the start. */
  constructor(shared: SharedArrayBuffer) {
    this.#words = new Int32Array(shared, 0, 3)
  }

  /**
   * An upload begins; `leave` ends it. It is promised one buffer of its chunks' length, which follows from what is left, or as
   * much as a body of `bytesMax` needs; all that `weight` times.
   */
  enter(bytesMax = Number.POSITIVE_INFINITY, weight = 1): UploadPromise {
    Atomics.add(this.#words, 0, 1)
    const share = (UPLOAD_BYTES_IN_FLIGHT_MAX - this.bytesInFlight) / SHARE_OF_REST / weight
    let chunkBytes = OBJECT_CHUNK_BYTES
    while (chunkBytes > OBJECT_CHUNK_BYTES_MIN && chunkBytes > share) chunkBytes /= 2
    let heldBytes = chunkBytes
    while (heldBytes > OBJECT_CHUNK_BYTES_MIN && heldBytes / 2 >= bytesMax) heldBytes /= 2
    heldBytes *= weight
    Atomics.add(this.#words, 1, heldBytes / UNIT_BYTES)
    return { chunkBytes, heldBytes }
  }

  leave({ heldBytes }: UploadPromise): void {
    Atomics.sub(this.#words, 0, 1)
    this.release(heldBytes)
  }

  get uploads(): number {
    return Atomics.load(this.#words, 0)
  }

  /** Takes memory for one more buffer than was promised, or says no. */
  reserve(bytes: number): boolean {
    const units = bytes / UNIT_BYTES
    if (Atomics.add(this.#words, 1, units) + units <= UNITS_MAX) return true
    Atomics.sub(this.#words, 1, units)
    return false
  }

  release(bytes: number): void {
    Atomics.sub(this.#words, 1, bytes / UNIT_BYTES)
  }

  /** What is promised, and what was taken beyond. */
  get bytesInFlight(): number {
    return Atomics.load(this.#words, 1) * UNIT_BYTES
  }

  /**
   * A write of a blob failed, perhaps after its bytes were stored; or blobs could be neither removed nor left to the collector; or
   * nobody knows whether they are named.
   */
  noteOrphan(): void {
    Atomics.store(this.#words, 2, 1)
  }

  /** Since the start of the process. */
  get mayHaveOrphans(): boolean {
    return Atomics.load(this.#words, 2) !== 0
  }
}
