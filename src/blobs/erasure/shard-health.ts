/** Which volumes of shards failed a moment ago, so that nobody waits for them again and again. */
import type { Clock } from '../../base/clock.ts'
import type { ErrorCode, StoreError } from '../../base/errors.ts'
import { ERASURE_SHARD_REFUSED_MS } from '../../base/limits.ts'

/** What says something about the volume or its server, not about one shard. */
const AWAY: ReadonlySet<ErrorCode> = new Set([
  'volume_not_found',
  'unavailable',
  'timeout',
  'io_error',
  'read_only',
  'disk_full',
  'too_many_requests',
])

export class ShardHealth {
  readonly #clock: Clock
  /** Until when each is left alone, monotonic. */
  readonly #ill = new Map<number, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  isIll(volumeId: number): boolean {
    if (this.#ill.size === 0) return false
    const untilMs = this.#ill.get(volumeId)
    if (untilMs === undefined) return false
    if (this.#clock.monotonicMs() < untilMs) return true
    this.#ill.delete(volumeId)
    return false
  }

  noteFailure(volumeId: number, { code }: StoreError): void {
    if (AWAY.has(code)) this.noteSlow(volumeId)
  }

  noteSlow(volumeId: number): void {
    this.#ill.set(volumeId, this.#clock.monotonicMs() + ERASURE_SHARD_REFUSED_MS)
  }

  noteSuccess(volumeId: number): void {
    if (this.#ill.size > 0) this.#ill.delete(volumeId)
  }
}

/** Whether an error says that a shard is not there, or damaged, so that writing it again helps. */
export function isMendable(error: StoreError | undefined): boolean {
  return error?.code === 'not_found' || error?.code === 'corrupt'
}
