/** What the S3 front door's threads count, by action: each thread in a place of its own, in memory that all of them see. */
import { assert } from '../../base/assert.ts'
import { PREFLIGHT, ROUTES, WEBSITE } from './routes.ts'

/** In the order in which they lie in memory, of each action. */
export const S3_COUNTERS = ['requests', 'clientErrors', 'serverErrors', 'bytesReceived', 'bytesSent'] as const
export type S3Counter = (typeof S3_COUNTERS)[number]
const COUNT = S3_COUNTERS.length

/** Requests that did not come as far as an action. */
const NO_ACTION = 'None'
export const S3_ACTION_NAMES: readonly string[] = [
  ...new Set([...ROUTES, PREFLIGHT, WEBSITE].map((route) => route.action)),
  NO_ACTION,
]
const PLACES: ReadonlyMap<string, number> = new Map(S3_ACTION_NAMES.map((name, at) => [name, at]))

export class S3Counters {
  readonly #own: Float64Array
  readonly #all: Float64Array

  /** Memory for `threads` threads, to be posted to each of them. */
  static share(threads: number): SharedArrayBuffer {
    return new SharedArrayBuffer(threads * S3_ACTION_NAMES.length * COUNT * Float64Array.BYTES_PER_ELEMENT)
  }

  /** `thread`: the place of the calling thread, from 0. */
  constructor(shared: SharedArrayBuffer, thread: number) {
    const size = S3_ACTION_NAMES.length * COUNT
    this.#all = new Float64Array(shared)
    assert((thread + 1) * size <= this.#all.length, 'no place for this thread')
    this.#own = this.#all.subarray(thread * size, (thread + 1) * size)
  }

  /** Counts a request and its reply. `action` undefined: it was refused before it had one. */
  note(action: string | undefined, status: number, bytes: { received: number; sent: number }): void {
    const at = PLACES.get(action ?? NO_ACTION)! * COUNT
    const own = this.#own
    own[at]! += 1
    if (status >= 500) own[at + 2]! += 1
    else if (status >= 400) own[at + 1]! += 1
    own[at + 3]! += bytes.received
    own[at + 4]! += bytes.sent
  }

  /** Sums over all threads, of actions that were asked for. */
  totals(): Map<string, Record<S3Counter, number>> {
    const totals = new Map<string, Record<S3Counter, number>>()
    const threads = this.#all.length / (S3_ACTION_NAMES.length * COUNT)
    for (const [at, name] of S3_ACTION_NAMES.entries()) {
      const sums = { requests: 0, clientErrors: 0, serverErrors: 0, bytesReceived: 0, bytesSent: 0 }
      for (let thread = 0; thread < threads; thread++) {
        const start = (thread * S3_ACTION_NAMES.length + at) * COUNT
        for (const [i, counter] of S3_COUNTERS.entries()) sums[counter] += this.#all[start + i]!
      }
      if (sums.requests > 0) totals.set(name, sums)
    }
    return totals
  }
}
