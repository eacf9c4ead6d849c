/** What the door of memcached's protocol counts, as metrics for Prometheus. */
import { Counter, type Registry } from 'prom-client'
import { MemcachedCounters } from '../../protocols/memcached/memcached-counters.ts'

export class MemcachedMetrics {
  readonly #counters: MemcachedCounters
  readonly #counted: Counter<'what'>

  /** `shared`: memory of the MemcachedCounters. */
  constructor(registry: Registry, shared: SharedArrayBuffer) {
    this.#counters = new MemcachedCounters(shared)
    this.#counted = new Counter({
      name: 'cairn_memcached_total',
      help: "What the door of memcached's protocol did, by the names of its stats.",
      labelNames: ['what'],
      registers: [registry],
    })
  }

  /** Reads all of them anew. */
  fill(): void {
    this.#counted.reset()
    for (const [what, count] of Object.entries(this.#counters.totals())) this.#counted.inc({ what }, count)
  }
}
