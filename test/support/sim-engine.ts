/** Keeper and views of the real engine over any disk, all in the test's own thread, with a clock that the test moves. */
import { type Log, silentLog } from '../../src/base/log.ts'
import type { Disk } from '../../src/disk/disk.ts'
import { createSharedVolumes, createThreadContext } from '../../src/disk/thread-context.ts'
import { VolumeKeeper } from '../../src/disk/volume-keeper.ts'
import { VolumeSet } from '../../src/disk/volume-set.ts'
import { SimClock } from '../sim/sim-clock.ts'
import { randomOf } from './seeds.ts'

export interface EngineOptions {
  directories: string[]
  /** Threads that read and write, each with a view of its own. */
  views: number
  clock?: SimClock
  seed?: number
  volumeSizeLimitBytes?: number
  ballastBytes?: number
  indexBytesMax?: number
  /** Part of a volume that must be garbage before the keeper compacts it by itself. Default: never. */
  garbageThreshold?: number
  log?: Log
}

export interface Engine {
  admin: VolumeKeeper
  views: VolumeSet[]
  clock: SimClock
  /** Lets enough time pass for the keeper to write checkpoints of what changed. */
  checkpoint(): Promise<void>
  stop(): Promise<void>
}

const INDEX_BYTES_MAX = 1024 * 1024
const LONGER_THAN_IDLE_MS = 11_000
const VOLUME_SIZE_LIMIT_BYTES = 32 * 1024 ** 3

export async function openEngine(disk: Disk, options: EngineOptions): Promise<Engine> {
  const clock = options.clock ?? new SimClock()
  const shared = createSharedVolumes({
    directories: options.directories,
    indexBytesMax: options.indexBytesMax ?? INDEX_BYTES_MAX,
    volumesMax: 8,
  })
  const keeper = new VolumeKeeper(createThreadContext(shared, disk, clock), {
    random: randomOf(options.seed ?? 7),
    log: options.log ?? silentLog,
    volumeSizeLimitBytes: options.volumeSizeLimitBytes ?? VOLUME_SIZE_LIMIT_BYTES,
    volumesPerDirectoryMax: 8,
    garbageThreshold: options.garbageThreshold ?? Number.POSITIVE_INFINITY,
    ballastBytes: options.ballastBytes ?? 0,
  })
  keeper.open()
  const views = Array.from(
    { length: options.views },
    () => new VolumeSet(createThreadContext(shared, disk, clock)),
  )
  return {
    admin: keeper,
    views,
    clock,
    async checkpoint() {
      clock.advance(LONGER_THAN_IDLE_MS)
      await keeper.tend()
    },
    async stop() {
      for (const view of views) view.close()
      await keeper.stop()
    },
  }
}
