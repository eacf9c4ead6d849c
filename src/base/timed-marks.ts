/** What is left alone for a while, such as a server that has just failed: each mark ends by itself. */
import type { Clock } from './clock.ts'

export class TimedMarks<K> {
  readonly #clock: Clock
  readonly #lastsMs: number
  /** Until when, monotonic. */
  readonly #untilMs = new Map<K, number>()

  constructor(clock: Clock, lastsMs: number) {
    this.#clock = clock
    this.#lastsMs = lastsMs
  }

  /** Marks a key from now on; one that has a mark gets it anew. */
  add(key: K): void {
    this.#untilMs.set(key, this.#clock.monotonicMs() + this.#lastsMs)
  }

  has(key: K): boolean {
    if (this.#untilMs.size === 0) return false
    const untilMs = this.#untilMs.get(key)
    if (untilMs === undefined) return false
    if (this.#clock.monotonicMs() < untilMs) return true
    this.#untilMs.delete(key)
    return false
  }

  remove(key: K): void {
    if (this.#untilMs.size > 0) this.#untilMs.delete(key)
  }
}
