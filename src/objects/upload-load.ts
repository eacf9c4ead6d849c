/** How much all uploads of the process hold in memory, counted over its threads: the more there are, the smaller their chunks. */
import { OBJECT_CHUNK_BYTES, OBJECT_CHUNK_BYTES_MIN, UPLOAD_BYTES_IN_FLIGHT_MAX } from '../base/limits.ts'

/** Counted in units, so that 32 bits do. */
const UNIT_BYTES = OBJECT_CHUNK_BYTES_MIN
const UNITS_MAX = UPLOAD_BYTES_IN_FLIGHT_MAX / UNIT_BYTES

export const UPLOAD_LOAD_BYTES = 12

export class UploadLoad {
  readonly #words: Int32Array

  /** `shared`: UPLOAD_LOAD_BYTES, the same for every thread, zero at the start. */
  constructor(shared: SharedArrayBuffer) {
    this.#words = new Int32Array(shared, 0, 3)
  }

  /** An upload begins; `leave` ends it. */
  enter(): void {
    Atomics.add(this.#words, 0, 1)
  }

  leave(): void {
    Atomics.sub(this.#words, 0, 1)
  }

  get uploads(): number {
    return Atomics.load(this.#words, 0)
  }

  /** Length of the next chunk of each upload: a power of two, so that buffers are used again. */
  get chunkBytes(): number {
    const share = UPLOAD_BYTES_IN_FLIGHT_MAX / Math.max(1, this.uploads)
    let bytes = OBJECT_CHUNK_BYTES
    while (bytes > share && bytes > OBJECT_CHUNK_BYTES_MIN) bytes /= 2
    return bytes
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
