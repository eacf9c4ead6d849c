/**
 * Whole volumes from one server to another. The source holds its volume: read only, on disk, until the move is done or
 * given up. The target stages the files under other names, verifies them, and adopts them, still held. Only then does
 * the source hand over, and the target lets go. So a crash at any step leaves a whole copy, and never two that take writes.
 */
import { assert } from '../base/assert.ts'
import { crc32c } from '../base/checksum.ts'
import type { Clock } from '../base/clock.ts'
import { isErasure } from '../base/erasure-id.ts'
import { StoreError, toStoreError } from '../base/errors.ts'
import { DISK_FREE_BYTES_MIN, VOLUME_PIECE_BYTES_MAX } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import { removeVolumeFiles } from './create-volume.ts'
import { DeadPlaces } from './dead-places.ts'
import { type Disk, readFileWhole } from './disk.ts'
import { IDX_ENTRY_BYTES } from './idx-entry.ts'
import { SUPER_BLOCK_BYTES } from './super-block.ts'
import { type Verified, verifyCopy } from './verify-copy.ts'
import type { DirectoryInfo } from './volume-admin.ts'
import { isClosedForWrites, type VolumeInfoFile } from './volume-info.ts'
import { volumeBaseName } from './volume-paths.ts'
import { FLAG, type VolumeSlot, WORD } from './volume-table.ts'

/** In the order in which a volume's files get their names: with `.dat` it is a volume. */
export const COPIED_FILES = ['vif', 'idx', 'sums', 'cairn', 'dat'] as const
export type CopiedFile = (typeof COPIED_FILES)[number]

/** A held volume as it will be copied. Two copies with the same values are the same. */
export interface HeldVolume {
  id: number
  collection: string
  compactionRevision: number
  /** Time of the last append. */
  appendNsHigh: number
  appendNsLow: number
  files: { file: CopiedFile; sizeBytes: number }[]
}

/** One volume of the keeper. */
export interface CopiedVolume {
  readonly slot: VolumeSlot
  readonly info: VolumeInfoFile
  readonly busy: boolean
}

/** What copies need of the keeper. */
export interface CopyHost {
  disk: Disk
  clock: Clock
  log: Log
  directories: readonly string[]
  kept(id: number): CopiedVolume
  /** Throws `volume_exists`. */
  assertUnknown(id: number): void
  directoryInfos(): DirectoryInfo[]
  /** Writes `.cairn` with the change, and sets the slot's flags by it. */
  change(id: number, change: Partial<VolumeInfoFile>): void
  /** Covers the holes of failed writes, and syncs all. */
  settle(id: number): Promise<void>
  openVolume(directory: number, name: { collection: string; volumeId: number }): void
  deleteVolume(id: number): Promise<void>
}

interface Staged {
  volume: HeldVolume
  directory: string
  handles: Map<CopiedFile, number>
  verified: boolean
  /** Calls that use the handles now. A handle that is closed under them could become another file's. */
  users: number
  dropped: boolean
}

const STAGED_SUFFIX = '.arriving'
/** How long a hold waits for a compaction and the large writes under way: less than a master's call may take. */
const HOLD_WAIT_MS_MAX = 8_000
const HOLD_WAIT_STEP_MS = 20
/** Places of a volume; where there are more, the disk reads nothing any more, and nothing is copied. */
const DEAD_PLACES_MAX = 256

export class VolumeCopies {
  readonly #host: CopyHost
  readonly #staged = new Map<number, Staged>()
  /** Files of copies that could not be opened, until they are removed. */
  readonly #half = new Map<number, { directory: string; base: string }>()
  /** Of volumes that were copied from here. */
  readonly #dead = new Map<number, DeadPlaces>()

  constructor(host: CopyHost) {
    this.#host = host
  }

  // At the source

  /**
   * Closes a volume for writes until `release`, over restarts too, and resolves when all of it is on disk. Holding what is
   * held is no error. Throws `volume_not_found`, `conflict` (it failed, or a long compaction is under way), `timeout`, `io_error`.
   */
  async hold(id: number): Promise<HeldVolume> {
    const deadlineMs = this.#host.clock.monotonicMs() + HOLD_WAIT_MS_MAX
    const { slot, info } = await this.#untilNotCompacted(id, deadlineMs)
    if (slot.hasFlag(FLAG.failed) || info.suspect)
      throw new StoreError('conflict', `volume ${id} failed: compact it first`)
    const wasMoving = info.moving === true
    if (!wasMoving) this.#close(id)
    try {
      await this.#untilQuiet(id, slot, deadlineMs)
      await this.#host.settle(id)
      if (slot.get(WORD.largeWriteCount) > 0)
        throw new StoreError('conflict', `volume ${id} has a failed write that could not be covered`)
      return this.describe(id)
    } catch (error) {
      if (!wasMoving) this.#host.change(id, { moving: false })
      throw error
    }
  }

