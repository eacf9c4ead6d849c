/**
 * Long computations that run on Node's pool of threads, counted over all threads of the process: that pool also syncs
 * files, and must never be full of images.
 */
import { StoreError } from './errors.ts'
import { HEAVY_JOB_LOOK_MS, HEAVY_JOBS_MAX, HEAVY_JOBS_WAITING_MAX } from './limits.ts'

export class HeavyJobs {
  readonly #running: Int32Array
  #waiting = 0

  /** `shared`: 4 bytes, the same for every thread, zero at the start. */
  constructor(shared: SharedArrayBuffer) {
    this.#running = new Int32Array(shared, 0, 1)
  }

  /** Whether the next job would be refused. */
  get isFull(): boolean {
    return this.#waiting >= HEAVY_JOBS_WAITING_MAX
  }

  /** Runs `work` when there is room. Rejects with `too_many_requests` when too many wait already. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.isFull)
      throw new StoreError('too_many_requests', 'too many long computations at a time; try again')
    this.#waiting++
    try {
      await this.#enter()
    } finally {
      this.#waiting--
    }
    try {
      return await work()
    } finally {
      Atomics.sub(this.#running, 0, 1)
      Atomics.notify(this.#running, 0, 1)
    }
  }

  async #enter(): Promise<void> {
    for (;;) {
      const running = Atomics.load(this.#running, 0)
      if (running < HEAVY_JOBS_MAX) {
        if (Atomics.compareExchange(this.#running, 0, running, running + 1) === running) return
        continue
      }
      const wait = Atomics.waitAsync(this.#running, 0, running, HEAVY_JOB_LOOK_MS)
      if (wait.async) await wait.value
    }
  }
}
