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
  /** Until when writes do without each, where enough others are left, monotonic. */
  readonly #hung = new Map<number, number>()
  /** Until when each is asked last, monotonic. */
  readonly #slow = new Map<number, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** It failed: who writes does without it. */
  isIll(volumeId: number): boolean {
    return this.#isWithin(this.#ill, volumeId)
  }

  /** A write had to go on without it. */
  isHung(volumeId: number): boolean {
    return this.#isWithin(this.#hung, volumeId)
  }

  /** It failed or was slow: who reads asks it last. A write waits for a slow one, for without it it is worth less. */
  isLate(volumeId: number): boolean {
    return this.#isWithin(this.#slow, volumeId) || this.isHung(volumeId) || this.isIll(volumeId)
  }

  #isWithin(marks: Map<number, number>, volumeId: number): boolean {
    if (marks.size === 0) return false
    const untilMs = marks.get(volumeId)
    if (untilMs === undefined) return false
    if (this.#clock.monotonicMs() < untilMs) return true
    marks.delete(volumeId)
    return false
  }

  /** Of a write or delete. */
  noteFailure(volumeId: number, { code }: StoreError): void {
    if (AWAY.has(code)) this.#mark(this.#ill, volumeId)
  }

  /** A disk that does not give one shard may give and take others. */
  noteReadFailure(volumeId: number, failure: StoreError): void {
    if (failure.code === 'io_error') this.noteSlow(volumeId)
    else this.noteFailure(volumeId, failure)
  }

  noteHung(volumeId: number): void {
    this.#mark(this.#hung, volumeId)
  }

  noteSlow(volumeId: number): void {
    this.#mark(this.#slow, volumeId)
  }

  noteSuccess(volumeId: number): void {
    for (const marks of [this.#ill, this.#hung, this.#slow]) if (marks.size > 0) marks.delete(volumeId)
  }

  #mark(marks: Map<number, number>, volumeId: number): void {
    marks.set(volumeId, this.#clock.monotonicMs() + ERASURE_SHARD_REFUSED_MS)
  }
}

/** Whether an error says that a shard is not there, damaged, or on a dead sector, so that writing it again helps. */
export function isMendable(error: StoreError | undefined): boolean {
  return error?.code === 'not_found' || error?.code === 'corrupt' || error?.code === 'io_error'
}