  /** Throws the disk's error, and then the volume takes writes as before. */
  #close(id: number): void {
    try {
      this.#host.change(id, { moving: true })
    } catch (error) {
      const { slot, info } = this.#host.kept(id)
      if (!isClosedForWrites(info)) slot.clearFlag(FLAG.readOnly)
      throw error
    }
  }

  /** A compaction that has begun may end; most are short. */
  async #untilNotCompacted(id: number, deadlineMs: number): Promise<CopiedVolume> {
    const { clock } = this.#host
    for (;;) {
      const kept = this.#host.kept(id)
      if (!kept.busy) return kept
      if (clock.monotonicMs() > deadlineMs)
        throw new StoreError('conflict', `volume ${id} is being compacted`)
      await clock.sleep(HOLD_WAIT_STEP_MS)
    }
  }

  /** Writes that have begun may end. */
  async #untilQuiet(id: number, slot: VolumeSlot, deadlineMs: number): Promise<void> {
    const { clock } = this.#host
    // A small write is under way only as long as it has the lock.
    slot.lock()
    slot.unlock()
    while (slot.largeWritesUnderWay() > 0) {
      if (clock.monotonicMs() > deadlineMs)
        throw new StoreError('timeout', `writes to volume ${id} did not end in time`)
      await clock.sleep(HOLD_WAIT_STEP_MS)
    }
  }

  /** A held volume. Throws `volume_not_found`, `conflict` when it is not held. */
  describe(id: number): HeldVolume {
    const { slot } = this.#held(id)
    const directory = this.#directoryOf(slot)
    const files = COPIED_FILES.flatMap((file) => {
      const sizeBytes = this.#sizeOf(slot, directory, file)
      return sizeBytes === undefined ? [] : [{ file, sizeBytes }]
    })
    return {
      id,
      collection: slot.collection,
      compactionRevision: slot.get(WORD.compactionRevision),
      appendNsHigh: slot.get(WORD.appendNsHigh),
      appendNsLow: slot.get(WORD.appendNsLow),
      files,
    }
  }

  #held(id: number): CopiedVolume {
    const kept = this.#host.kept(id)
    if (!kept.info.moving) throw new StoreError('conflict', `volume ${id} is not held for a move`)
    return kept
  }

  #directoryOf(slot: VolumeSlot): string {
    return this.#host.directories[slot.get(WORD.directory)] as string
  }

  #sizeOf(slot: VolumeSlot, directory: string, file: CopiedFile): number | undefined {
    if (file === 'dat') return slot.get(WORD.tailUnits) * 8
    if (file === 'idx') return slot.get(WORD.idxEntries) * IDX_ENTRY_BYTES
    return this.#host.disk.stat(this.#pathOf(slot, directory, file))?.sizeBytes
  }

  #pathOf(slot: VolumeSlot, directory: string, file: CopiedFile): string {
    return `${directory}/${volumeBaseName(slot.collection, slot.get(WORD.volumeId))}.${file}`
  }

  /**
   * A piece of a file of a held volume, with its CRC32C; of `.dat`, zeros for what the disk cannot read. Throws
   * `volume_not_found`, `conflict` (not held, or compacted since), `bad_request` (not within the file), `io_error`.
   */
  async read(piece: {
    id: number
    file: CopiedFile
    compactionRevision: number
    offset: number
    lengthBytes: number
  }): Promise<{ bytes: Buffer; checksum: number }> {
    const { id, file, offset, lengthBytes } = piece
    const { slot } = this.#held(id)
    const directory = this.#directoryOf(slot)
    if (slot.get(WORD.compactionRevision) !== piece.compactionRevision)
      throw new StoreError('conflict', `volume ${id} is another one by now`)
    const sizeBytes = this.#sizeOf(slot, directory, file) ?? 0
    if (lengthBytes > VOLUME_PIECE_BYTES_MAX || offset + lengthBytes > sizeBytes)
      throw new StoreError('bad_request', `no such piece of ${file}`)
    const { disk } = this.#host
    const bytes = Buffer.allocUnsafeSlow(lengthBytes)
    const pin = slot.pin()
    let own: number | undefined
    try {
      if (file !== 'dat' && file !== 'idx') own = disk.open(this.#pathOf(slot, directory, file), 'r')
      const handle = own ?? slot.get(file === 'dat' ? WORD.datHandle : WORD.idxHandle)
      const read = { handle, into: bytes, intoOffset: 0, lengthBytes, position: offset }
      const count =
        file === 'dat'
          ? await this.#deadOf(id, offset).read(read)
          : await disk.read(handle, bytes, 0, lengthBytes, offset)
      if (count < lengthBytes) throw new StoreError('corrupt', `${file} of volume ${id} is too short`)
    } catch (error) {
      throw toStoreError(error)
    } finally {
      if (own !== undefined) disk.close(own)
      slot.unpin(pin)
    }
    return { bytes, checksum: crc32c(bytes) }
  }

  /**
   * What the disk cannot read of `.dat`, since the last copy began. It is copied as zeros, which damage the records there at
   * the target as they are here; so the rest of the volume gets away from such a disk.
   */
  #deadOf(id: number, offset: number): DeadPlaces {
    const { disk, log } = this.#host
    const known = offset === 0 ? undefined : this.#dead.get(id)
    const dead =
      known ??
      new DeadPlaces(disk, DEAD_PLACES_MAX, ({ start, end }, reason) => {
        // Without super block it is no volume.
        if (start < SUPER_BLOCK_BYTES) throw new StoreError('io_error', reason)
        const place = { volume: id, offset: start, bytes: end - start, reason }
        log.error(place, 'the disk cannot read a place of a volume that is copied: the copy has zeros there')
      })
    this.#dead.set(id, dead)
    return dead
  }

  /** Throws `conflict` where a place that was copied as zeros can be read now. */
  async #assertStillDead(id: number): Promise<void> {
    const { disk } = this.#host
    const { slot } = this.#held(id)
    const handle = slot.get(WORD.datHandle)
    const pin = slot.pin()
    try {
      for (const { start, end } of this.#dead.get(id)?.places ?? []) {
        const canBeRead = await disk.read(handle, Buffer.alloc(end - start), 0, end - start, start).then(
          () => true,
          () => false,
        )
        if (!canBeRead) continue
        throw new StoreError(
          'conflict',
          `volume ${id} could not be read at ${start} when it was copied, and can be now: delete the copy and move it again`,
        )
      }
    } finally {
      slot.unpin(pin)
    }
  }

  /** Lets a held volume take writes again, if it did before. Throws `volume_not_found`, `io_error`. */
  release(id: number): void {
    if (this.#host.kept(id).info.moving) this.#host.change(id, { moving: false })
  }

  /**
   * Removes a held volume that has arrived elsewhere. Throws `conflict` when it is not the one that was copied, or more of it
   * can be read now than when it was copied.
   */
  async handOver(expected: HeldVolume): Promise<void> {
    await this.#assertStillDead(expected.id)
    if (!isSameCopy(this.describe(expected.id), expected))
      throw new StoreError('conflict', `volume ${expected.id} is not the one that was copied`)
    await this.#host.deleteVolume(expected.id)
    this.#dead.delete(expected.id)
  }

  // At the target

  /**
   * Makes room for a volume that comes; what an earlier try left is dropped.
   * Throws `volume_exists`, `disk_full`, `no_writable_volume`, `io_error`.
   */
  stage(volume: HeldVolume): void {
    this.#host.assertUnknown(volume.id)
    this.drop(volume.id)
    const { disk } = this.#host
    const directory = this.#pickDirectory(volume)
    const staged: Staged = {
      volume,
      directory,
      handles: new Map(),
      verified: false,
      users: 0,
      dropped: false,
    }
    this.#staged.set(volume.id, staged)
    try {
      for (const { file } of volume.files) staged.handles.set(file, disk.open(stagedPath(staged, file), 'w+'))
    } catch (error) {
      this.drop(volume.id)
      throw toStoreError(error)
    }
  }

  #pickDirectory({ id, files }: HeldVolume): string {
    const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0)
    const working = this.#host
      .directoryInfos()
      .filter(({ failed, forShards }) => !failed && (isErasure(id) || !forShards))
    const open = working.filter(({ volumeCount, volumeCountMax }) => volumeCount < volumeCountMax)
    if (open.length === 0) throw new StoreError('no_writable_volume', 'no data directory has a free place')
    const reserve = (totalBytes: number) => Math.min(DISK_FREE_BYTES_MIN, totalBytes / 20)
    const roomy = open.filter(
      ({ freeBytes, totalBytes }) => freeBytes - reserve(totalBytes) * 1.25 >= sizeBytes,
    )
    const [first] = roomy.sort((a, b) => a.volumeCount - b.volumeCount)
    if (first === undefined)
      throw new StoreError('disk_full', `no data directory has room for ${sizeBytes} bytes`)
    return first.path
  }

  /** Throws `not_found` when nothing is staged, `corrupt` for bytes that changed on their way, `io_error`, `disk_full`. */
  async write(
    id: number,
    piece: { file: CopiedFile; offset: number; bytes: Buffer; checksum: number },
  ): Promise<void> {
    const staged = this.#stagedOf(id)
    const handle = staged.handles.get(piece.file)
    if (handle === undefined)
      throw new StoreError('not_found', `no ${piece.file} of volume ${id} is expected`)
    if (crc32c(piece.bytes) !== piece.checksum)
      throw new StoreError('corrupt', `a piece of volume ${id} changed on its way`)
    const { bytes, offset } = piece
    await this.#using(staged, () => this.#host.disk.write(handle, bytes, 0, bytes.length, offset))
  }

  async #using<T>(staged: Staged, run: () => Promise<T>): Promise<T> {
    staged.users++
    try {
      return await run()
    } catch (error) {
      throw toStoreError(error)
    } finally {
      staged.users--
      if (staged.dropped) this.#closeStaged(staged)
    }
  }

  #stagedOf(id: number): Staged {
    const staged = this.#staged.get(id)
    if (staged === undefined) throw new StoreError('not_found', `volume ${id} is not being copied here`)
    return staged
  }

  /**
   * Syncs what was staged, and verifies every record of it.
   * Throws `corrupt` when the files are not whole or are no volume, `io_error`.
   */
  async verify(id: number): Promise<Verified> {
    const staged = this.#stagedOf(id)
    const { disk, clock } = this.#host
    return await this.#using(staged, async () => {
      for (const { file, sizeBytes } of staged.volume.files) {
        const handle = staged.handles.get(file)
        assert(handle !== undefined, 'every file is staged')
        if (disk.sizeSync(handle) !== sizeBytes) throw new StoreError('corrupt', `${file} is not whole`)
        await disk.fdatasync(handle)
      }
      const files = {
        info: readFileWhole(disk, stagedPath(staged, 'cairn')),
        datHandle: staged.handles.get('dat') ?? -1,
        idxHandle: staged.handles.get('idx') ?? -1,
      }
      const verified = await verifyCopy(disk, files, async () => {
        await clock.sleep(0)
        if (staged.dropped) throw new StoreError('conflict', 'the copy was given up')
      })
      staged.verified = true
      return verified
    })
  }

  /**
   * Opens what was verified as a volume, held. Adopting twice is no error. Throws `not_found`, `conflict` (not verified, or
   * what was opened is not what was copied: then it is removed again), `volume_exists`, `io_error`.
   */
  async adopt(id: number): Promise<HeldVolume> {
    if (!this.#staged.has(id)) {
      try {
        return this.describe(id)
      } catch (error) {
        if (error instanceof StoreError && error.code === 'volume_not_found') this.#stagedOf(id)
        throw error
      }
    }
    const staged = this.#stagedOf(id)
    if (!staged.verified || staged.users > 0)
      throw new StoreError('conflict', `the copy of volume ${id} is not verified yet`)
    this.#host.assertUnknown(id)
    this.#openStaged(staged)
    const opened = this.describe(id)
    const { collection } = staged.volume
    // The source was not suspect when it was held.
    if (!isSameCopy(opened, staged.volume) || this.#host.kept(id).info.suspect) {
      // It takes no writes, and the source has it all.
      await this.#host.deleteVolume(id)
      throw new StoreError('conflict', `what was opened as the copy of volume ${id} is not what was copied`)
    }
    this.#host.log.info({ volume: id, collection, directory: staged.directory }, 'volume arrived')
    return opened
  }

  /** Gives staged files their names, and opens the volume. After a failure nothing of it is left. */
  #openStaged(staged: Staged): void {
    const { disk, directories } = this.#host
    const { collection, id } = staged.volume
    const base = volumeBaseName(collection, id)
    try {
      this.#closeStaged(staged)
      // What an earlier volume of that number has left would be taken for a part of this one.
      removeVolumeFiles(disk, staged.directory, base)
      // With `.dat` the volume is there: what it needs must have its name before, on disk.
      for (const file of COPIED_FILES) {
        if (!staged.handles.has(file)) continue
        if (file === 'dat') disk.syncDirectorySync(staged.directory)
        disk.renameSync(stagedPath(staged, file), finalPath(staged, file))
      }
      disk.syncDirectorySync(staged.directory)
      this.#host.openVolume(directories.indexOf(staged.directory), { collection, volumeId: id })
    } catch (error) {
      // What is half here must not turn up at the next start: the source has it all.
      this.#half.set(id, { directory: staged.directory, base })
      try {
        this.drop(id)
      } catch (second) {
        this.#host.log.error({ volume: id, error: String(second) }, 'a part of a copy is still there')
      }
      throw toStoreError(error)
    }
    this.#staged.delete(id)
  }

  #closeStaged({ handles, users }: Staged): void {
    if (users > 0) return
    for (const [file, handle] of handles) {
      if (handle !== -1) this.#host.disk.close(handle)
      handles.set(file, -1)
    }
  }

  #isOpen(id: number): boolean {
    try {
      return this.#host.kept(id) !== undefined
    } catch {
      return false
    }
  }

  #removeHalf(id: number): void {
    const half = this.#half.get(id)
    if (half === undefined) return
    try {
      // Another one of that number may have come by another way.
      if (!this.#isOpen(id)) removeVolumeFiles(this.#host.disk, half.directory, half.base)
    } catch (error) {
      throw toStoreError(error)
    }
    this.#half.delete(id)
  }

  /**
   * Forgets what is staged of a volume and removes its files, those of earlier processes too. Throws `io_error` while files are
   * still there that would be a volume at the next start.
   */
  drop(id: number): void {
    const staged = this.#staged.get(id)
    this.#staged.delete(id)
    if (staged !== undefined) {
      staged.dropped = true
      this.#closeStaged(staged)
    }
    this.#removeStagedFiles((name) => idOfStaged(name) === id)
    this.#removeHalf(id)
  }

  /** At the start: removes what moves that were cut off have left. */
  removeLeftovers(): void {
    this.#removeStagedFiles((name) => idOfStaged(name) !== undefined)
  }

  #removeStagedFiles(isWanted: (name: string) => boolean): void {
    const { disk, directories, log } = this.#host
    for (const directory of directories) {
      try {
        const names = disk.list(directory).filter(isWanted)
        for (const name of names) disk.removeSync(`${directory}/${name}`)
      } catch (error) {
        log.warn({ directory, error: String(error) }, 'files of a move that was cut off are still there')
      }
    }
  }
}

