/** The real engine on real files: a keeper and one thread's view of its volumes, in a directory of their own. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import { type Log, silentLog } from '../../src/base/log.ts'
import { systemRandom } from '../../src/base/random.ts'
import type { Disk } from '../../src/disk/disk.ts'
import { realDisk } from '../../src/disk/real-disk.ts'
import {
  createSharedVolumes,
  createThreadContext,
  type ThreadContext,
} from '../../src/disk/thread-context.ts'
import type { Volume } from '../../src/disk/volume.ts'
import { VolumeKeeper } from '../../src/disk/volume-keeper.ts'
import { type VolumeOf, VolumeSet } from '../../src/disk/volume-set.ts'
import { fidOf, needleOf } from './needles.ts'

const MIB = 1024 * 1024

export function temporaryDirectory(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'cairn-store-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

export interface RealStoreOptions {
  clock?: Clock
  disk?: Disk
  log?: Log
  volumeOf?: VolumeOf
}

export class RealStore {
  readonly directory: string
  readonly context: ThreadContext
  readonly keeper: VolumeKeeper
  readonly volumes: VolumeSet

  constructor(
    directory: string,
    { clock = systemClock, disk = realDisk, log = silentLog, volumeOf }: RealStoreOptions = {},
  ) {
    this.directory = directory
    const shared = createSharedVolumes({ directories: [directory], indexBytesMax: 64 * MIB, volumesMax: 16 })
    this.context = createThreadContext(shared, disk, clock)
    this.keeper = new VolumeKeeper(this.context, {
      random: systemRandom,
      log,
      volumeSizeLimitBytes: 1024 * MIB,
      volumesPerDirectoryMax: 16,
      garbageThreshold: 0.3,
      ballastBytes: 0,
    })
    this.volumes = new VolumeSet(this.context, volumeOf)
    this.keeper.open()
  }

  create(id: number, ttl = 0, collection = ''): Promise<void> {
    return this.keeper.createVolume({ id, collection, replicaPlacement: 0, ttl })
  }

  volume(id: number): Volume {
    const volume = this.volumes.get(id)
    if (volume === undefined) throw new Error(`volume ${id} is not there`)
    return volume
  }

  /** Writes the needle that `needleOf` makes; not synced. */
  async write(id: number, key: number, version: number, lengthBytes: number): Promise<void> {
    await this.volume(id).write(needleOf(key, version, lengthBytes))
  }

  remove(id: number, key: number): void {
    this.volume(id).remove(fidOf(key, id))
  }

  async close(): Promise<void> {
    this.volumes.close()
    await this.keeper.stop()
  }
}
