/** The storage engine in this process, on a directory of its own, as the keeper and one worker of a server see it. */
import { systemClock } from '../src/base/clock.ts'
import type { Log } from '../src/base/log.ts'
import { systemRandom } from '../src/base/random.ts'
import type { NewNeedle } from '../src/disk/needle.ts'
import { realDisk } from '../src/disk/real-disk.ts'
import { createSharedVolumes, createThreadContext, type ThreadContext } from '../src/disk/thread-context.ts'
import { VolumeKeeper } from '../src/disk/volume-keeper.ts'
import { VolumeSet } from '../src/disk/volume-set.ts'

const SILENT: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: (fields, message) => console.error(message, fields),
  error: (fields, message) => console.error(message, fields),
  with: () => SILENT,
}

export interface Engine {
  context: ThreadContext
  keeper: VolumeKeeper
  volumes: VolumeSet
}

/** Opens what is in the directory; `indexBytesMax` is only set aside, not used. */
export function openEngine(directory: string, indexBytesMax = 2 ** 30): Engine {
  const shared = createSharedVolumes({ directories: [directory], indexBytesMax })
  const context = createThreadContext(shared, realDisk, systemClock)
  const keeper = new VolumeKeeper(context, {
    random: systemRandom,
    log: SILENT,
    volumeSizeLimitBytes: 30_000 * 1024 * 1024,
    volumesPerDirectoryMax: 100,
    garbageThreshold: 0.3,
    ballastBytes: 0,
  })
  keeper.open()
  return { context, keeper, volumes: new VolumeSet(context) }
}

/** A needle with nothing but its data. */
export function plainNeedle(data: Buffer, cookie: number): NewNeedle {
  return {
    keyHigh: 0,
    keyLow: 0,
    cookie,
    data,
    gzipped: false,
    manifest: false,
    name: undefined,
    mime: undefined,
    lastModifiedS: undefined,
    ttl: 0,
    pairs: undefined,
  }
}
