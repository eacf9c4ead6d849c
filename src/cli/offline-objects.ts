/** The names and blobs of a store that is not running, opened by a command that owns its directories: for `cairn fsck`. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { StoreError } from '../base/errors.ts'
import { ClusterAuth } from '../blobs/cluster-auth.ts'
import { RemoteBlobs } from '../blobs/remote-blobs.ts'
import { RoutedBlobs } from '../blobs/routed-blobs.ts'
import { isBesideFiles } from '../blobs/shard-files.ts'
import { realDisk } from '../disk/real-disk.ts'
import { createSharedVolumes, createThreadContext } from '../disk/thread-context.ts'
import { VolumeKeeper } from '../disk/volume-keeper.ts'
import type { VolumeSet } from '../disk/volume-set.ts'
import { HttpClient } from '../net/http-client.ts'
import type { Context } from './command.ts'
import { ownDirectories, shardDirectories } from './roles/directories.ts'
import { volumeView } from './roles/layout.ts'

export interface OfflineBlobs {
  blobs: RoutedBlobs
  /** Where `blobs` are. */
  volumes: VolumeSet
  close(): Promise<void>
}

const SECRET_BYTES = 32

/** Where the metadata of a store is: what `--metadata` says, or beside its volumes. */
export const metadataUrl = (config: { metadata: string; data: readonly string[] }) =>
  config.metadata || join(config.data[0]!, 'meta')

/**
 * All blobs of the volumes in the data directories. They can be read, listed and removed; nothing new is written, since
 * no master gives out ids. Throws `in_use` when a server runs on them, `not_found` where there is no such directory.
 */
export function openOfflineBlobs(
  directories: readonly string[],
  options: { indexMemoryBytes: number },
  context: Context,
): OfflineBlobs {
  const { clock, random, log } = context
  for (const directory of directories) {
    if (!existsSync(directory)) throw new StoreError('not_found', `there is no directory ${directory}`)
  }
  const owned = ownDirectories(directories, log)
  const paths = [...owned.paths, ...shardDirectories(owned.paths, { make: false })]
  const shared = createSharedVolumes({
    directories: paths,
    indexBytesMax: options.indexMemoryBytes,
    shardFiles: owned.paths.every(isBesideFiles),
  })
  const keeper = new VolumeKeeper(createThreadContext(shared, realDisk, clock), {
    ...{ random, log },
    volumeSizeLimitBytes: Number.MAX_SAFE_INTEGER,
    volumesPerDirectoryMax: Number.MAX_SAFE_INTEGER,
    garbageThreshold: 1,
    ballastBytes: 0,
  })
  keeper.open()
  const volumes = volumeView(createThreadContext(shared, realDisk, clock), shared)
  const http = new HttpClient()
  const auth = new ClusterAuth({ secret: random.bytes(SECRET_BYTES), clock, random })
  const find = async () => []
  const blobs = new RoutedBlobs({
    ...{ volumes, clock, random, find, sync: 'batch' },
    remote: new RemoteBlobs({ http, find, scheme: 'http', auth }),
    listing: { volumes: async () => [], list: async function* () {} },
    assign: async () => {
      throw new StoreError('unsupported', 'no master is running that gives out ids')
    },
  })
  return {
    ...{ blobs, volumes },
    async close() {
      blobs.close()
      volumes.close()
      http.close()
      await keeper.stop()
      owned.release()
    },
  }
}
