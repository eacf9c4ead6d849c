/** Volumes that no server has, such as those of a time to live that is over: how long that is so, and when it was looked at. */
import { StoreError } from '../../base/errors.ts'
import { GARBAGE_AWAY_RETRY_MS, GARBAGE_LOST_MS, GARBAGE_RETRY_MS } from '../../base/limits.ts'
import type { BlobId } from '../../blobs/blob-store.ts'

interface Away {
  sinceMs: number
  lookedMs: number
}

export class AwayVolumes {
  readonly #volumes = new Map<number, Away>()

  /** `wasAway`: it was known already. */
  note(volumeId: number, nowMs: number): { wasAway: boolean } {
    const known = this.#volumes.get(volumeId)
    // Where nobody has looked for long, it may have been there meanwhile.
    const wasAway = known !== undefined && nowMs - known.lookedMs <= 2 * GARBAGE_AWAY_RETRY_MS
    this.#volumes.set(volumeId, { sinceMs: wasAway ? known.sinceMs : nowMs, lookedMs: nowMs })
    return { wasAway }
  }

  isBack(volumeId: number): void {
    this.#volumes.delete(volumeId)
  }

  /** Looked at a moment ago: not worth another look. */
  isAway(volumeId: number, nowMs: number): boolean {
    const known = this.#volumes.get(volumeId)
    return known !== undefined && nowMs - known.lookedMs < GARBAGE_RETRY_MS
  }

  /** Away for so long that nobody expects it back. */
  isLost(volumeId: number, nowMs: number): boolean {
    const known = this.#volumes.get(volumeId)
    return known !== undefined && nowMs - known.sinceMs >= GARBAGE_LOST_MS
  }
}

/** Whether that is why blobs could not be removed. */
export function isVolumeAway(error: unknown): boolean {
  if (!(error instanceof StoreError)) return false
  return error.code === 'volume_not_found' || isVolumeAway(error.cause)
}

/** Blobs by their volumes. */
export function byVolume(ids: readonly BlobId[]): Map<number, BlobId[]> {
  return Map.groupBy(ids, ({ volumeId }) => volumeId)
}
