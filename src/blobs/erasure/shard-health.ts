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
  /** Until when each is asked last, monotonic. */
  readonly #slow = new Map<number, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** It failed: who writes does without it. */
  isIll(volumeId: number): boolean {
    return this.#isWithin(this.#ill, volumeId)
  }

  /** It failed or was slow: who reads asks it last. A write waits for a slow one, for without it it is worth less. */
  isLate(volumeId: number): boolean {
    return this.#isWithin(this.#slow, volumeId) || this.isIll(volumeId)
  }

  #isWithin(marks: Map<number, number>, volumeId: number): boolean {
    if (marks.size === 0) return false
    const untilMs = marks.get(volumeId)
    if (untilMs === undefined) return false
    if (this.#clock.monotonicMs() < untilMs) return true
    marks.delete(volumeId)
    return false
  }

  noteFailure(volumeId: number, { code }: StoreError): void {
    if (AWAY.has(code)) this.noteHung(volumeId)
  }

  /** A write had to go on without it. */
  noteHung(volumeId: number): void {
    this.#ill.set(volumeId, this.#clock.monotonicMs() + ERASURE_SHARD_REFUSED_MS)
  }

  noteSlow(volumeId: number): void {
    this.#slow.set(volumeId, this.#clock.monotonicMs() + ERASURE_SHARD_REFUSED_MS)
  }

  noteSuccess(volumeId: number): void {
    if (this.#ill.size > 0) this.#ill.delete(volumeId)
    if (this.#slow.size > 0) this.#slow.delete(volumeId)
  }
}

/** Whether an error says that a shard is not there, or damaged, so that writing it again helps. */
export function isMendable(error: StoreError | undefined): boolean {
  return error?.code === 'not_found' || error?.code === 'corrupt'
}
