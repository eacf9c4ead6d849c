/** The door of objects with versions, put together: it is told by others where bytes are, and who may administrate it. */
import type { Clock } from '../../base/clock.ts'
import { isErasure, layoutOf, shardVolume } from '../../base/erasure-id.ts'
import type { Random } from '../../base/random.ts'
import type { BlobId, BlobStore } from '../../blobs/blob-store.ts'
import { VolumeCounters } from '../../blobs/volume-counters.ts'
import type { FindVolume } from '../../blobs/volume-locator.ts'
import { ROOT_ACCOUNT_ID } from '../../iam/identities.ts'
import type { MetaStore } from '../../meta/meta-store.ts'
import { BasicAuth } from '../../net/basic-auth.ts'
import type { Contents } from '../../objects/contents.ts'
import type { ObjectStore } from '../../objects/object-store.ts'
import { type OldOrphans, removeOldOrphans } from '../../objects/old-orphans.ts'
import { NumberedVersions } from '../../objects/version-numbers.ts'
import type { WriterPresence } from '../../objects/writer-presence.ts'
import type { ObjectLocator } from '../../protocols/objects/locator.ts'
import { ObjectsServer } from '../../protocols/objects/server.ts'
import { OBJECTS_COLLECTION, type ObjectLayerParts } from './object-parts.ts'
import type { ObjectLayerData } from './thread-data.ts'

/** Places in VolumeCounters. */
const KIND_OF: Readonly<Record<string, number>> = { GET: 0, HEAD: 0, PUT: 1, POST: 1, DELETE: 2 }
const KIND_OTHER = 3
const PROGRESS_MS = 1_000

/** What finds the shards of a blob: `host:port` of each that is there, or '' in this process, by its index. */
interface ShardLocator {
  locate(id: BlobId): Promise<ReadonlyMap<number, string>>
}

export function objectsDoor(
  data: ObjectLayerData,
  parts: ObjectLayerParts,
  store: {
    objects: ObjectStore
    contents: Contents
    meta: MetaStore
    blobs: BlobStore & ShardLocator
    presence: WriterPresence
  },
): ObjectsServer {
  const { clock, random, log, bodyBudget, secrets, settings, logsRequests, thread, cluster } = parts
  const { objects, contents } = store
  const counters = new VolumeCounters(data.objectsCounters, thread)
  return new ObjectsServer({
    ...{ objects, contents, clock, random, bodyBudget, settings, logsRequests },
    versions: new NumberedVersions(store),
    locator: objectLocator({ ...store, find: cluster.find }),
    log: log.with({ role: 'objects' }),
    owner: ROOT_ACCOUNT_ID,
    needsDigest: data.needsDigest,
    secret: secrets.clusterSecret,
    checkAdmin: (head, authorization) => cluster.auth.verifyRead(head, authorization),
    removeOrphans: (how) => orphanCounts({ ...store, ...how, clock, random }),
    onReply: ({ method, status, receivedBytes: received, sentBytes: sent }) =>
      counters.note(KIND_OF[method] ?? KIND_OTHER, status, { received, sent }),
    basicAuth: secrets.basicAuthText === undefined ? undefined : new BasicAuth(secrets.basicAuthText),
    tls: secrets.tls,
  })
}

interface OrphanSearch {
  meta: MetaStore
  blobs: BlobStore
  presence: WriterPresence
  isDryRun: boolean
  clock: Clock
  random: Random
}

/** Searches for orphans; says every now and then how far it is, and at last what it found. */
async function* orphanCounts({ presence, ...parts }: OrphanSearch): AsyncGenerator<OldOrphans> {
  let counts: OldOrphans = { searched: 0, orphans: 0, bytes: 0 }
  const appendedBeforeMs = await presence.settledMs()
  const search = removeOldOrphans({
    ...{ ...parts, appendedBeforeMs, collection: OBJECTS_COLLECTION },
    onProgress: (reached) => {
      counts = reached
    },
  })
  // Nobody may be left who asks for it.
  search.catch(() => {})
  for (let isOver = false; !isOver; ) {
    isOver = await Promise.race([search.then(() => true), parts.clock.sleep(PROGRESS_MS).then(() => false)])
    if (!isOver) yield counts
  }
  yield await search
}

/** Bytes of several blobs are where the first of them is. */
function objectLocator(parts: { contents: Contents; blobs: ShardLocator; find: FindVolume }): ObjectLocator {
  const { contents, blobs, find } = parts
  const addressOf = async (volumeId: number) => (await find(volumeId))[0]?.publicUrl
  return {
    async locate(bucket, sha256) {
      const blob = await contents.firstBlob({ bucket, sha256 })
      if (blob === undefined) return undefined
      const { volumeId } = blob
      if (!isErasure(volumeId)) return await addressOf(volumeId)
      const shards = await blobs.locate(blob)
      if (shards.size < layoutOf(volumeId).k) return undefined
      const places: Record<number, string> = {}
      for (const [index, url] of shards)
        places[index] = url || ((await addressOf(shardVolume(volumeId, index))) ?? '')
      return places
    },
  }
}
