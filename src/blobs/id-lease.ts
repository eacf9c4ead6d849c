/**
 * Ids for blobs, taken from the master many at a time: consecutive keys of one volume, used one after the other. The next
 * lease is fetched before the present one is used up, so that writers do not wait for the master. All writers of a thread
 * are on one volume at a time, because there they share its syncs; each lease may be on another one.
 */
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import type { Fid } from '../base/fid.ts'
import {
  ASSIGN_WAIT_MS_MAX,
  BLOB_LEASE_COUNT,
  BLOB_LEASE_MS_MAX,
  BLOB_LEASES_MAX,
  BLOB_VOLUME_REFUSED_MS,
  CLUSTER_CALL_MS_MAX,
  ERASURE_ASSIGN_CALL_MS_MAX,
} from '../base/limits.ts'
import type { Random } from '../base/random.ts'
import type { Redundancy } from '../base/redundancy.ts'
import { TimedMarks } from '../base/timed-marks.ts'
import type { BlobTarget } from './blob-store.ts'
import { CLUSTER_ASSIGN_PATH } from './cluster-wire.ts'
import type { MasterCalls } from './master-calls.ts'

/** Keys in a row that nobody else has. */
export interface AssignedKeys {
  volumeId: number
  keyHigh: number
  keyLow: number
  count: number
  /** `host:port` of the volume's server. */
  url: string
  /** Of an erasure group: that of each shard's server, '' where the shard cannot be written now. */
  members?: readonly string[]
}

export interface KeyRequest {
  collection: string
  /** Two bytes as volumes store it. */
  ttl: number
  /** Default `none`. */
  redundancy?: Redundancy
  count: number
}

/** Throws `no_writable_volume`, `unavailable`, `timeout`, `bad_request`. */
export type AssignKeys = (request: KeyRequest) => Promise<AssignedKeys>

export interface IdLeasesOptions {
  assign: AssignKeys
  clock: Clock
  random: Random
  /** Default BLOB_LEASE_COUNT. */
  leaseCount?: number
}

/** A place for one blob. */
export interface BlobPlace {
  fid: Fid
  /** `host:port` of the volume's server. */
  url: string
  /** As of `AssignedKeys`. */
  members: readonly string[] | undefined
}

interface Lease {
  keys: AssignedKeys
  used: number
  /** From here on the next one is fetched, and from there on this one is not used. */
  renewMs: number
  endsMs: number
}

interface Pool {
  target: BlobTarget
  leases: Lease[]
  fetching: Promise<number> | undefined
}

/** More than any layout has. */
const SHARDS_MAX = 16
/** The next lease is fetched when so much of the present one is left. */
const LOW_SHARE = 0.25
const REFUSED_WAIT_MS = 10
const REFUSED_WAIT_MS_MAX = 500

export class IdLeases {
  readonly #options: IdLeasesOptions
  readonly #leaseCount: number
  readonly #pools = new Map<string, Pool>()
  /** Volumes that refused a blob. */
  readonly #refused: TimedMarks<number>

  constructor(options: IdLeasesOptions) {
    this.#options = options
    this.#refused = new TimedMarks(options.clock, BLOB_VOLUME_REFUSED_MS)
    this.#leaseCount = options.leaseCount ?? BLOB_LEASE_COUNT
  }

  /** A new id. At once, unless the master must be asked first. Throws as `AssignKeys`. */
  take(target: BlobTarget): BlobPlace | Promise<BlobPlace> {
    const pool = this.#pool(target)
    return this.#next(pool) ?? this.#takeLater(pool)
  }

  /** A volume does not take blobs now: its leases are given up. */
  refuse(volumeId: number): void {
    this.#refused.add(volumeId)
  }

