/**
 * What a volume server's threads count. Each thread has its own place in memory that all of them see, so counting is a
 * plain addition, and any thread can tell the sum of all when it is asked for metrics.
 */
import { assert } from '../base/assert.ts'

/** In the order in which they lie in memory. */
export const VOLUME_COUNTERS = [
  'reads',
  'writes',
  'deletes',
  'otherRequests',
  'status2xx',
  'status3xx',
  'status4xx',
  'status5xx',
  'bytesReceived',
  'bytesSent',
] as const

export type VolumeCounter = (typeof VOLUME_COUNTERS)[number]
/** Sums since the start. */
export type VolumeTraffic = Record<VolumeCounter, number>
const COUNT = VOLUME_COUNTERS.length

export class VolumeCounters {
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

  /** Counts one request and its reply. `kind`: 0 read, 1 write, 2 delete, 3 other. */
  note(kind: number, status: number, bytes: { received: number; sent: number }): void {
    const own = this.#own
    own[kind]! += 1
    const statusClass = Math.floor(status / 100)
    if (statusClass >= 2 && statusClass <= 5) own[2 + statusClass]! += 1
    own[8]! += bytes.received
    own[9]! += bytes.sent
  }

  /** Sums over all threads. */
  totals(): Record<VolumeCounter, number> {
    const totals = Object.fromEntries(VOLUME_COUNTERS.map((name) => [name, 0])) as Record<
      VolumeCounter,
      number
    >
    for (let i = 0; i < this.#all.length; i++) totals[VOLUME_COUNTERS[i % COUNT]!] += this.#all[i]!
    return totals
  }
}
