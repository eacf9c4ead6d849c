/**
 * Where volumes are, as the master last said. Bounded in number and in age; whoever finds an entry to be wrong
 * makes it forget that entry.
 */
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'

export interface Location {
  /** `host:port` for other servers. */
  url: string
  /** `host:port` for clients; the same unless the server says otherwise. */
  publicUrl: string
}

export interface LocationCacheOptions {
  clock: Clock
  entriesMax: number
  ttlMs: number
}

export class LocationCache {
  readonly #options: LocationCacheOptions
  /** In the order of insertion, so that the oldest is the first. */
  readonly #entries = new Map<number, { locations: readonly Location[]; expiresMs: number }>()

  constructor(options: LocationCacheOptions) {
    assert(options.entriesMax > 0, 'a cache has room for one entry')
    this.#options = options
  }

  get(volumeId: number): readonly Location[] | undefined {
    const entry = this.#entries.get(volumeId)
    if (entry === undefined) return undefined
    if (entry.expiresMs > this.#options.clock.monotonicMs()) return entry.locations
    this.#entries.delete(volumeId)
    return undefined
  }

  set(volumeId: number, locations: readonly Location[]): void {
    this.#entries.delete(volumeId)
    if (this.#entries.size >= this.#options.entriesMax) {
      const oldest = this.#entries.keys().next()
      if (!oldest.done) this.#entries.delete(oldest.value)
    }
    const expiresMs = this.#options.clock.monotonicMs() + this.#options.ttlMs
    this.#entries.set(volumeId, { locations, expiresMs })
  }

  forget(volumeId: number): void {
    this.#entries.delete(volumeId)
  }

  get size(): number {
    return this.#entries.size
  }
}
