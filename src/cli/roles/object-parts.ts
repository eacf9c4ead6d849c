/** What every object layer is put together of, in one thread: volumes, blobs, metadata, and the store on them. */
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { Random } from '../../base/random.ts'
import type { BlobStore } from '../../blobs/blob-store.ts'
import { assignFromMasters } from '../../blobs/id-lease.ts'
import { type LocalVolumes, NO_VOLUMES } from '../../blobs/local-volumes.ts'
import { RemoteBlobs } from '../../blobs/remote-blobs.ts'
import { RemoteListing } from '../../blobs/remote-listing.ts'
import { RoutedBlobs } from '../../blobs/routed-blobs.ts'
import type { SyncMode } from '../../blobs/volume-server.ts'
import type { SharedVolumes } from '../../disk/thread-context.ts'
import type { MetaStore } from '../../meta/meta-store.ts'
import { openMetaClient, openMetaStore } from '../../meta/open-meta-store.ts'
import type { BodyBudget } from '../../net/body.ts'
import type { HttpServerSettings } from '../../net/http-server.ts'
import { Buckets } from '../../objects/buckets.ts'
import { BlobContentReader } from '../../objects/content-reader.ts'
import { BlobContentWriter } from '../../objects/content-writer.ts'
import { Contents } from '../../objects/contents.ts'
import type { HashPool } from '../../objects/digests.ts'
import { IndexedStore } from '../../objects/indexed-store.ts'
import { Names } from '../../objects/names.ts'
import { ObjectKeys } from '../../objects/object-keys.ts'
import type { ObjectStore } from '../../objects/object-store.ts'
import { NO_REDUNDANCY, type RedundancyRules } from '../../objects/redundancy-rules.ts'
import { ObjectTree } from '../../objects/tree.ts'
import type { UploadLoad } from '../../objects/upload-load.ts'
import { MultipartUploads } from '../../objects/uploads.ts'
import type { ClusterParts } from './cluster-parts.ts'
import type { DoorSecrets } from './doors.ts'
import { threadContext, volumeView } from './layout.ts'
import type { MetadataAccess } from './thread-data.ts'

/** Volumes of blobs that nobody places elsewhere. */
export const OBJECTS_COLLECTION = '_objects'

/** What a thread gives its object layer. */
export interface ObjectLayerParts {
  cluster: ClusterParts
  volumes: LocalVolumes
  sync: SyncMode
  secrets: DoorSecrets
  settings: Partial<HttpServerSettings>
  /** This thread's number, from 0. */
  thread: number
  bodyBudget: BodyBudget
  log: Log
  logsRequests: boolean
  clock: Clock
  random: Random
}

/** This thread's view of the process's volumes; of none, where it has none. */
export function openVolumes(
  shared: SharedVolumes | undefined,
  services: { clock: Clock; log: Log },
): { view: LocalVolumes; close(): void } {
  if (shared === undefined) return { view: NO_VOLUMES, close() {} }
  const view = volumeView(threadContext(shared, services), shared)
  view.watch()
  return { view, close: () => view.close() }
}

/** With SQLite the writing thread has opened them before. Throws what opening throws. */
export async function openMetadata(
  { url, writer, keyChanges, connectionsMax }: MetadataAccess,
  { clock, random }: { clock: Clock; random: Random },
): Promise<MetaStore> {
  if (writer === undefined) return await openMetaStore(url, { clock, random, connectionsMax })
  return openMetaClient(url, writer, { clock, keyChanges })
}

export function openBlobs(parts: {
  cluster: ClusterParts
  volumes: LocalVolumes
  sync: SyncMode
  clock: Clock
  random: Random
}): RoutedBlobs {
  const { cluster, volumes, sync, clock, random } = parts
  return new RoutedBlobs({
    ...{ volumes, sync, clock, random, find: cluster.find },
    remote: new RemoteBlobs(cluster),
    listing: new RemoteListing(cluster),
    assign: assignFromMasters(cluster),
  })
}

/** The store, and what of it must be started and stopped. */
export function objectParts(parts: {
  meta: MetaStore
  blobs: BlobStore
  load: UploadLoad
  hashPool: HashPool
  /** For threads that serve. */
  keys?: ObjectKeys
  /** Default NO_REDUNDANCY. */
  redundancy?: RedundancyRules
  /** Memory of the BucketMemory; for threads that serve. */
  bucketChanges?: SharedArrayBuffer
  clock: Clock
  random: Random
}): { objects: ObjectStore; contents: Contents; tree: ObjectTree; writer: BlobContentWriter } {
  const {
    meta,
    blobs,
    load,
    hashPool,
    redundancy = NO_REDUNDANCY,
    bucketChanges: changes,
    clock,
    random,
  } = parts
  const { keys = new ObjectKeys({ clock, random }) } = parts
  const collection = OBJECTS_COLLECTION
  const storing = { blobs, load, hashPool, meta, redundancy, collection }
  const writer = new BlobContentWriter({ ...storing, clock, random })
  const reader = new BlobContentReader({ blobs, meta, hashPool, keys })
  const tree = new ObjectTree({ meta, clock, random })
  const objects = new IndexedStore({
    buckets: new Buckets({ meta, clock, random, ...(changes === undefined ? {} : { changes }) }),
    names: new Names({ meta, keys, redundancy, clock, random, writer, reader }),
    uploads: new MultipartUploads({ meta, keys, redundancy, writer, reader, hashPool, clock, random }),
    tree,
  })
  const contents = new Contents({ meta, reader, clock, random })
  return { objects, contents, tree, writer }
}
