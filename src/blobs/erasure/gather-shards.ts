/**
 * Gets enough shards of a blob, from the fastest volumes that have them: those of the data first, one more whenever one fails or
 * takes long.
 */
import type { Clock } from '../../base/clock.ts'
import { layoutOf, shardVolume } from '../../base/erasure-id.ts'
import { type StoreError, toStoreError } from '../../base/errors.ts'
import type { Fid } from '../../base/fid.ts'
import { ERASURE_HEDGE_MS } from '../../base/limits.ts'
import type { LentPiece } from '../../base/piece-buffers.ts'
import type { Shard, ShardCodec } from './packed-shard.ts'
import type { ShardHealth } from './shard-health.ts'
import type { ShardReadOptions, ShardStore } from './shard-store.ts'

export interface GatherParts {
  shards: ShardStore
  health: ShardHealth
  codec: ShardCodec
  clock: Clock
}

/** What came, at the index of each shard. */
export interface Gathered {
  shards: (Shard | undefined)[]
  failures: (StoreError | undefined)[]
  /** Those that somebody still waits for, as they come too late: their memory may change. */
  pending: ReadonlySet<number>
  /** When the bytes of the shards are not used any more. */
  giveBack(): void
}

export interface GatherOptions extends ShardReadOptions {
  needed: number
  /** When so much time has passed, k are enough; without it, `needed` are waited for. */
  waitMs?: number | undefined
}

/** `needed` shards, or all that there are. Never throws. */
export function gatherShards(parts: GatherParts, id: Fid, options: GatherOptions): Promise<Gathered> {
  return new Gathering(parts, id, options).run()
}

class Gathering {
  readonly #parts: GatherParts
  readonly #id: Fid
  readonly #options: GatherOptions
  readonly #found: Gathered
  readonly #lent: LentPiece[] = []
  #isOver = false
  /** Indexes that nobody has asked for yet, in the order in which they are. */
  readonly #waiting: number[]
  readonly #pending = new Set<number>()
  #isLate = false
  #have = 0
  /** Goes down to k when too much time has passed. */
  #needed: number
  #stopHedge = () => {}
  #stopWait = () => {}
  #done: (found: Gathered) => void = () => {}

  constructor(parts: GatherParts, id: Fid, options: GatherOptions) {
    this.#parts = parts
    this.#id = id
    this.#options = options
    this.#needed = options.needed
    const { k, m } = layoutOf(id.volumeId)
    const indexes = Array.from({ length: k + m }, (_, index) => index)
    const isLate = (index: number) => parts.health.isLate(shardVolume(id.volumeId, index))
    this.#waiting = [...indexes.filter((index) => !isLate(index)), ...indexes.filter(isLate)]
    this.#found = {
      shards: indexes.map(() => undefined),
      failures: indexes.map(() => undefined),
      pending: this.#pending,
      giveBack: () => {
        for (const packed of this.#lent.splice(0)) packed.giveBack?.()
      },
    }
  }

  run(): Promise<Gathered> {
    return new Promise((resolve) => {
      this.#done = resolve
      for (let count = 0; count < this.#needed; count++) this.#askNext()
      this.#hedge()
      this.#limit()
    })
  }

  #askNext(): void {
    const index = this.#waiting.shift()
    if (index === undefined) return
    this.#pending.add(index)
    void this.#ask(index).then(() => {
      this.#pending.delete(index)
      const isEnough = this.#have >= this.#needed
      if (!isEnough && this.#found.failures[index] !== undefined) this.#askNext()
      if (isEnough || this.#pending.size === 0) this.#end()
    })
  }

  /** From some time on, those that do not come are done without. */
  #limit(): void {
    const { waitMs } = this.#options
    if (waitMs === undefined) return
    this.#stopWait = this.#parts.clock.after(waitMs, () => {
      this.#isLate = true
      this.#needed = layoutOf(this.#id.volumeId).k
      if (this.#have >= this.#needed) this.#end()
    })
  }

  #end(): void {
    if (this.#isOver) return
    this.#stopHedge()
    this.#stopWait()
    if (this.#isLate)
      for (const index of this.#pending) this.#parts.health.noteSlow(shardVolume(this.#id.volumeId, index))
    this.#isOver = true
    this.#done(this.#found)
  }

  async #ask(index: number): Promise<void> {
    const { shards, health, codec } = this.#parts
    const volumeId = shardVolume(this.#id.volumeId, index)
    try {
      const packed = await shards.read({ ...this.#id, volumeId }, this.#options)
      health.noteSuccess(volumeId)
      // It comes too late, and whoever asked may have given the others back.
      if (this.#isOver) return packed.giveBack?.()
      this.#lent.push(packed)
      this.#found.shards[index] = codec.unpack(packed, index)
      this.#have++
    } catch (error) {
      const failure = toStoreError(error)
      this.#found.failures[index] = failure
      health.noteReadFailure(volumeId, failure)
    }
  }

  /** Asks for one more each time that too little came. */
  #hedge(): void {
    this.#stopHedge = this.#parts.clock.after(ERASURE_HEDGE_MS, () => {
      this.#isLate = true
      if (this.#waiting.length === 0) return
      this.#askNext()
      this.#hedge()
    })
  }
}
