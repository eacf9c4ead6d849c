/**
 * Memory in which chunks are gathered. It is got in slabs of the longest chunk, each of which serves chunks of one length at
 * a time, and is used again and again: memory of this size is expensive to get, and what is in shared memory comes back
 * only when the runtime's collector looks for other reasons.
 */
import { assert } from '../../base/assert.ts'
import { OBJECT_CHUNK_BYTES, OBJECT_CHUNK_BYTES_MIN, UPLOAD_BYTES_IN_FLIGHT_MAX } from '../../base/limits.ts'

/** Slabs that are kept when nobody uses them: as many as uploads may ever fill. */
const EMPTY_SLABS_MAX = UPLOAD_BYTES_IN_FLIGHT_MAX / OBJECT_CHUNK_BYTES

interface Slab {
  memory: ArrayBuffer | SharedArrayBuffer
  /** Of each buffer in it. */
  lengthBytes: number
  /** Where the buffers begin that nobody uses. */
  free: number[]
  used: number
}

export class ChunkBuffers {
  readonly #slabs = new Map<ArrayBufferLike, Slab>()
  /** Slabs with room, by the length of their buffers. */
  readonly #roomy = new Map<number, Set<Slab>>()
  #empty: Slab[] = []
  readonly #isShared: boolean

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

  /** A buffer of exactly a length that `lengthFor` gave, at most OBJECT_CHUNK_BYTES; its bytes are anything. */
  take(length: number): Buffer {
    const roomy = this.#roomyOf(length)
    const [slab = this.#carve(length)] = roomy
    const start = slab.free.pop()!
    slab.used++
    if (slab.free.length === 0) roomy.delete(slab)
    return Buffer.from(slab.memory, start, length)
  }

  /** Gives it back: nobody may use it any more. */
  give(buffer: Buffer): void {
    const slab = this.#slabs.get(buffer.buffer)
    assert(slab !== undefined && slab.lengthBytes === buffer.length, 'the buffer was taken here')
    slab.free.push(buffer.byteOffset)
    slab.used--
    const roomy = this.#roomyOf(slab.lengthBytes)
    if (slab.used > 0) {
      roomy.add(slab)
      return
    }
    roomy.delete(slab)
    if (this.#empty.length < EMPTY_SLABS_MAX) this.#empty.push(slab)
    else this.#slabs.delete(slab.memory)
  }

  #roomyOf(length: number): Set<Slab> {
    let slabs = this.#roomy.get(length)
    if (slabs === undefined) {
      slabs = new Set()
      this.#roomy.set(length, slabs)
    }
    return slabs
  }

  /** A slab for buffers of this length. */
  #carve(length: number): Slab {
    const slab = this.#empty.pop() ?? this.#newSlab()
    slab.lengthBytes = length
    slab.free = []
    for (let start = OBJECT_CHUNK_BYTES - length; start >= 0; start -= length) slab.free.push(start)
    this.#roomyOf(length).add(slab)
    return slab
  }

  #newSlab(): Slab {
    const memory = this.#isShared
      ? new SharedArrayBuffer(OBJECT_CHUNK_BYTES)
      : new ArrayBuffer(OBJECT_CHUNK_BYTES)
    const slab = { memory, lengthBytes: 0, free: [], used: 0 }
    this.#slabs.set(memory, slab)
    return slab
  }
}
