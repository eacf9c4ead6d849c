/** A volume on its way between two simulated disks, by the steps of a move, for tests that change something between them. */
import type { Log } from '../../src/base/log.ts'
import { silentLog } from '../../src/base/log.ts'
import { encodeSuperBlock } from '../../src/disk/super-block.ts'
import { createSharedVolumes, createThreadContext } from '../../src/disk/thread-context.ts'
import type { CopiedFile, HeldVolume, VolumeCopies } from '../../src/disk/volume-copies.ts'
import { VolumeKeeper } from '../../src/disk/volume-keeper.ts'
import { VolumeSet } from '../../src/disk/volume-set.ts'
import { appendAsSeaweed, type VolumeFiles } from '../compat/seaweed-writer.ts'
import { SimClock } from '../sim/sim-clock.ts'
import { SimDisk } from '../sim/sim-disk.ts'
import { cookieOf, dataOf, MIB } from './needles.ts'
import { randomOf } from './seeds.ts'
import { DIRECTORY, SimStore, VOLUME } from './sim-store.ts'

export const TARGET = '/target'
export const SHARDS = '/shards'
/** Of a record of SeaweedFS with data of `SEAWEED_DATA_BYTES`. */
export const SEAWEED_RECORD_BYTES = 536
const SEAWEED_DATA_BYTES = 500

export function seaweedData(key: number): Buffer {
  return dataOf(key * 7919 + 1, SEAWEED_DATA_BYTES)
}

/** A volume that SeaweedFS wrote, of keys from 1 on. */
export function seaweedFiles(count: number, compactionRevision = 0): VolumeFiles {
  const dat = encodeSuperBlock({ replicaPlacement: 0, ttl: 0, compactionRevision })
  let files: VolumeFiles = { dat, idx: Buffer.alloc(0) }
  for (let key = 1; key <= count; key++) {
    const appendNs = BigInt(1_700_000_000 + key) * 10n ** 9n
    const file = { key: BigInt(key), cookie: cookieOf(key), data: seaweedData(key), appendNs }
    files = appendAsSeaweed(files, file)
  }
  return files
}

/** Where the data of a SeaweedFS record begins, of keys from 1 on. */
export function seaweedDataAt(key: number): number {
  return 8 + (key - 1) * SEAWEED_RECORD_BYTES + 20
}

export async function openSource(
  files: VolumeFiles,
  log = silentLog,
): Promise<{ store: SimStore; disk: SimDisk }> {
  const disk = new SimDisk(1)
  disk.putDirectory(DIRECTORY)
  disk.putFile(`${DIRECTORY}/${VOLUME}.dat`, files.dat)
  disk.putFile(`${DIRECTORY}/${VOLUME}.idx`, files.idx)
  return { store: await SimStore.open(disk, { log }), disk }
}

/** An empty server; with a directory of its own for shards where that is wanted. */
export function openTarget(options: { shards?: boolean; log?: Log } = {}): {
  keeper: VolumeKeeper
  disk: SimDisk
  views: VolumeSet
} {
  const disk = new SimDisk(2)
  const directories = options.shards ? [TARGET, SHARDS] : [TARGET]
  for (const directory of directories) disk.putDirectory(directory)
  const shared = createSharedVolumes({ directories, indexBytesMax: MIB, volumesMax: 8 })
  const clock = new SimClock()
  const keeper = new VolumeKeeper(createThreadContext(shared, disk, clock), {
    random: randomOf(3),
    log: options.log ?? silentLog,
    volumeSizeLimitBytes: 2 ** 34,
    volumesPerDirectoryMax: 8,
    garbageThreshold: Number.POSITIVE_INFINITY,
    ballastBytes: 0,
    shardDirectories: options.shards ? [SHARDS] : [],
  })
  keeper.open()
  return { keeper, disk, views: new VolumeSet(createThreadContext(shared, disk, clock)) }
}

/** Holds the volume, stages and copies it. */
export async function copyTo(from: VolumeCopies, to: VolumeCopies): Promise<HeldVolume> {
  const held = await from.hold(VOLUME)
  to.stage(held)
  const { compactionRevision } = held
  for (const { file, sizeBytes } of held.files) {
    for (let offset = 0; offset < sizeBytes; offset += MIB) {
      const lengthBytes = Math.min(MIB, sizeBytes - offset)
      const piece = await from.read({ id: VOLUME, file, compactionRevision, offset, lengthBytes })
      await to.write(VOLUME, { file, offset, ...piece })
    }
  }
  return held
}

export function stagedPath(file: CopiedFile): string {
  return `${TARGET}/${VOLUME}.${file}.arriving`
}
