/** Rising numbers for all threads of a process: microseconds since 1970, or one more than the last where the clock stands or goes back. */
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

  next(): number {
    for (;;) {
      const last = Atomics.load(this.#last, 0)
      const now = BigInt(this.#clock.nowMs() * US_PER_MS)
      const next = now > last ? now : last + 1n
      if (Atomics.compareExchange(this.#last, 0, last, next) === last) return Number(next)
    }
  }
}
