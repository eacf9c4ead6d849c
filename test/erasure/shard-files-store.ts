/** The store of a server that keeps shards as files. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { systemRandom } from '../../src/base/random.ts'
import {
  SHARD_FILES,
  SHARD_FILES_BEGUN,
  shardFileVolumes,
  VOLUMES_BESIDE_FILES,
} from '../../src/blobs/shard-files.ts'
import type { Disk } from '../../src/disk/disk.ts'
import { realDisk } from '../../src/disk/real-disk.ts'
import { RealStore } from '../support/real-store.ts'

/** `root`: what the server has as its directory, which gets the directories that it makes at its start. */
export function shardFilesStore(root: string, disk: Disk = realDisk): RealStore {
  for (const name of [SHARD_FILES, SHARD_FILES_BEGUN, VOLUMES_BESIDE_FILES])
    mkdirSync(join(root, name), { recursive: true })
  return new RealStore(join(root, VOLUMES_BESIDE_FILES), { disk, volumeOf: shardFileVolumes(systemRandom) })
}
