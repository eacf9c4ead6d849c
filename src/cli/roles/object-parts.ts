/** What every object layer stands on, for one thread: metadata, and blobs. */
import type { Clock } from '../../base/clock.ts'
import type { Random } from '../../base/random.ts'
import type { BlobStore } from '../../blobs/blob-store.ts'
import { assignFromMasters } from '../../blobs/id-lease.ts'
import { LocalBlobStore } from '../../blobs/local-blob-store.ts'
import type { LocalVolumes } from '../../blobs/local-volumes.ts'
import { RemoteBlobs } from '../../blobs/remote-blobs.ts'
import { RemoteListing } from '../../blobs/remote-listing.ts'
import type { SyncMode } from '../../blobs/volume-server.ts'
import type { MetaStore } from '../../meta/meta-store.ts'
import { openMetaClient, openMetaStore } from '../../meta/open-meta-store.ts'
import type { ClusterParts } from './cluster-parts.ts'
import type { MetadataAccess } from './thread-data.ts'

/** With SQLite the writing thread has opened them before. Throws what opening throws. */
export async function openMetadata(
  { url, writer, connectionsMax }: MetadataAccess,
  { clock, random }: { clock: Clock; random: Random },
): Promise<MetaStore> {
  if (writer === undefined) return await openMetaStore(url, { clock, random, connectionsMax })
  return openMetaClient(url, writer, { clock })
}

export function openBlobs(parts: {
  cluster: ClusterParts
  volumes: LocalVolumes
  sync: SyncMode
  clock: Clock
  random: Random
}): BlobStore {
  const { cluster, volumes, sync, clock, random } = parts
  return new LocalBlobStore({
    ...{ volumes, sync, clock, random },
    remote: new RemoteBlobs(cluster),
    listing: new RemoteListing(cluster),
    assign: assignFromMasters(cluster),
  })
}
