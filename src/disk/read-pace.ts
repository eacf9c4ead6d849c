/** Whether a thread reads a volume itself: while the disk is quick. A cold disk must not hold up all others that the thread serves. */
import type { Clock } from '../base/clock.ts'

/** A read that takes longer than this makes the next ones asynchronous. */
const SLOW_READ_MS = 4
const ASYNC_READS_AFTER_SLOW = 64

export class ReadPace {
  readonly #clock: Clock
  #asyncReads = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** To be asked before each read: whether it is to be asynchronous. */
  isSlow(): boolean {
    if (this.#asyncReads === 0) return false
    this.#asyncReads--
    return true
  }

  /** A read on this thread begins. Gives what `end` wants. */
  begin(): number {
    return this.#clock.monotonicMs()
  }

  /** False: it was a slow one. */
  end(startMs: number): boolean {
    if (this.#clock.monotonicMs() - startMs <= SLOW_READ_MS) return true
    this.#asyncReads = ASYNC_READS_AFTER_SLOW
    return false
  }

  /** Resolves when whatever waits for this thread has had its turn. */
  turn(): Promise<void> {
    return new Promise((resolve) => this.#clock.soon(resolve))
  }
}
