/** What the threads of this door count. Names as memcached has them. */
import { SharedCounters } from '../../base/shared-counters.ts'

const NAMES = [
  'cmd_get',
  'cmd_set',
  'cmd_delete',
  'get_hits',
  'get_misses',
  'bytes_read',
  'bytes_written',
  'curr_connections',
  'total_connections',
] as const

export class SfssCounters extends SharedCounters<(typeof NAMES)[number]> {
  /** Memory for `threads` threads, to be posted to each of them. */
  static share(threads: number): SharedArrayBuffer {
    return SharedCounters.memory(NAMES, threads)
  }

  /** `thread`: the place of the calling thread, from 0. */
  constructor(shared: SharedArrayBuffer, thread: number) {
    super(NAMES, shared, thread)
  }
}
