/** A clock that the test moves. Sleeps end by themselves, soon, and take the clock along, so that nothing waits in earnest. */
import type { Clock } from '../../src/base/clock.ts'

interface Timer {
  atMs: number
  periodMs: number | undefined
  run: () => void
}

export class SimClock implements Clock {
  #nowMs: number
  readonly #timers = new Set<Timer>()

  constructor(startMs = 1_790_000_000_000) {
    this.#nowMs = startMs
  }

  nowMs(): number {
    return Math.floor(this.#nowMs)
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, run: () => void): () => void {
    return this.#add({ atMs: this.#nowMs + delayMs, periodMs: undefined, run })
  }

  every(periodMs: number, run: () => void): () => void {
    return this.#add({ atMs: this.#nowMs + periodMs, periodMs, run })
  }

  soon(run: () => void): void {
    setImmediate(run)
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) =>
      setImmediate(() => {
        this.#nowMs += delayMs
        resolve()
      }),
    )
  }

  /** Moves the time on, and runs the timers that come due, in their order. */
  advance(ms: number): void {
    const target = this.#nowMs + ms
    for (;;) {
      const due = [...this.#timers].filter((timer) => timer.atMs <= target).sort((a, b) => a.atMs - b.atMs)[0]
      if (due === undefined) break
      this.#nowMs = Math.max(this.#nowMs, due.atMs)
      if (due.periodMs === undefined) this.#timers.delete(due)
      else due.atMs += due.periodMs
      due.run()
    }
    this.#nowMs = Math.max(this.#nowMs, target)
  }

  #add(timer: Timer): () => void {
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }
}
