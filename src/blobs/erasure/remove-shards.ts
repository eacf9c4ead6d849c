/** Removes the shards of blobs. A blob is gone when more of them are than may be lost, so that nothing can bring it back. */
import { layoutOf, shardVolume } from '../../base/erasure-id.ts'
import { StoreError, toStoreError } from '../../base/errors.ts'
import type { Fid } from '../../base/fid.ts'
import { BLOB_REMOVES_AT_ONCE_MAX } from '../../base/limits.ts'
import type { Volume } from '../../disk/volume.ts'
import type { ShardHealth } from './shard-health.ts'
import type { ShardStore } from './shard-store.ts'

export interface RemoveParts {
  shards: ShardStore
  health: ShardHealth
}

/** Durably. Throws what keeps one from being removed, when all others are. */
export function removeShards(parts: RemoveParts, ids: readonly Fid[]): Promise<void> {
  return new Removal(parts, ids).run()
}

class Removal {
  readonly #parts: RemoveParts
  readonly #ids: readonly Fid[]
  /** By the place of a blob: its shards that are gone, and what kept one from it. */
  readonly #gone: number[]
  readonly #failures: (StoreError | undefined)[]

  constructor(parts: RemoveParts, ids: readonly Fid[]) {
    this.#parts = parts
    this.#ids = ids
    this.#gone = ids.map(() => 0)
    this.#failures = ids.map(() => undefined)
  }

  async run(): Promise<void> {
    /** Volumes of this process, with the places of the blobs that had shards there. */
    const touched = new Map<Volume, number[]>()
    const elsewhere: { fid: Fid; at: number }[] = []
    for (const [at, id] of this.#ids.entries()) {
      const { k, m } = layoutOf(id.volumeId)
      for (let index = 0; index < k + m; index++) {
        const fid = { ...id, volumeId: shardVolume(id.volumeId, index) }
        try {
          const volume = this.#removeHere(fid)
          if (volume === undefined) elsewhere.push({ fid, at })
          else if (touched.get(volume)?.push(at) === undefined) touched.set(volume, [at])
        } catch (error) {
          this.#failures[at] ??= toStoreError(error)
        }
      }
    }
    await Promise.all([...touched].map(([volume, places]) => this.#settle(volume, places)))
    for (let from = 0; from < elsewhere.length; from += BLOB_REMOVES_AT_ONCE_MAX) {
      const group = elsewhere.slice(from, from + BLOB_REMOVES_AT_ONCE_MAX)
      await Promise.all(group.map(({ fid, at }) => this.#removeElsewhere(fid, at)))
    }
    const left = this.#ids.findIndex((id, at) => this.#gone[at]! <= layoutOf(id.volumeId).k)
    if (left >= 0)
      throw this.#failures[left] ?? new StoreError('unavailable', 'too few shards could be removed')
  }

  /** The volume, in this process, from which a shard is gone now; undefined: the volume is elsewhere. */
  #removeHere(fid: Fid): Volume | undefined {
    const volume = this.#parts.shards.near(fid.volumeId)
    try {
      volume?.remove(fid)
      return volume
    } catch (error) {
      const { code } = toStoreError(error)
      // With another cookie it is another blob: this one is gone.
      if (code === 'cookie_mismatch') return volume
      if (code === 'volume_not_found') return undefined
      throw error
    }
  }

  async #settle(volume: Volume, places: readonly number[]): Promise<void> {
    try {
      await this.#parts.shards.settle(volume)
      for (const at of places) this.#gone[at]!++
    } catch (error) {
      for (const at of places) this.#failures[at] ??= toStoreError(error)
    }
  }

  /** A server that does not answer is waited for once, not for each blob. */
  async #removeElsewhere(fid: Fid, at: number): Promise<void> {
    const { shards, health } = this.#parts
    const { volumeId } = fid
    try {
      if (health.isIll(volumeId)) throw new StoreError('unavailable', `volume ${volumeId} failed just now`)
      await shards.removeElsewhere(fid)
      this.#gone[at]!++
    } catch (error) {
      const failure = toStoreError(error)
      this.#failures[at] ??= failure
      if (!health.isIll(volumeId)) health.noteFailure(volumeId, failure)
    }
  }
}
