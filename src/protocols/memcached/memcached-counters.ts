/** What the node counts, in memory that others of its process see. Names as memcached has them. */
import { SharedCounters } from '../../base/shared-counters.ts'

const NAMES = [
  ...(['cmd_get', 'cmd_set', 'cmd_delete', 'cmd_flush', 'cmd_touch', 'get_hits', 'get_misses'] as const),
  ...(['delete_hits', 'delete_misses', 'incr_hits', 'incr_misses', 'decr_hits', 'decr_misses'] as const),
  ...(['cas_hits', 'cas_misses', 'cas_badval', 'touch_hits', 'touch_misses'] as const),
  ...(['bytes_read', 'bytes_written', 'total_connections', 'total_items'] as const),
] as const

export type MemcachedCounter = (typeof NAMES)[number]

export class MemcachedCounters extends SharedCounters<MemcachedCounter> {
  static share(): SharedArrayBuffer {
    return SharedCounters.memory(NAMES, 1)
  }

  constructor(shared: SharedArrayBuffer) {
    super(NAMES, shared, 0)
  }
}
