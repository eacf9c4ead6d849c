/** Looks whether the servers that sfss keeps copies on answer, and logs when that changes: one that hangs shows no other way. */
import { MEMCACHED_CLIENT_BYTES_MAX, MEMCACHED_TIMEOUT_MS, SFSS_WATCH_MS } from '../../base/limits.ts'
import { MemcachedClient } from '../../net/memcached-client.ts'
import { stateOf } from '../../protocols/sfss/copied-files.ts'
import type { StorageState } from '../../protocols/sfss/file-store.ts'
import type { Context } from '../command.ts'
import type { HostPort } from './doors.ts'

export class StorageWatch {
  readonly #clients: MemcachedClient[]
  readonly #stop: () => void

  constructor(nodes: readonly HostPort[], { clock, random, log }: Context) {
    this.#clients = nodes.map(({ host, port }) => {
      const client: MemcachedClient = new MemcachedClient({
        ...{ host, port, clock, random },
        timeoutMs: MEMCACHED_TIMEOUT_MS,
        valueBytesMax: MEMCACHED_CLIENT_BYTES_MAX,
        onState(state, reason) {
          if (state === 'up') log.info({ storage: client.address }, 'a storage answers')
          else log.warn({ storage: client.address, reason }, 'a storage does not answer')
        },
      })
      return client
    })
    // Those that are down try by themselves.
    this.#stop = clock.every(SFSS_WATCH_MS, () => {
      for (const client of this.#clients) if (client.state === 'up') client.stats().catch(() => undefined)
    })
  }

  /** What they say now. */
  states(): Promise<StorageState[]> {
    return Promise.all(this.#clients.map(stateOf))
  }

  close(): void {
    this.#stop()
    for (const client of this.#clients) client.close()
  }
}
