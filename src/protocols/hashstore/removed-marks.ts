/**
 * What was removed here, or elsewhere and told here: of each path the latest time that a removed file had. A copy of it that is
 * still on its way between servers is refused by it. A mark goes by itself after HASHSTORE_REMOVED_MS.
 */
import type { Clock } from '../../base/clock.ts'
import { HASHSTORE_REMOVED_MS } from '../../base/limits.ts'
import type { ObjectAttributes, ObjectStore } from '../../objects/object-store.ts'
import { OwnBucket } from './own-bucket.ts'

const REMOVED_BUCKET = 'hashstore-removed'
const MS_PER_S = 1_000
/** Before all times. */
export const NEVER_MS = -1

export class RemovedMarks {
  readonly #clock: Clock
  readonly #bucket: OwnBucket

  constructor({ objects, clock, owner }: { objects: ObjectStore; clock: Clock; owner: string }) {
    this.#clock = clock
    this.#bucket = new OwnBucket({ objects, name: REMOVED_BUCKET, owner })
  }

  /** NEVER_MS: nothing is known to have been removed. */
  async timeOf(text: string): Promise<number> {
    return timeIn((await this.#bucket.lookUp(text))?.found.info.attributes)
  }

  /** The mark has this time or a later one, and is as durable as a file, when this resolves. */
  async note(text: string, timeMs: number): Promise<void> {
    await this.#bucket.note(text, (present) => ({
      userMetadata: [['time', String(Math.max(timeMs, timeIn(present)))]],
      posix: { createdMs: this.#clock.nowMs(), ttlSeconds: HASHSTORE_REMOVED_MS / MS_PER_S },
    }))
  }
}

function timeIn(attributes: ObjectAttributes | undefined): number {
  const time = Number(new Map(attributes?.userMetadata).get('time') ?? NEVER_MS)
  return Number.isSafeInteger(time) ? time : NEVER_MS
}
