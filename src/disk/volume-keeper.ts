/**
 * The keeper of one process's volumes: opens, makes, removes and compacts them, writes their checkpoints, and watches the
 * disks' space. One thread runs it; other threads read and write volumes by themselves, through the shared table.
 */
import { StoreError, toStoreError } from '../base/errors.ts'
import * as limits from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import { ttlSeconds } from '../base/ttl.ts'
import { Ballast } from './ballast.ts'
import { writeCheckpoint } from './checkpoint.ts'
import { compactVolume } from './compaction.ts'
import { createVolumeFiles, removeVolumeFiles } from './create-volume.ts'
import { replaceFileDurably } from './disk.ts'
import type { Checkpoint, IndexSums } from './index-sums.ts'
import { coverAbandoned } from './large-write.ts'
import { NeedleIndex } from './needle-index.ts'
import { type OpenReport, openVolume } from './open-volume.ts'
import type { ThreadContext } from './thread-context.ts'
import type { DirectoryInfo, NewVolume, StoreStatus, VolumeAdmin, VolumeInfo } from './volume-admin.ts'
import { VolumeAdoption } from './volume-adoption.ts'
import { type CopyHost, VolumeCopies } from './volume-copies.ts'
import { encodeVolumeInfo, isClosedForWrites, type VolumeInfoFile } from './volume-info.ts'
import { EXTENSION, parseDatName, volumeBaseName } from './volume-paths.ts'
import { COLLECTION_BYTES_MAX, FLAG, STATE, type VolumeSlot, WORD } from './volume-table.ts'

/** How often the keeper looks after its volumes and disks. */
export const KEEPER_PERIOD_MS = 1000
/** A volume that was written to and then left alone for so long gets a checkpoint, so that a restart reads little. */
const IDLE_CHECKPOINT_MS = 10_000
/** Free space below which a disk takes no more writes: what deletes and checkpoints need to go on. */
const RESERVE_BYTES = 64 * 1024 * 1024
const RESERVE_PART_MAX = 1 / 20
/** Writes go on when there is this much more than the reserve. */
const RESUME_FACTOR = 1.25
const BALLAST_STEP_BYTES = 64 * 1024 * 1024
/** The ballast is laid down at once on a disk that may fill in a second, on others when so little of it is free. */
const SMALL_DISK_BYTES = 16 * 1024 ** 3
const BALLAST_BELOW_PART = 0.2
/** A volume is at most this part of its disk, so that a full disk has room to compact one. */
const VOLUME_DISK_PART_MAX = 1 / 32
const VOLUME_SIZE_LIMIT_BYTES_MIN = 1024 * 1024
/** What a compaction needs beside the live records. */
const COMPACTION_SPARE_BYTES = 256 * 1024
/** An expired TTL volume is removed only this much later, so that no reader meets the edge. */
const EXPIRY_GRACE_PART = 0.1
const EXPIRY_GRACE_S_MAX = 600
/** A volume is compacted by itself only when it is worth it. */
const COMPACT_GARBAGE_BYTES_MIN = 1024 * 1024

export interface KeeperOptions {
  random: Random
  log: Log
  /** Masters give out no ids of a volume above this size. */
  volumeSizeLimitBytes: number
  /** Volumes in one directory. */
  volumesPerDirectoryMax: number
  /** Part of a volume (0 to 1) that must be garbage before it is compacted by itself. */
  garbageThreshold: number
  ballastBytes: number
}

interface KeptVolume {
  slot: VolumeSlot
  sums: IndexSums
  checkpointedAtMs: number
  busy: boolean
  /** What `.cairn` says. */
  info: VolumeInfoFile
  /** Masters were told that it has reached its size limit. Writes that they have sent here go on, up to 32 GiB. */
  toldFull: boolean
}

/** A volume whose files are there but could not be opened. Its id is taken all the same. */
interface UnopenedVolume {
  collection: string
  directory: string
}

interface KeptDirectory {
  path: string
  ballast: Ballast | undefined
  failed: boolean
  diskFull: boolean
}