/** Whether two descriptions are of the same content. Sidecars may differ: each server writes its own. */
export function isSameCopy(a: HeldVolume, b: HeldVolume): boolean {
  const sizeOf = (volume: HeldVolume, file: CopiedFile) =>
    volume.files.find((each) => each.file === file)?.sizeBytes
  return (
    a.id === b.id &&
    a.collection === b.collection &&
    a.compactionRevision === b.compactionRevision &&
    a.appendNsHigh === b.appendNsHigh &&
    a.appendNsLow === b.appendNsLow &&
    sizeOf(a, 'dat') === sizeOf(b, 'dat') &&
    sizeOf(a, 'idx') === sizeOf(b, 'idx')
  )
}

function finalPath({ directory, volume }: Staged, file: CopiedFile): string {
  return `${directory}/${volumeBaseName(volume.collection, volume.id)}.${file}`
}

function stagedPath(staged: Staged, file: CopiedFile): string {
  return `${finalPath(staged, file)}${STAGED_SUFFIX}`
}

function idOfStaged(name: string): number | undefined {
  if (!name.endsWith(STAGED_SUFFIX)) return undefined
  const match = /^(?:.+_)?([0-9]{1,10})\.[a-z]+$/.exec(name.slice(0, -STAGED_SUFFIX.length))
  return match === null ? undefined : Number(match[1])
}
