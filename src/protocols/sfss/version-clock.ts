/** Rising numbers for all threads of a process: microseconds since 1970, or one more than what there was where the clock stands or is behind. */
import type { Clock } from '../../base/clock.ts'

const US_PER_MS = 1_000

export class VersionClock {
  static readonly BYTES = BigInt64Array.BYTES_PER_ELEMENT
  readonly #last: BigInt64Array
  readonly #clock: Clock

  /** `shared`: BYTES, zero at the start. */
  constructor(shared: SharedArrayBuffer, clock: Clock) {
    this.#last = new BigInt64Array(shared, 0, 1)
    this.#clock = clock
  }

  /** Above `seen`, too, so that nobody else gets the same. */
  next(seen = 0): number {
    const least = BigInt(seen) + 1n
    for (;;) {
      const last = Atomics.load(this.#last, 0)
      let next = BigInt(this.#clock.nowMs() * US_PER_MS)
      for (const each of [last + 1n, least]) if (each > next) next = each
      if (Atomics.compareExchange(this.#last, 0, last, next) === last) return Number(next)
    }
  }
}
