/** Time, by argument, so that tests and the simulator own it. */

export interface Clock {
  /** Wall-clock milliseconds since 1970, whole. */
  nowMs(): number
  /** Milliseconds that never go back, with a fraction; for measuring and deadlines. */
  monotonicMs(): number
  /** Calls `run` once after `delayMs`; the returned function cancels it. Does not keep the process alive. */
  after(delayMs: number, run: () => void): () => void
  /** Calls `run` each `periodMs`; the returned function stops it. Does not keep the process alive. */
  every(periodMs: number, run: () => void): () => void
  /** Calls `run` once, when the events that wait now have been dealt with. */
  soon(run: () => void): void
  /** Resolves after `delayMs`. Keeps the process alive until then. */
  sleep(delayMs: number): Promise<void>
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs)
    timer.unref()
    return () => clearTimeout(timer)
  },
  every(periodMs, run) {
    const timer = setInterval(run, periodMs)
    timer.unref()
    return () => clearInterval(timer)
  },
  soon: (run) => void setImmediate(run),
  sleep: (delayMs) => new Promise((resolve) => void setTimeout(resolve, delayMs)),
}
