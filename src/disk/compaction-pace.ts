/**
 * How fast a compaction goes on. One that is not urgent works for a part of the time only: requests need the processors and the
 * disk more, and garbage can wait.
 */
import type { Clock } from '../base/clock.ts'

/** It rests for so many times as long as it works, … */
const REST_FACTOR = 7
/** … but no longer than that in all: the keeper looks after nothing else meanwhile. */
const REST_MS_MAX = 30_000

export class CompactionPace {
  /** Without its rests. */
  workedMs = 0
  readonly #clock: Clock
  #restMsLeft: number
  #workingSinceMs: number

  constructor(clock: Clock, isUrgent: boolean) {
    this.#clock = clock
    this.#restMsLeft = isUrgent ? 0 : REST_MS_MAX
    this.#workingSinceMs = clock.monotonicMs()
  }

  /** Between two pieces of work: gives the thread to others. */
  async pause(mayRest: boolean): Promise<void> {
    const workedMs = this.#clock.monotonicMs() - this.#workingSinceMs
    this.workedMs += workedMs
    const restMs = mayRest ? Math.min(workedMs * REST_FACTOR, this.#restMsLeft) : 0
    this.#restMsLeft -= restMs
    await this.#clock.sleep(restMs)
    this.#workingSinceMs = this.#clock.monotonicMs()
  }
}
