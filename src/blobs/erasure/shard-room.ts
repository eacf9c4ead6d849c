/**
 * Memory in which the shards of a large blob lie side by side, in reach of a kernel: what is lost is made there from the others, and
 * all is given out from there, so that no byte is copied.
 */
import { BLOB_BYTES_MAX, SHARD_ROOMS_KEPT_MAX } from '../../base/limits.ts'
import { Kernel } from './kernel.ts'
import { SHARD_HEAD_BYTES, type Shard } from './packed-shard.ts'
import { ReedSolomon } from './reed-solomon.ts'

/** One more than shards, for one that is read in vain. */
const SPARE_SLOTS = 1
const LINE_BYTES = 64
/** More than any record has around its data, and before it. */
const AROUND_BYTES = 4_096
/** Slots do not begin at the same place of a page: the processor would take reads of one for reads of what was just written to another. */
const STAGGER_BYTES = 5 * LINE_BYTES

export class ShardRoom {
  readonly #kernel: Kernel
  readonly #code: ReedSolomon
  readonly #slotBytes: number
  readonly #slots: number
  #used = 0

  constructor({ k, m }: { k: number; m: number }) {
    this.#slots = k + m + SPARE_SLOTS
    const shardBytes = Math.ceil(BLOB_BYTES_MAX / k / LINE_BYTES) * LINE_BYTES
    this.#slotBytes = shardBytes + AROUND_BYTES + STAGGER_BYTES
    this.#kernel = new Kernel({ roomBytes: this.#slots * this.#slotBytes })
    this.#code = new ReedSolomon({ k, m, product: this.#kernel })
  }

  /**
   * Memory for something of `lengthBytes` with a packed shard in it, from `shardAt` on, while there is room. The bytes of the shard begin
   * with a line of the processor's cache.
   */
  take(lengthBytes: number, shardAt: number): Buffer | undefined {
    const before =
      Math.ceil((shardAt + SHARD_HEAD_BYTES) / LINE_BYTES) * LINE_BYTES - shardAt - SHARD_HEAD_BYTES
    if (this.#used === this.#slots || before + lengthBytes > this.#slotBytes - STAGGER_BYTES) return undefined
    const at = this.#used++ * this.#slotBytes + before
    return this.#kernel.room.subarray(at, at + lengthBytes)
  }

  /** All that was taken is free again. */
  clear(): void {
    this.#used = 0
  }

  /** A blob in pieces: its shards of data, of which some are given. Undefined when they do not make one with its hash. */
  join(chosen: readonly Shard[]): Buffer[] | undefined {
    const { blobBytes, blobHash } = chosen[0]!
    const { k, m } = this.#code
    const shards: (Buffer | undefined)[] = new Array(k + m).fill(undefined)
    for (const { index, bytes } of chosen) shards[index] = bytes
    const shardBytes = this.#code.shardBytes(blobBytes)
    const lost: number[] = []
    const made: Buffer[] = []
    const pieces: Buffer[] = []
    for (let index = 0; index < k; index++) {
      const given = shards[index]
      const end = Math.min((index + 1) * shardBytes, blobBytes)
      const piece = given ?? this.#output(Math.max(0, end - index * shardBytes))
      if (given === undefined) {
        lost.push(index)
        made.push(piece)
      }
      pieces.push(piece)
    }
    if (lost.length > 0) this.#code.rebuild(shards, lost, made)
    return this.#kernel.hashOf(pieces) === blobHash ? pieces : undefined
  }

  #output(bytes: number): Buffer {
    return this.take(SHARD_HEAD_BYTES + bytes, 0)?.subarray(SHARD_HEAD_BYTES) ?? Buffer.allocUnsafe(bytes)
  }
}

/** Rooms of one layout that nobody uses. Who does not give one back only leaves it to the runtime's collector. */
export class ShardRooms {
  readonly #layout: { k: number; m: number }
  readonly #free: ShardRoom[] = []

  constructor(layout: { k: number; m: number }) {
    this.#layout = layout
  }

  take(): ShardRoom {
    return this.#free.pop() ?? new ShardRoom(this.#layout)
  }

  giveBack(room: ShardRoom): void {
    room.clear()
    if (this.#free.length < SHARD_ROOMS_KEPT_MAX) this.#free.push(room)
  }
}
