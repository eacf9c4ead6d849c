/** GET /status: what the storage and this door have done since the start, with memcached's names; all values are texts. */
import type { Clock } from '../../base/clock.ts'
import type { SfssCounters } from './sfss-counters.ts'

export interface SfssStorage {
  /** `host:port`. */
  address: string
  /** Throws `unavailable` or `timeout` when the storage does not answer. */
  check(): Promise<unknown>
}

export interface StatusParts {
  clock: Clock
  /** Of the clock's `monotonicMs`. */
  startedMs: number
  counters: SfssCounters
  storage: SfssStorage
  version: string
  usage: { objects: number; bytes: number }
}

const MS_PER_S = 1_000
const US_PER_S = 1_000_000

export function statusOf({ clock, startedMs, counters, storage, version, usage }: StatusParts): object {
  const totals = counters.totals()
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
  const shared = {
    pid: process.pid,
    uptime: Math.floor((clock.monotonicMs() - startedMs) / MS_PER_S),
    time: Math.floor(clock.nowMs() / MS_PER_S),
    version,
    threads: counters.threads,
    rusage_user: Math.floor(userCPUTime / US_PER_S),
    rusage_system: Math.floor(systemCPUTime / US_PER_S),
    rusage_maxrss: maxRSS,
  }
  const { cmd_get, cmd_set, cmd_delete, get_hits, get_misses, bytes_read, bytes_written } = totals
  const stored = texts({
    ...shared,
    ...{ cmd_get, cmd_set, cmd_delete, get_hits, get_misses },
    bytes_read,
    bytes_written,
    curr_items: usage.objects,
    total_items: cmd_set,
    bytes: usage.bytes,
  })
  const { address } = storage
  return { [address]: stored, storages: { [address]: stored }, webserver: texts({ ...shared, ...totals }) }
}

function texts(values: Record<string, number | string>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]))
}
