/**
 * Writes all shards of a blob at once. It is there when all are; when some fail, or take long, as soon as one more are than a
 * reader needs. What is slow goes on in the background, and what failed is left to repair.
 */
import type { Clock } from '../../base/clock.ts'
import { type ErasureLayout, shardVolume } from '../../base/erasure-id.ts'
import { StoreError, toStoreError } from '../../base/errors.ts'
import { ERASURE_SLOW_SHARD_MS } from '../../base/limits.ts'
import { WORD } from '../../disk/volume-table.ts'
import type { BlobPlace } from '../id-lease.ts'
import type { PackedBlob } from './packed-shard.ts'
import type { ShardHealth } from './shard-health.ts'
import type { ShardStore } from './shard-store.ts'

export interface WriteParts {
  shards: ShardStore
  health: ShardHealth
  clock: Clock
  layout: ErasureLayout
}

/** Resolves when the blob is durable. Throws `disk_full`, `volume_full`, `unavailable` when too few shards could be written. */
export function writeShards(parts: WriteParts, place: BlobPlace, packed: PackedBlob): Promise<void> {
  return new ShardWrites(parts, place, packed).run()
}

class ShardWrites {
  readonly #parts: WriteParts
  readonly #place: BlobPlace
  readonly #packed: PackedBlob
  readonly #failures: StoreError[] = []
  /** Shards that are on disk. */
  readonly #written: number[] = []
  readonly #pending = new Set<number>()
  #isOver = false
  #isSlow = false
  #stopTimer = () => {}
  #resolve: () => void = () => {}
  #reject: (error: unknown) => void = () => {}

  constructor(parts: WriteParts, place: BlobPlace, packed: PackedBlob) {
    this.#parts = parts
    this.#place = place
    this.#packed = packed
  }

  run(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      this.#stopTimer = this.#parts.clock.after(ERASURE_SLOW_SHARD_MS, () => {
        this.#isSlow = true
        this.#look()
      })
      for (const index of this.#packed.keys()) this.#pending.add(index)
      const refusals = this.#refusals()
      for (const index of this.#packed.keys()) void this.#write(index, refusals[index])
    })
  }

  async #write(index: number, refusal: StoreError | undefined): Promise<void> {
    const { shards, health } = this.#parts
    const { fid, members } = this.#place
    const volumeId = shardVolume(fid.volumeId, index)
    if (refusal !== undefined) this.#failures.push(refusal)
    else {
      try {
        const { blobName } = this.#packed
        const url = members?.[index] || undefined
        await shards.write({ ...fid, volumeId }, this.#packed[index]!, { url, blobName })
        this.#written.push(index)
        health.noteSuccess(volumeId)
      } catch (error) {
        const failure = toStoreError(error)
        this.#failures.push(failure)
        health.noteFailure(volumeId, failure)
      }
    }
    this.#pending.delete(index)
    // After a failure somebody may still be sending them.
    if (this.#pending.size === 0 && this.#failures.length === 0) this.#packed.giveBack?.()
    if (!this.#isOver) this.#look()
  }

  /** Which shards are not even tried. Those of volumes that were slow are, where otherwise there would be too few. */
  #refusals(): (StoreError | undefined)[] {
    const { health, layout } = this.#parts
    const idOf = (index: number) => shardVolume(this.#place.fid.volumeId, index)
    const refusals = this.#packed.map((_, index) => this.#refusal(index, idOf(index)))
    const open = [...refusals.keys()].filter((index) => refusals[index] === undefined)
    const hung = open.filter((index) => health.isHung(idOf(index)))
    if (open.length - hung.length > layout.k)
      for (const index of hung)
        refusals[index] = new StoreError('unavailable', `volume ${idOf(index)} was slow just now`)
    return refusals
  }

  /** Why a shard is not even tried: what is known of its volume is enough. */
  #refusal(index: number, volumeId: number): StoreError | undefined {
    const { shards, health } = this.#parts
    if (health.isIll(volumeId)) return new StoreError('unavailable', `volume ${volumeId} failed just now`)
    try {
      const near = shards.near(volumeId)
      if (near === undefined)
        return this.#place.members?.[index]
          ? undefined
          : new StoreError('unavailable', `volume ${volumeId} is away`)
      return near.slot.get(WORD.tailUnits) >= near.slot.get(WORD.sizeLimitUnits)
        ? new StoreError('volume_full', `volume ${volumeId} is full`)
        : undefined
    } catch (error) {
      return toStoreError(error)
    }
  }

  #look(): void {
    const { k } = this.#parts.layout
    const isEnough = this.#written.length > k
    if (this.#isOver || (this.#pending.size > 0 && !(isEnough && this.#isSlow))) return
    this.#isOver = true
    this.#stopTimer()
    if (isEnough) {
      const { health } = this.#parts
      // Not so soon again: each write would wait as long.
      for (const index of this.#pending) health.noteHung(shardVolume(this.#place.fid.volumeId, index))
      this.#resolve()
      return
    }
    this.#undo()
    this.#reject(this.#failure())
  }

  /** What is left of it nobody knows: shards that cannot be removed now are removed by repair, being too few. */
  #undo(): void {
    const { shards } = this.#parts
    const { fid } = this.#place
    for (const index of this.#written) {
      const shard = { ...fid, volumeId: shardVolume(fid.volumeId, index) }
      shards.remove(shard).catch(() => {})
    }
  }

  #failure(): StoreError {
    const { k, m } = this.#parts.layout
    const [first] = this.#failures
    const isFull = first?.code === 'disk_full' || first?.code === 'volume_full'
    return new StoreError(
      isFull ? first.code : 'unavailable',
      `${this.#written.length} of ${k + m} shards could be written, and ${k + 1} are needed: ${first?.message}`,
      { cause: first },
    )
  }
}
