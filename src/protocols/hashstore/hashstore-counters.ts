/** What the threads of this door count, each in its own place of memory that all of them see. */
import { assert } from '../../base/assert.ts'

/** In the order in which they lie in memory. `cut`: transfers that the other side did not finish, or a failure ended. */
const NAMES = [
  'reads',
  'writes',
  'deletes',
  'others',
  'refused',
  'cut',
  'bytesReceived',
  'bytesSent',
] as const

export type HashstoreCounter = (typeof NAMES)[number]
const COUNT = NAMES.length

export class HashstoreCounters {
  readonly #own: Float64Array
  readonly #all: Float64Array

  /** Memory for `threads` threads, to be posted to each of them. */
  static share(threads: number): SharedArrayBuffer {
    return new SharedArrayBuffer(threads * COUNT * Float64Array.BYTES_PER_ELEMENT)
  }

  /** `thread`: the place of the calling thread, from 0. */
  constructor(shared: SharedArrayBuffer, thread: number) {
    this.#all = new Float64Array(shared)
    assert((thread + 1) * COUNT <= this.#all.length, 'no place for this thread')
    this.#own = this.#all.subarray(thread * COUNT, (thread + 1) * COUNT)
  }

  add(name: HashstoreCounter, count = 1): void {
    this.#own[NAMES.indexOf(name)]! += count
  }

  /** Sums over all threads. */
  totals(): Record<HashstoreCounter, number> {
    const totals = Object.fromEntries(NAMES.map((name) => [name, 0])) as Record<HashstoreCounter, number>
    for (let i = 0; i < this.#all.length; i++) totals[NAMES[i % COUNT]!] += this.#all[i]!
    return totals
  }
}
