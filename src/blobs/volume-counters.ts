/**
 * What a volume server's threads count. Each thread has its own place in memory that all of them see, so counting is a
 * plain addition, and any thread can tell the sum of all when it is asked for metrics.
 */
import { SharedCounters } from '../base/shared-counters.ts'

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

export class VolumeCounters extends SharedCounters<VolumeCounter> {
  /** Memory for `threads` threads, to be posted to each of them. */
  static share(threads: number): SharedArrayBuffer {
    return SharedCounters.memory(VOLUME_COUNTERS, threads)
  }

  /** `thread`: the place of the calling thread, from 0. */
  constructor(shared: SharedArrayBuffer, thread: number) {
    super(VOLUME_COUNTERS, shared, thread)
  }

  /** Counts one request and its reply. `kind`: 0 read, 1 write, 2 delete, 3 other. */
  note(kind: number, status: number, bytes: { received: number; sent: number }): void {
    this.addAt(kind, 1)
    const statusClass = Math.floor(status / 100)
    if (statusClass >= 2 && statusClass <= 5) this.addAt(2 + statusClass, 1)
    this.addAt(8, bytes.received)
    this.addAt(9, bytes.sent)
  }
}