export class VolumeKeeper implements VolumeAdmin {
  /** Whole volumes to and from other servers. */
  readonly copies: VolumeCopies
  /** Whole volumes that somebody puts into a data directory. */
  readonly adoption: VolumeAdoption
  readonly #context: ThreadContext
  readonly #options: KeeperOptions
  readonly #log: Log
  readonly #volumes = new Map<number, KeptVolume>()
  readonly #unopened = new Map<number, UnopenedVolume>()
  readonly #directories: KeptDirectory[]
  readonly #onChange: (() => void)[] = []
  #stopTimer: (() => void) | undefined
  #tending: Promise<void> | undefined
  readonly #compactions = new Set<Promise<unknown>>()
  #stopping = false

  constructor(context: ThreadContext, options: KeeperOptions) {
    this.#context = context
    this.#options = options
    this.#log = options.log
    this.#directories = context.directories.map((path) => ({
      path,
      ballast: undefined,
      failed: false,
      diskFull: false,
    }))
    const host = this.#copyHost()
    this.copies = new VolumeCopies(host)
    this.adoption = new VolumeAdoption(context, host, options.log)
  }

  #copyHost(): CopyHost {
    const { disk, clock, directories } = this.#context
    return {
      ...{ disk, clock, directories, log: this.#log },
      kept: (id) => this.#kept(id),
      assertUnknown: (id) => this.#assertUnknown(id),
      directoryInfos: () => this.#directoryInfos(),
      change: (id, change) => this.#changeInfo(this.#kept(id), change),
      settle: (id) => this.#settle(this.#kept(id)),
      openVolume: (directory, name) => {
        this.#openVolume(directory, name)
        this.#changed()
      },
      deleteVolume: (id) => this.deleteVolume(id),
    }
  }

  /** Opens every volume of every directory. A volume or directory that cannot be opened is logged and left out. */
  open(): void {
    for (const [number, directory] of this.#directories.entries()) {
      try {
        this.#context.disk.mkdirSync(directory.path)
        this.#openDirectory(number)
        directory.ballast = new Ballast(this.#context.disk, directory.path, this.#options.ballastBytes)
      } catch (error) {
        directory.failed = true
        this.#log.error({ directory: directory.path, error: String(error) }, 'data directory failed')
      }
    }
    this.copies.removeLeftovers()
    this.#watchSpace()
  }

  /** Looks after volumes and disks from now on. */
  start(): void {
    void this.#answerCalls()
    this.#stopTimer = this.#context.clock.every(KEEPER_PERIOD_MS, () => {
      this.#tending ??= this.tend().finally(() => {
        this.#tending = undefined
      })
    })
  }

  /** Tells the masters of full volumes as soon as they are full, not a period later. */
  async #answerCalls(): Promise<void> {
    for (let seen = 0; !this.#stopping; ) {
      seen = await this.#context.table.keeperCalled(seen)
      for (const kept of this.#volumes.values()) this.#tellIfFull(kept)
    }
  }

  #tellIfFull(kept: KeptVolume): void {
    if (kept.toldFull === isFull(kept.slot)) return
    kept.toldFull = !kept.toldFull
    this.#changed()
  }

  /** Checkpoints everything and closes the files. No thread may use the volumes any more. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#stopTimer?.()
    await this.#tending
    await Promise.allSettled(this.#compactions)
    for (const kept of this.#volumes.values()) {
      try {
        await this.#checkpoint(kept)
      } catch (error) {
        this.#log.error(
          { volume: kept.slot.get(WORD.volumeId), error: String(error) },
          'last checkpoint failed',
        )
      }
      this.#context.disk.close(kept.slot.get(WORD.datHandle))
      this.#context.disk.close(kept.slot.get(WORD.idxHandle))
      kept.slot.set(WORD.state, STATE.free)
    }
    this.#volumes.clear()
    this.#context.table.bumpVersion()
  }

  /** Calls back after a volume was made, removed, or stopped taking writes. */
  onChange(listener: () => void): void {
    this.#onChange.push(listener)
  }

  #changed(): void {
    for (const listener of this.#onChange) listener()
  }

  #openDirectory(number: number): void {
    const directory = this.#directories[number] as KeptDirectory
    for (const name of this.#context.disk.list(directory.path).sort()) {
      const parsed = parseDatName(name)
      if (parsed === undefined) continue
      if (this.#volumes.has(parsed.volumeId)) {
        this.#log.error(
          { volume: parsed.volumeId, directory: directory.path },
          'a second copy of a volume is left out',
        )
        continue
      }
      try {
        this.#openVolume(number, parsed)
      } catch (error) {
        const { code, message } = toStoreError(error)
        this.#log.error(
          { volume: parsed.volumeId, directory: directory.path, code },
          `volume not opened: ${message}`,
        )
        this.#unopened.set(parsed.volumeId, { collection: parsed.collection, directory: directory.path })
      }
    }
  }

  #openVolume(directory: number, name: { collection: string; volumeId: number }): KeptVolume {
    const { slot, sums, info, report } = openVolume(this.#context, {
      directory,
      ...name,
      sizeLimitBytes: this.#sizeLimitBytes((this.#directories[directory] as KeptDirectory).path),
      random: this.#options.random,
    })
    const kept = {
      slot,
      sums,
      checkpointedAtMs: this.#context.clock.monotonicMs(),
      busy: false,
      info,
      toldFull: false,
    }
    this.#volumes.set(name.volumeId, kept)
    this.#logOpened(name.volumeId, report)
    return kept
  }

  #sizeLimitBytes(directory: string): number {
    const partBytes = this.#context.disk.space(directory).totalBytes * VOLUME_DISK_PART_MAX
    return Math.min(this.#options.volumeSizeLimitBytes, Math.max(partBytes, VOLUME_SIZE_LIMIT_BYTES_MIN))
  }

  #logOpened(volume: number, report: OpenReport): void {
    const healed =
      report.bytesTruncated + report.holesFilled + report.indexBlocksRebuilt + report.recordsDamaged > 0
    if (healed) this.#log.warn({ volume, ...report }, 'volume opened and healed')
    else this.#log.debug({ volume, ...report }, 'volume opened')
  }

  // VolumeAdmin

  async createVolume(volume: NewVolume): Promise<void> {
    const { id, collection, replicaPlacement, ttl } = volume
    checkCollection(collection)
    this.#assertUnknown(id)
    const number = this.#pickDirectory()
    const directory = (this.#directories[number] as KeptDirectory).path
    try {
      const files = { directory, collection, volumeId: id, replicaPlacement, ttl }
      createVolumeFiles(this.#context.disk, files, this.#options.random)
      this.#openVolume(number, { collection, volumeId: id })
    } catch (error) {
      throw toStoreError(error)
    }
    this.#log.info({ volume: id, collection, directory }, 'volume made')
    this.#changed()
  }

  /** A volume that could not be opened, or a file of one, is never made over. Throws `volume_exists`, `io_error`. */
  #assertUnknown(id: number): void {
    let known = this.#volumes.has(id) || this.#unopened.has(id)
    for (const { path, failed } of this.#directories) {
      if (known || failed) continue
      try {
        known = this.#context.disk.list(path).some((name) => parseDatName(name)?.volumeId === id)
      } catch (error) {
        throw toStoreError(error)
      }
    }
    if (known) throw new StoreError('volume_exists', `volume ${id} is here already`)
  }

  /** The working directory with the fewest volumes, so that several disks share the load. */
  #pickDirectory(): number {
    const counts = this.#directories.map((_, number) => this.#volumesIn(number))
    const usable = this.#directories
      .map((directory, number) => ({ directory, number, count: counts[number] as number }))
      .filter(({ directory }) => !directory.failed)
    if (usable.length === 0) throw new StoreError('no_writable_volume', 'no data directory works')
    const withRoom = usable.filter(({ directory }) => !directory.diskFull)
    if (withRoom.length === 0) throw new StoreError('disk_full', 'no space left in any data directory')
    const open = withRoom.filter(({ count }) => count < this.#options.volumesPerDirectoryMax)
    const [first] = open.sort((a, b) => a.count - b.count)
    if (first === undefined)
      throw new StoreError('no_writable_volume', 'every data directory has its most volumes')
    return first.number
  }

  #volumesIn(directory: number): number {
    let count = 0
    for (const { slot } of this.#volumes.values()) if (slot.get(WORD.directory) === directory) count++
    return count
  }

  async deleteVolume(id: number): Promise<void> {
    const kept = this.#kept(id)
    const { slot } = kept
    if (kept.busy) throw new StoreError('conflict', `volume ${id} is being compacted`)
    slot.lock()
    slot.set(WORD.state, STATE.closing)
    slot.unlock()
    this.#volumes.delete(id)
    this.#context.table.bumpVersion()
    const directory = this.#context.directories[slot.get(WORD.directory)] as string
    try {
      removeVolumeFiles(this.#context.disk, directory, volumeBaseName(slot.collection, id))
      this.#log.info({ volume: id }, 'volume removed')
    } catch (error) {
      this.#unopened.set(id, { collection: slot.collection, directory })
      throw toStoreError(error)
    } finally {
      this.#releaseSlot(slot)
      this.#changed()
    }
  }

  /** Closes the files of a removed volume and frees its slot once nobody reads or writes it. */
  #releaseSlot(slot: VolumeSlot): void {
    const { clock, disk, arena } = this.#context
    const release = () => {
      if (slot.get(WORD.pins0) + slot.get(WORD.pins1) > 0) return void clock.after(50, release)
      disk.close(slot.get(WORD.datHandle))
      disk.close(slot.get(WORD.idxHandle))
      new NeedleIndex(arena, slot.indexWords).clear()
      slot.set(WORD.state, STATE.free)
    }
    release()
  }

  async setReadOnly(id: number, readOnly: boolean): Promise<void> {
    const kept = this.#kept(id)
    const { slot, info } = kept
    if (!readOnly && (slot.hasFlag(FLAG.failed) || info.suspect)) {
      throw new StoreError(
        'conflict',
        `volume ${id} failed: restart, then compact it, before it takes writes again`,
      )
    }
    this.#changeInfo(kept, { readOnly })
  }

  /** What `.cairn` then says decides whether the volume takes writes. Closing comes before the disk, opening after. */
  #changeInfo(kept: KeptVolume, change: Partial<VolumeInfoFile>): void {
    if (isClosedForWrites({ ...kept.info, ...change })) kept.slot.setFlag(FLAG.readOnly)
    this.#writeInfo(kept, change)
    if (!isClosedForWrites(kept.info)) kept.slot.clearFlag(FLAG.readOnly)
    this.#changed()
  }

  async #settle(kept: KeptVolume): Promise<void> {
    coverAbandoned(this.#context, kept.slot, new NeedleIndex(this.#context.arena, kept.slot.indexWords))
    await this.#checkpoint(kept)
    if (kept.slot.hasFlag(FLAG.failed)) throw new StoreError('io_error', 'the volume could not be synced')
  }

  async compactVolume(
    id: number,
    garbageThreshold: number,
  ): Promise<{ compacted: boolean; garbageRatio: number }> {
    const kept = this.#kept(id)
    const garbage = garbageBytes(kept.slot)
    const garbageRatio = garbage / Math.max(1, kept.slot.get(WORD.tailUnits) * 8)
    const wanted = kept.info.suspect || (garbage > 0 && garbageRatio >= garbageThreshold)
    if (!wanted) return { compacted: false, garbageRatio }
    if (kept.info.moving) throw new StoreError('conflict', `volume ${id} is being moved`)
    if (kept.busy) throw new StoreError('conflict', `volume ${id} is being compacted`)
    kept.busy = true
    const compaction = this.#compact(kept)
    this.#compactions.add(compaction)
    try {
      await compaction
    } finally {
      this.#compactions.delete(compaction)
      kept.busy = false
    }
    return { compacted: true, garbageRatio }
  }

  async #compact(kept: KeptVolume): Promise<void> {
    const { slot } = kept
    const volume = slot.get(WORD.volumeId)
    const directory = this.#directories[slot.get(WORD.directory)] as KeptDirectory
    try {
      const missing = this.#bytesMissing(kept)
      if (missing > (directory.ballast?.bytes ?? 0)) {
        throw new StoreError('disk_full', `volume ${volume} has no room to be compacted`)
      }
      if (missing > 0) directory.ballast?.release(missing)
      const result = await compactVolume(this.#context, { slot, salt: kept.info.salt }, () => this.#breathe())
      kept.sums = result.sums
      const { sums: _, ...figures } = result
      this.#log.info({ volume, ...figures }, 'volume compacted')
      this.#noteNewFiles(kept)
      this.#changed()
    } catch (error) {
      const failure = toStoreError(error)
      this.#log.error({ volume, code: failure.code }, `compaction failed: ${failure.message}`)
      throw failure
    }
  }

  /** What the disk lacks to hold a compacted copy of the volume beside the volume. */
  #bytesMissing({ slot }: KeptVolume): number {
    const directory = this.#context.directories[slot.get(WORD.directory)] as string
    const { freeBytes } = this.#context.disk.space(directory)
    return slot.get(WORD.liveUnits) * 8 + COMPACTION_SPARE_BYTES - freeBytes
  }

  /** Between the steps of a compaction: gives the thread to others, and ends it when the server stops. */
  async #breathe(): Promise<void> {
    await this.#context.clock.sleep(0)
    if (this.#stopping) throw new StoreError('unavailable', 'the server stops')
  }

  async status(): Promise<StoreStatus> {
    return {
      directories: this.#directoryInfos(),
      volumes: [...this.#volumes.values()].map((kept) => this.#info(kept)).concat(this.#unopenedInfos()),
    }
  }

  #directoryInfos(): DirectoryInfo[] {
    return this.#directories.map((directory, number) => {
      const common = {
        path: directory.path,
        volumeCount: this.#volumesIn(number),
        volumeCountMax: this.#options.volumesPerDirectoryMax,
      }
      try {
        return { ...common, ...this.#context.disk.space(directory.path), failed: directory.failed }
      } catch {
        return { ...common, totalBytes: 0, freeBytes: 0, failed: true }
      }
    })
  }

  #info({ slot, info }: KeptVolume): VolumeInfo {
    return {
      id: slot.get(WORD.volumeId),
      collection: slot.collection,
      directory: this.#context.directories[slot.get(WORD.directory)] as string,
      replicaPlacement: slot.get(WORD.replicaPlacement),
      ttl: slot.get(WORD.ttl),
      sizeBytes: slot.get(WORD.tailUnits) * 8,
      fileCount: slot.get(WORD.putCount),
      deleteCount: slot.get(WORD.deleteCount),
      deletedBytes: garbageBytes(slot),
      readOnly: slot.hasFlag(FLAG.readOnly),
      moving: info.moving === true,
      full: isFull(slot),
      failed: slot.hasFlag(FLAG.failed),
      diskFull: slot.hasFlag(FLAG.diskFull),
      compactionRevision: slot.get(WORD.compactionRevision),
      maxKeyHigh: slot.get(WORD.maxKeyHigh),
      maxKeyLow: slot.get(WORD.maxKeyLow),
      modifiedS: slot.get(WORD.modifiedS),
      damageFound: slot.get(WORD.damageFound),
    }
  }

  /** They count as failed, so that no master gives their ids to others. */
  #unopenedInfos(): VolumeInfo[] {
    return [...this.#unopened].map(([id, { collection, directory }]) => ({
      id,
      collection,
      directory,
      replicaPlacement: 0,
      ttl: 0,
      sizeBytes: 0,
      fileCount: 0,
      deleteCount: 0,
      deletedBytes: 0,
      readOnly: true,
      full: false,
      failed: true,
      diskFull: false,
      compactionRevision: 0,
      maxKeyHigh: 0,
      maxKeyLow: 0,
      modifiedS: 0,
      damageFound: 0,
    }))
  }

  #kept(id: number): KeptVolume {
    const kept = this.#volumes.get(id)
    if (kept === undefined) throw new StoreError('volume_not_found', `volume ${id} is not here`)
    return kept
  }

  // Looking after

  /** One round of care: space, checkpoints, expired volumes, garbage. */
  async tend(): Promise<void> {
    this.#watchSpace()
    // Those with the least to copy first: each that is done makes room for the next.
    const byLiveBytes = [...this.#volumes].sort(
      (a, b) => a[1].slot.get(WORD.liveUnits) - b[1].slot.get(WORD.liveUnits),
    )
    for (const [id, kept] of byLiveBytes) {
      try {
        await this.#tendVolume(id, kept)
      } catch (error) {
        const { code, message } = toStoreError(error)
        this.#log.error({ volume: id, code }, `care of the volume failed: ${message}`)
      }
    }
  }

  async #tendVolume(id: number, kept: KeptVolume): Promise<void> {
    const { slot } = kept
    if (slot.hasFlag(FLAG.failed)) return this.#noteSuspect(kept)
    if (kept.busy) return
    if (this.#isExpired(slot)) return this.deleteVolume(id)
    this.#tellIfFull(kept)
    coverAbandoned(this.#context, slot, new NeedleIndex(this.#context.arena, slot.indexWords))
    const last = kept.sums.checkpoints.at(-1) as Checkpoint
    const newBytes = (slot.get(WORD.tailUnits) - last.tailUnits) * 8
    const idleMs = this.#context.clock.monotonicMs() - kept.checkpointedAtMs
    if (newBytes >= limits.CHECKPOINT_DAT_BYTES || (newBytes > 0 && idleMs > IDLE_CHECKPOINT_MS)) {
      await this.#checkpoint(kept)
    }
    if (this.#isWorthCompacting(kept)) await this.compactVolume(id, this.#options.garbageThreshold)
  }

  #isWorthCompacting(kept: KeptVolume): boolean {
    const { slot } = kept
    const directory = this.#directories[slot.get(WORD.directory)] as KeptDirectory
    const garbage = garbageBytes(slot)
    if (
      slot.hasFlag(FLAG.readOnly) ||
      garbage < this.#options.garbageThreshold * slot.get(WORD.tailUnits) * 8
    )
      return false
    if (garbage < COMPACT_GARBAGE_BYTES_MIN && !directory.diskFull) return false
    return this.#bytesMissing(kept) <= (directory.ballast?.bytes ?? 0)
  }

  /** A volume of a TTL goes as a whole when its youngest file has expired. */
  #isExpired(slot: VolumeSlot): boolean {
    const ttlS = ttlSeconds(slot.get(WORD.ttl))
    if (ttlS === 0 || slot.get(WORD.tailUnits) <= 1) return false
    const graceS = Math.min(ttlS * EXPIRY_GRACE_PART, EXPIRY_GRACE_S_MAX)
    return this.#context.clock.nowMs() / 1000 > slot.get(WORD.modifiedS) + ttlS + graceS
  }

  /** Syncs `.dat` and `.idx`, and notes in the sidecar how far they go. */
  async #checkpoint(kept: KeptVolume): Promise<void> {
    const { slot } = kept
    const { disk } = this.#context
    slot.lock()
    const { generation } = slot
    const [datHandle, idxHandle] = [slot.get(WORD.datHandle), slot.get(WORD.idxHandle)]
    const idxEntries = slot.get(WORD.idxEntries)
    const checkpoint = {
      idxEntries,
      lowWaterUnits: slot.lowWaterUnits(),
      tailUnits: slot.get(WORD.tailUnits),
    }
    const state = {
      compactionRevision: slot.get(WORD.compactionRevision),
      appendNsHigh: slot.get(WORD.appendNsHigh),
      appendNsLow: slot.get(WORD.appendNsLow),
      checkpoint,
      previous: kept.sums,
    }
    const pin = slot.pin()
    slot.unlock()
    kept.checkpointedAtMs = this.#context.clock.monotonicMs()
    try {
      const last = kept.sums.checkpoints.at(-1) as Checkpoint
      if (last.idxEntries === idxEntries && last.lowWaterUnits === checkpoint.lowWaterUnits) return
      if (!(await this.#syncFiles(slot, [datHandle, idxHandle]))) return
      // A compaction, or the volume's removal, made other files of them meanwhile.
      if (slot.generation !== generation || this.#volumes.get(slot.get(WORD.volumeId)) !== kept) return
      const directory = this.#context.directories[slot.get(WORD.directory)] as string
      const base = volumeBaseName(slot.collection, slot.get(WORD.volumeId))
      kept.sums = writeCheckpoint(disk, { directory, base, idxHandle }, state)
    } finally {
      slot.unpin(pin)
    }
  }

  /** False when the volume has failed: then nothing may be noted as synced. */
  async #syncFiles(slot: VolumeSlot, handles: number[]): Promise<boolean> {
    if (slot.hasFlag(FLAG.failed)) return false
    try {
      for (const handle of handles) await this.#context.disk.fdatasync(handle)
    } catch (error) {
      slot.setFlag(FLAG.failed)
      throw toStoreError(error)
    }
    return !slot.hasFlag(FLAG.failed)
  }

  /** Writes down, once, that the files are not to be trusted for writes, for the next start to know. */
  #noteSuspect(kept: KeptVolume): void {
    if (kept.info.suspect) return
    this.#log.error(
      { volume: kept.slot.get(WORD.volumeId) },
      'volume failed to write or sync, and takes no more writes',
    )
    this.#writeInfo(kept, { suspect: true })
    this.#changed()
  }

  /** After a compaction the files are new ones, all of Cairn's own writing. */
  #noteNewFiles(kept: KeptVolume): void {
    const { slot, info } = kept
    if (slot.hasFlag(FLAG.failed)) return
    const wasSuspect = info.suspect
    this.#writeInfo(kept, {
      suspect: false,
      compactionRevision: slot.get(WORD.compactionRevision),
      foreignUnits: 0,
    })
    if (wasSuspect && !isClosedForWrites(kept.info)) slot.clearFlag(FLAG.readOnly)
  }

  #writeInfo(kept: KeptVolume, change: Partial<VolumeInfoFile>): void {
    const { slot } = kept
    kept.info = { ...kept.info, ...change }
    const directory = this.#context.directories[slot.get(WORD.directory)] as string
    const name = `${volumeBaseName(slot.collection, slot.get(WORD.volumeId))}${EXTENSION.cairn}`
    replaceFileDurably(this.#context.disk, directory, name, encodeVolumeInfo(kept.info))
  }

  /** Stops writes to a disk that is at its reserve, and lets them go on when there is room again. */
  #watchSpace(): void {
    for (const [number, directory] of this.#directories.entries()) {
      if (directory.failed) continue
      try {
        this.#watchDirectory(number, directory)
      } catch (error) {
        this.#log.error({ directory: directory.path, error: String(error) }, 'space of the disk is unknown')
      }
    }
  }

  #watchDirectory(number: number, directory: KeptDirectory): void {
    const { totalBytes, freeBytes } = this.#context.disk.space(directory.path)
    const reserveBytes = Math.min(RESERVE_BYTES, totalBytes * RESERVE_PART_MAX)
    const wasFull = directory.diskFull
    directory.diskFull = freeBytes < reserveBytes * (wasFull ? RESUME_FACTOR : 1)
    for (const { slot } of this.#volumes.values()) {
      if (slot.get(WORD.directory) !== number) continue
      if (directory.diskFull) slot.setFlag(FLAG.diskFull)
      else slot.clearFlag(FLAG.diskFull)
    }
    if (wasFull !== directory.diskFull) {
      const what = directory.diskFull ? 'disk full: writes wait, deletes go on' : 'disk has room again'
      this.#log.warn({ directory: directory.path, freeBytes }, what)
      this.#changed()
    }
    // Deletes need a little room; the rest of the ballast is for compaction.
    if (freeBytes < reserveBytes / 4) directory.ballast?.release(reserveBytes / 4)
    const matters = totalBytes < SMALL_DISK_BYTES || freeBytes < totalBytes * BALLAST_BELOW_PART
    if (matters) directory.ballast?.grow(BALLAST_STEP_BYTES, reserveBytes * 2)
  }
}

function isFull(slot: VolumeSlot): boolean {
  return slot.get(WORD.tailUnits) >= slot.get(WORD.sizeLimitUnits)
}

function garbageBytes(slot: VolumeSlot): number {
  return Math.max(0, (slot.get(WORD.tailUnits) - 1 - slot.get(WORD.liveUnits)) * 8)
}

/** Collection names become parts of file names. Throws `bad_request`. */
export function checkCollection(name: string): void {
  const bytes = Buffer.byteLength(name)
  const bad = bytes > COLLECTION_BYTES_MAX || name.startsWith('.') || /[/\\\p{Cc}]/u.test(name)
  if (bad) throw new StoreError('bad_request', `bad collection name: ${JSON.stringify(name.slice(0, 64))}`)
}
