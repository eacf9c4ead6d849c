/** How much all uploads of the process hold in memory, counted over its threads: the more there are, the smaller their chunks. */
import { OBJECT_CHUNK_BYTES, OBJECT_CHUNK_BYTES_MIN, UPLOAD_BYTES_IN_FLIGHT_MAX } from '../base/limits.ts'

/** Counted in units, so that 32 bits do. */
const UNIT_BYTES = OBJECT_CHUNK_BYTES_MIN
const UNITS_MAX = UPLOAD_BYTES_IN_FLIGHT_MAX / UNIT_BYTES

/** An upload's chunks are at most this part of what no upload has been promised: so the promises never add up to more. */
const SHARE_OF_REST = 32

export const UPLOAD_LOAD_BYTES = 16

/** What an upload may always have. */
export interface UploadPromise {
  /** Length of all its chunks but the last: a power of two, so that buffers are used again. */
  readonly chunkBytes: number
  readonly units: number
}

export class UploadLoad {
  readonly #words: Int32Array

  /** `shared`: UPLOAD_LOAD_BYTES, the same for every thread, zero at the start. */
  constructor(shared: SharedArrayBuffer) {
    this.#words = new Int32Array(shared, 0, 4)
  }

  /**
   * An upload begins; `leave` ends it. Gives the length of its chunks, a power of two, from what memory is promised to others.
   * It is promised one such buffer, or as much of it as its body of `bytesMax` needs, `weight` times.
   */
  enter(bytesMax = Number.POSITIVE_INFINITY, weight = 1): UploadPromise {
    Atomics.add(this.#words, 0, 1)
    const share = (UPLOAD_BYTES_IN_FLIGHT_MAX - this.#promisedBytes) / SHARE_OF_REST / weight
    let chunkBytes = OBJECT_CHUNK_BYTES
    while (chunkBytes > OBJECT_CHUNK_BYTES_MIN && chunkBytes > share) chunkBytes /= 2
    let heldBytes = chunkBytes
    while (heldBytes > OBJECT_CHUNK_BYTES_MIN && heldBytes / 2 >= bytesMax) heldBytes /= 2
    const units = (heldBytes * weight) / UNIT_BYTES
    Atomics.add(this.#words, 3, units)
    return { chunkBytes, units }
  }

  leave({ units }: UploadPromise): void {
    Atomics.sub(this.#words, 0, 1)
    Atomics.sub(this.#words, 3, units)
  }

  get uploads(): number {
    return Atomics.load(this.#words, 0)
  }

  get #promisedBytes(): number {
    return Atomics.load(this.#words, 3) * UNIT_BYTES
  }

  /** Takes memory, or says no. `force`: an upload's only buffer, without which it would never go on. */
  reserve(bytes: number, force: boolean): boolean {
    const units = bytes / UNIT_BYTES
    if (Atomics.add(this.#words, 1, units) + units <= UNITS_MAX || force) return true
    Atomics.sub(this.#words, 1, units)
    return false
  }

  release(bytes: number): void {
    Atomics.sub(this.#words, 1, bytes / UNIT_BYTES)
  }

  get bytesInFlight(): number {
    return Atomics.load(this.#words, 1) * UNIT_BYTES
  }

  /** A write of a blob failed, perhaps after its bytes were stored; or blobs could be neither removed nor left to the collector. */
  noteOrphan(): void {
    Atomics.store(this.#words, 2, 1)
  }

  /** Since the start of the process. */
  get mayHaveOrphans(): boolean {
    return Atomics.load(this.#words, 2) !== 0
  }
}