  #pool({ collection, ttl, redundancy }: BlobTarget): Pool {
    const name = `${ttl} ${redundancy} ${collection}`
    let pool = this.#pools.get(name)
    if (pool === undefined) {
      if (this.#pools.size >= BLOB_LEASES_MAX) this.#pools.clear()
      pool = { target: { collection, ttl, redundancy }, leases: [], fetching: undefined }
      this.#pools.set(name, pool)
    }
    return pool
  }

  #next(pool: Pool): BlobPlace | undefined {
    const now = this.#options.clock.monotonicMs()
    for (;;) {
      const lease = pool.leases[0]
      if (lease === undefined) return undefined
      if (lease.used === lease.keys.count || now >= lease.endsMs || this.#refused.has(lease.keys.volumeId)) {
        pool.leases.shift()
        continue
      }
      const left = lease.keys.count - lease.used
      const isLow = left <= lease.keys.count * LOW_SHARE || now >= lease.renewMs
      // Whoever needs the next one and finds none asks again, and learns why.
      if (isLow && pool.leases.length === 1) this.#fetch(pool).catch(() => undefined)
      return this.#placeOf(lease)
    }
  }

  #placeOf(lease: Lease): BlobPlace {
    const { volumeId, keyHigh, keyLow, url, members } = lease.keys
    const low = keyLow + lease.used
    lease.used += 1
    const fid: Fid = {
      volumeId,
      keyHigh: low > 0xffffffff ? keyHigh + 1 : keyHigh,
      keyLow: low >>> 0,
      cookie: this.#options.random.u32(),
    }
    return { fid, url, members }
  }

  async #takeLater(pool: Pool): Promise<BlobPlace> {
    const { clock } = this.#options
    const deadlineMs = clock.monotonicMs() + ASSIGN_WAIT_MS_MAX
    for (let waitMs = REFUSED_WAIT_MS; ; ) {
      const volumeId = await this.#fetch(pool)
      const place = this.#next(pool)
      if (place !== undefined) return place
      // Others, who waited as well, had all of it.
      if (!this.#refused.has(volumeId)) continue
      // The master named a volume that refused a blob just now, of which it has not heard yet.
      if (clock.monotonicMs() + waitMs > deadlineMs)
        throw new StoreError('no_writable_volume', 'the volumes that the master names take no blobs now')
      await clock.sleep(waitMs)
      waitMs = Math.min(2 * waitMs, REFUSED_WAIT_MS_MAX)
      const opened = this.#next(pool)
      if (opened !== undefined) return opened
    }
  }

  /** Adds a lease, one at a time for all who ask; gives its volume. */
  #fetch(pool: Pool): Promise<number> {
    pool.fetching ??= this.#ask(pool).finally(() => {
      pool.fetching = undefined
    })
    return pool.fetching
  }

  async #ask(pool: Pool): Promise<number> {
    const { assign, clock } = this.#options
    const keys = await assign({ ...pool.target, count: this.#leaseCount })
    const now = clock.monotonicMs()
    pool.leases.push({
      keys,
      used: 0,
      renewMs: now + BLOB_LEASE_MS_MAX / 2,
      endsMs: now + BLOB_LEASE_MS_MAX,
    })
    return keys.volumeId
  }
}

export function assignFromMasters({ masterCalls }: { masterCalls: MasterCalls }): AssignKeys {
  return async (request) => {
    const isPlain = (request.redundancy ?? 'none') === 'none'
    const timeoutMs = isPlain ? CLUSTER_CALL_MS_MAX : ERASURE_ASSIGN_CALL_MS_MAX
    const reply = await masterCalls.post(CLUSTER_ASSIGN_PATH, request, timeoutMs)
    return {
      volumeId: reply.number('volumeId', 0xffffffff),
      keyHigh: reply.number('keyHigh', 0xffffffff),
      keyLow: reply.number('keyLow', 0xffffffff),
      count: reply.number('count', request.count),
      url: reply.hostPort('url'),
      ...(reply.has('members')
        ? { members: reply.list('members', SHARDS_MAX).map((member) => member.text('url')) }
        : {}),
    }
  }
}
