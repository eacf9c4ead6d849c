/** The store of a server that keeps shards as files. */
import { join } from 'node:path'
import { systemRandom } from '../../src/base/random.ts'
import { shardFileVolumes, VOLUMES_BESIDE_FILES } from '../../src/blobs/shard-files.ts'
import { RealStore } from '../support/real-store.ts'

/** `root`: what the server has as its directory. */
export function shardFilesStore(root: string): RealStore {
  return new RealStore(join(root, VOLUMES_BESIDE_FILES), { volumeOf: shardFileVolumes(systemRandom) })
}
