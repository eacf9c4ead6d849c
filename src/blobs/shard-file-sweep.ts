/**
 * Looks after shards that are files: removes those that no volume names any more, because their blobs were deleted or a write
 * ended half way, and tells of those that are named and not there. Files that nobody here made are left alone.
 */
import type { Clock } from '../base/clock.ts'
import { toStoreError } from '../base/errors.ts'
import type { Fid } from '../base/fid.ts'
import { SHARD_FILE_AGE_MS_MIN, SHARD_FILE_SWEEP_PERIOD_MS } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import type { Disk } from '../disk/disk.ts'
import type { Key } from '../disk/volume-keys.ts'
import { listVolume } from '../disk/volume-listing.ts'
import type { VolumeSet } from '../disk/volume-set.ts'
import { FLAG } from '../disk/volume-table.ts'
import {
  listFileDirectory,
  SHARD_FILES,
  SHARD_FILES_BEGUN,
  ShardFilesVolume,
  type ShardReference,
} from './shard-files.ts'

export interface ShardFileSweepOptions {
  volumes: VolumeSet
  disk: Disk
  clock: Clock
  random: Random
  log: Log
  /** A file is missing that a volume names, or what names it cannot be read. */
  onMissing: (volumeId: number, key: { keyHigh: number; keyLow: number }) => void
  /** Younger files stay: their volumes may not name them yet. Default SHARD_FILE_AGE_MS_MIN. */
  ageMsMin?: number
}

export interface SweptFiles {
  removed: number
  missing: number
}

const SHARD_FILE = /^[A-Za-z0-9+%]{43,129}=\.\d{1,2}\.[A-Za-z0-9+%]{43,129}=$/
const BEGUN_FILE = /^[0-9a-f]{16}$/

export class ShardFileSweep {
  readonly #options: ShardFileSweepOptions
  #running: Promise<unknown> = Promise.resolve()
  #stopTimer: (() => void) | undefined
  #stopped = false

  constructor(options: ShardFileSweepOptions) {
    this.#options = options
  }

  /** Sweeps now, and each SHARD_FILE_SWEEP_PERIOD_MS until `stop`. */
  start(): void {
    const sweep = () => {
      this.#running = this.#running.then(() => this.#runQuietly())
    }
    sweep()
    this.#stopTimer = this.#options.clock.every(SHARD_FILE_SWEEP_PERIOD_MS, sweep)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#stopTimer?.()
    await this.#running
  }

  async #runQuietly(): Promise<void> {
    const { log } = this.#options
    try {
      const swept = await this.run()
      if (swept.removed + swept.missing > 0) log.info({ ...swept }, 'swept the files of shards')
    } catch (error) {
      const { code, message } = toStoreError(error)
      log.warn({ code, reason: message }, 'the files of shards are not swept now')
    }
  }

  /** Throws what the disk throws, `io_error` when some volumes could not be opened, `conflict` when one was compacted meanwhile. */
  async run(): Promise<SweptFiles> {
    const { volumes, disk } = this.#options
    volumes.assertAllOpen()
    const swept = { removed: 0, missing: 0 }
    const shards = volumes.list().filter((each) => each instanceof ShardFilesVolume)
    for (const [root, some] of Map.groupBy(shards, (each) => each.root)) {
      const found = listFileDirectory(disk, root, SHARD_FILES).filter((name) => SHARD_FILE.test(name))
      const { named, isComplete } = await this.#namedBy(some, new Set(found), swept)
      if (this.#stopped) break
      // A volume that is being filled does not know yet what belongs to it, and a damaged record does not say what it names.
      if (!isComplete || some.some(({ slot }) => slot.hasFlag(FLAG.filling))) continue
      for (const name of found) {
        if (!named.has(name) && this.#removeShard(root, name)) swept.removed++
      }
      for (const name of listFileDirectory(disk, root, SHARD_FILES_BEGUN)) {
        const path = `${root}/${SHARD_FILES_BEGUN}/${name}`
        if (BEGUN_FILE.test(name) && this.#isOld(path)) disk.removeSync(path)
      }
    }
    return swept
  }

  /** Files that needles name. `isComplete`: each of them could be read. */
  async #namedBy(
    volumes: readonly ShardFilesVolume[],
    found: ReadonlySet<string>,
    swept: SweptFiles,
  ): Promise<{ named: Set<string>; isComplete: boolean }> {
    const { disk, onMissing } = this.#options
    const named = new Set<string>()
    let isComplete = true
    for (const volume of volumes) {
      const noteDamaged = (key: Key) => {
        isComplete = false
        swept.missing++
        onMissing(volume.id, key)
      }
      for await (const batch of listVolume(volume, 0, undefined, noteDamaged)) {
        if (this.#stopped) return { named, isComplete }
        for (const { id } of batch) {
          const reference = await readReference(volume, id)
          if (reference === 'damaged') noteDamaged(id)
          if (reference === 'damaged' || reference === undefined) continue
          const { fileName } = reference
          named.add(fileName)
          if (found.has(fileName) || disk.stat(`${volume.root}/${SHARD_FILES}/${fileName}`)) continue
          swept.missing++
          onMissing(volume.id, id)
        }
      }
    }
    return { named, isComplete }
  }

  /** It may be written again in this very moment: so it is taken away first, and then looked at. */
  #removeShard(root: string, name: string): boolean {
    const { disk, random } = this.#options
    const path = `${root}/${SHARD_FILES}/${name}`
    if (!this.#isOld(path)) return false
    const taken = `${root}/${SHARD_FILES_BEGUN}/${random.bytes(8).toString('hex')}`
    disk.renameSync(path, taken)
    if (!this.#isOld(taken)) {
      disk.renameSync(taken, path)
      return false
    }
    disk.removeSync(taken)
    return true
  }

  #isOld(path: string): boolean {
    const { disk, clock, ageMsMin = SHARD_FILE_AGE_MS_MIN } = this.#options
    const stat = disk.stat(path)
    return stat !== undefined && !stat.isDirectory && stat.modifiedMs <= clock.nowMs() - ageMsMin
  }
}

async function readReference(
  volume: ShardFilesVolume,
  id: Fid,
): Promise<ShardReference | undefined | 'damaged'> {
  try {
    return await volume.reference(id)
  } catch (error) {
    const { code } = toStoreError(error)
    if (code === 'io_error' || code === 'corrupt') return 'damaged'
    throw error
  }
}
