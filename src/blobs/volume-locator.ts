/**
 * Where volumes are that this server does not have: asked of the masters, signed, and remembered for a while. Also that a
 * volume is nowhere is remembered, shortly, so that requests for nonsense do not all become requests to a master.
 */
import type { Clock } from '../base/clock.ts'
import { CLIENT_LOCATION_TTL_MS, CLIENT_LOCATIONS_MAX } from '../base/limits.ts'
import { CLUSTER_LOOKUP_PATH, type Fields } from './cluster-wire.ts'
import type { MasterCalls } from './master-calls.ts'

export interface VolumeLocation {
  /** `host:port` for other servers. */
  url: string
  /** `host:port` for clients. */
  publicUrl: string
  /** Undefined where it is not known. */
  nodeId?: string | undefined
  /** The server keeps shards as files, which people remove. */
  shardFiles?: boolean
}

/** Of a reply. Throws `bad_request`. */
export function parseLocation(fields: Fields): VolumeLocation {
  return {
    url: fields.hostPort('url'),
    publicUrl: fields.hostPort('publicUrl'),
    nodeId: fields.has('nodeId') ? fields.uuid('nodeId') : undefined,
    shardFiles: fields.has('shardFiles') && fields.flag('shardFiles'),
  }
}

/** Where a volume is; empty: nowhere. `again`: what was said before turned out to be wrong. */
export type FindVolume = (volumeId: number, again?: boolean) => Promise<readonly VolumeLocation[]>

export interface VolumeLocatorOptions {
  masterCalls: MasterCalls
  /** Asks the volume servers themselves; the master only when that throws. */
  locate?: ((volumeId: number) => Promise<readonly VolumeLocation[]>) | undefined
  clock: Clock
}

/** An answer is not asked for again sooner. */
const ANSWER_MS_MIN = 1_000
const COPIES_MAX = 64

interface Known {
  locations: Promise<readonly VolumeLocation[]>
  untilMs: number
  /** From here on it may be asked for again. */
  againMs: number
}

export class VolumeLocator {
  readonly #options: VolumeLocatorOptions
  /** In the order of insertion, so that the oldest is the first. */
  readonly #known = new Map<number, Known>()

  constructor(options: VolumeLocatorOptions) {
    this.#options = options
  }

  /** Throws `unavailable`, `timeout`, and what else the master says. */
  find: FindVolume = (volumeId, again = false) => {
    const now = this.#options.clock.monotonicMs()
    const known = this.#known.get(volumeId)
    if (known !== undefined && now < (again ? known.againMs : known.untilMs)) return known.locations
    this.#known.delete(volumeId)
    if (this.#known.size >= CLIENT_LOCATIONS_MAX) {
      const oldest = this.#known.keys().next()
      if (!oldest.done) this.#known.delete(oldest.value)
    }
    const asked: Known = {
      locations: this.#ask(volumeId),
      untilMs: Number.POSITIVE_INFINITY,
      againMs: Number.POSITIVE_INFINITY,
    }
    this.#known.set(volumeId, asked)
    asked.locations.then(
      (found) => this.#keep(asked, found.length > 0),
      () => {
        if (this.#known.get(volumeId) === asked) this.#known.delete(volumeId)
      },
    )
    return asked.locations
  }

  #keep(known: Known, isSomewhere: boolean): void {
    const now = this.#options.clock.monotonicMs()
    known.againMs = now + ANSWER_MS_MIN
    known.untilMs = now + (isSomewhere ? CLIENT_LOCATION_TTL_MS : ANSWER_MS_MIN)
  }

  async #ask(id: number): Promise<readonly VolumeLocation[]> {
    const { masterCalls, locate } = this.#options
    const located = await locate?.(id).catch(() => undefined)
    if (located !== undefined) return located
    const reply = await masterCalls.post(CLUSTER_LOOKUP_PATH, { id })
    return reply.list('locations', COPIES_MAX).map(parseLocation)
  }
}
