/** Which volumes of shards failed a moment ago, so that nobody waits for them again and again. */
import type { Clock } from '../../base/clock.ts'
import type { ErrorCode, StoreError } from '../../base/errors.ts'
import { ERASURE_SHARD_REFUSED_MS } from '../../base/limits.ts'
import { TimedMarks } from '../../base/timed-marks.ts'

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
  /** Left alone. */
  readonly #ill: TimedMarks<number>
  /** Writes do without them, where enough others are left. */
  readonly #hung: TimedMarks<number>
  /** Asked last. */
  readonly #slow: TimedMarks<number>

  constructor(clock: Clock) {
    this.#ill = new TimedMarks(clock, ERASURE_SHARD_REFUSED_MS)
    this.#hung = new TimedMarks(clock, ERASURE_SHARD_REFUSED_MS)
    this.#slow = new TimedMarks(clock, ERASURE_SHARD_REFUSED_MS)
  }

  /** It failed: who writes does without it. */
  isIll(volumeId: number): boolean {
    return this.#ill.has(volumeId)
  }

  /** A write had to go on without it. */
  isHung(volumeId: number): boolean {
    return this.#hung.has(volumeId)
  }

  /** It failed or was slow: who reads asks it last. A write waits for a slow one, for without it it is worth less. */
  isLate(volumeId: number): boolean {
    return this.#slow.has(volumeId) || this.isHung(volumeId) || this.isIll(volumeId)
  }

  /** Of a write or delete. */
  noteFailure(volumeId: number, { code }: StoreError): void {
    if (AWAY.has(code)) this.#ill.add(volumeId)
  }

  /** A disk that does not give one shard may give and take others. */
  noteReadFailure(volumeId: number, failure: StoreError): void {
    if (failure.code === 'io_error') this.noteSlow(volumeId)
    else this.noteFailure(volumeId, failure)
  }

  noteHung(volumeId: number): void {
    this.#hung.add(volumeId)
  }

  noteSlow(volumeId: number): void {
    this.#slow.add(volumeId)
  }

  noteSuccess(volumeId: number): void {
    for (const marks of [this.#ill, this.#hung, this.#slow]) marks.remove(volumeId)
  }
}

/** Whether an error says that a shard is not there, damaged, or on a dead sector, so that writing it again helps. */
export function isMendable(error: StoreError | undefined): boolean {
  return error?.code === 'not_found' || error?.code === 'corrupt' || error?.code === 'io_error'
}
