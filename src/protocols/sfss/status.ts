/** GET /status: what the storages say of themselves and what this door has done, with memcached's names; all values are texts. */
import type { Clock } from '../../base/clock.ts'
import type { StorageState } from './file-store.ts'

const MS_PER_S = 1_000
const US_PER_S = 1_000_000

/** Each storage that answers by its address; then all of them once more, with their states, and the door. */
export function statusOf(states: readonly StorageState[], webserver: Record<string, string>): object {
  const answering = states.filter(({ failure }) => failure === undefined)
  return {
    ...Object.fromEntries(answering.map(({ address, stats }) => [address, stats])),
    storages: Object.fromEntries(
      states.map(({ address, stats, failure }) => [
        address,
        failure === undefined ? { state: 'up', ...stats } : { state: 'down', reason: failure },
      ]),
    ),
    webserver,
  }
}

/** What this process is. `startedMs`: of the clock's `monotonicMs`. */
export function processTexts(of: {
  clock: Clock
  startedMs: number
  version: string
  threads: number
}): Record<string, string> {
  const { clock, startedMs, version, threads } = of
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
  return {
    pid: String(process.pid),
    uptime: String(Math.floor((clock.monotonicMs() - startedMs) / MS_PER_S)),
    time: String(Math.floor(clock.nowMs() / MS_PER_S)),
    version,
    threads: String(threads),
    rusage_user: String(Math.floor(userCPUTime / US_PER_S)),
    rusage_system: String(Math.floor(systemCPUTime / US_PER_S)),
    rusage_maxrss: String(maxRSS),
  }
}

export function counterTexts(counts: Record<string, number>): Record<string, string> {
  return Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, String(count)]))
}
