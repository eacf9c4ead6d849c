/** The door of memcached's protocol, on one of the threads that have the process's volumes. */
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { AssignKeys } from '../../blobs/id-lease.ts'
import { KEYED_COLLECTION_PREFIX, KeyedBlobs } from '../../blobs/keyed-blobs.ts'
import type { LocalVolumes } from '../../blobs/local-volumes.ts'
import type { SyncMode } from '../../blobs/volume-server.ts'
import type { BodyBudget } from '../../net/body.ts'
import { HashedStore } from '../../objects/hashed-store.ts'
import { MemcachedCounters } from '../../protocols/memcached/memcached-counters.ts'
import { MemcachedServer } from '../../protocols/memcached/server.ts'
import type { MemcachedData } from './thread-data.ts'
import { VERSION } from './version.ts'

export interface MemcachedParts {
  /** Names a volume, and makes it if need be. */
  assign: AssignKeys
  volumes: LocalVolumes
  sync: SyncMode
  bodyBudget: BodyBudget
  clock: Clock
  log: Log
}

/** Throws what reading the volumes throws. */
export async function openMemcached(data: MemcachedData, parts: MemcachedParts): Promise<MemcachedServer> {
  const { assign, volumes, sync, bodyBudget, clock, log } = parts
  const collection = `${KEYED_COLLECTION_PREFIX}memcached`
  const blobs = new KeyedBlobs({ volumes, sync, assign, collection })
  return new MemcachedServer({
    ...{ clock, bodyBudget },
    counters: new MemcachedCounters(data.counters),
    store: await HashedStore.open({ blobs, clock, cacheBytesMax: data.cacheBytesMax }),
    log: log.with({ role: 'memcached' }),
    version: VERSION,
    valueBytesMax: data.valueBytesMax,
    allowsFlush: data.allowsFlush,
    idleTimeoutMs: data.idleTimeoutMs,
  })
}
