/** Where volumes lie in the directories that are named, and the views of them that fit. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import { formatFid } from '../../base/fid.ts'
import type { Log } from '../../base/log.ts'
import { systemRandom } from '../../base/random.ts'
import { NODE_ID_FILE } from '../../blobs/heartbeat.ts'
import {
  SHARD_FILES,
  SHARD_FILES_BEGUN,
  shardFileVolumes,
  VOLUMES_BESIDE_FILES,
} from '../../blobs/shard-files.ts'
import { realDisk } from '../../disk/real-disk.ts'
import { createThreadContext, type SharedVolumes, type ThreadContext } from '../../disk/thread-context.ts'
import { VolumeSet } from '../../disk/volume-set.ts'
import { UsageError } from '../usage-error.ts'
import { makeDirectory } from './directories.ts'

/** `volumes`: all bytes in volumes; `files`: shards as files, and the volumes out of sight. */
export type Layout = 'volumes' | 'files'

/**
 * The directories of the volumes; what the layout needs beside them is made. Throws `UsageError` where a directory was used
 * with the other layout, `io_error`.
 */
export function layOut(given: readonly string[], layout: Layout): string[] {
  for (const path of given) {
    const used = existsSync(join(path, NODE_ID_FILE))
    const usedForFiles = existsSync(join(path, VOLUMES_BESIDE_FILES, NODE_ID_FILE))
    if (layout === 'files' ? used : usedForFiles) {
      const was = used ? 'volumes' : 'files'
      throw new UsageError(`${path} was used with --layout ${was}: name it again, or another directory`)
    }
  }
  if (layout === 'volumes') return [...given]
  for (const path of given) {
    for (const name of [SHARD_FILES, SHARD_FILES_BEGUN]) makeDirectory(resolve(path, name))
  }
  return given.map((path) => join(path, VOLUMES_BESIDE_FILES))
}

/** What a thread needs to work on volumes. The log has each damaged record that its reads meet, whichever door they are for. */
export function threadContext(
  shared: SharedVolumes,
  { clock, log }: { clock: Clock; log: Log },
): ThreadContext {
  return {
    ...createThreadContext(shared, realDisk, clock),
    onDamage({ volumeId, fid, offsetBytes, reason }) {
      const where = { volume: volumeId, fid: formatFid(fid), offset: offsetBytes }
      log.error({ ...where, reason }, 'a read met a damaged record')
    },
  }
}

/** A thread's view of the volumes of its process. */
export function volumeView(context: ThreadContext, { shardFiles }: SharedVolumes): VolumeSet {
  return shardFiles ? new VolumeSet(context, shardFileVolumes(systemRandom)) : new VolumeSet(context)
}
