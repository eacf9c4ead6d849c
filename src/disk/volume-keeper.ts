/**
 * The keeper of one process's volumes: opens, makes, removes and compacts them, writes their checkpoints, and watches the
 * disks' space. One thread runs it; other threads read and write volumes by themselves, through the shared table.
 */
import { isErasure } from '../base/erasure-id.ts'
import { StoreError, toStoreError } from '../base/errors.ts'
import * as limits from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import { compactVolume } from './compaction.ts'
import { CompactionPace } from './compaction-pace.ts'
import { createVolumeFiles, removeVolumeFiles } from './create-volume.ts'
import { DataDirectory } from './data-directory.ts'
import { KeptVolume, unopenedStatus } from './kept-volume.ts'
import { coverAbandoned } from './large-write.ts'
import { type OpenReport, openVolume } from './open-volume.ts'
import { setVolumeAside } from './set-aside.ts'
import type { ThreadContext } from './thread-context.ts'
import type { DirectoryInfo, NewVolume, StoreStatus, VolumeAdmin } from './volume-admin.ts'
import { VolumeAdoption } from './volume-adoption.ts'
import { type CopyHost, VolumeCopies } from './volume-copies.ts'
import { isClosedForWrites, type VolumeInfoFile } from './volume-info.ts'
import { EXTENSION, parseDatName, volumeBaseName } from './volume-paths.ts'
import { COLLECTION_BYTES_MAX, FLAG, STATE, WORD } from './volume-table.ts'

/** How often the keeper looks after its volumes and disks. */
export const KEEPER_PERIOD_MS = 1000
/** A volume that was written to and then left alone for so long gets a checkpoint, so that a restart reads little. */
const IDLE_CHECKPOINT_MS = 10_000
/** What a compaction needs beside the live records. */
const COMPACTION_SPARE_BYTES = 256 * 1024
/** A volume is compacted by itself only when it is worth it. */
const COMPACT_GARBAGE_BYTES_MIN = 1024 * 1024
/** A volume whose files are overwritten all the time rests for so many times as long as its last compaction took, … */
const COMPACTION_REST = 20
/** … and is not compacted while so much comes to it a second: most of what is copied then is copied again, … */
const COMPACTION_INFLOW_BYTES_MAX = 4 * 1024 * 1024
/** … unless it has so much more garbage than files. */
const COMPACTION_REST_GARBAGE_BYTES = 1024 * 1024 * 1024

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
  /** Those of the directories that are for volumes of erasure groups; they are on the disk of another directory. */
  shardDirectories?: readonly string[]
}

/** A volume whose files are there but could not be opened. Its id is taken all the same. */
interface UnopenedVolume {
  collection: string
  directory: string
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
  readonly #directories: DataDirectory[]
  readonly #onChange: (() => void)[] = []
  #stopTimer: (() => void) | undefined
  #caring: Promise<void> | undefined
  #collecting: Promise<void> | undefined
  readonly #compactions = new Set<Promise<unknown>>()
  #stopping = false

  constructor(context: ThreadContext, options: KeeperOptions) {
    this.#context = context
    this.#options = options
    this.#log = options.log
    const { ballastBytes, volumesPerDirectoryMax: volumesMax, shardDirectories = [], log } = options
    this.#directories = context.directories.map((path, number) => {
      const forShards = shardDirectories.includes(path)
      return new DataDirectory(context, {
        ...{ number, volumesMax, log, forShards },
        ballastBytes: forShards ? 0 : ballastBytes,
      })
    })
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
    for (const directory of this.#directories) {
      try {
        directory.open()
        // On a full disk the ballast gives the room that opening takes.
        directory.watch()
        this.#openDirectory(directory)
      } catch (error) {
        directory.fail(error)
        this.#context.table.noteIncomplete()
      }
    }
    this.copies.removeLeftovers()
    this.#watchSpace()
  }

  /** Looks after volumes and disks from now on. */
  start(): void {
    void this.#answerCalls()
    this.#stopTimer = this.#context.clock.every(KEEPER_PERIOD_MS, () => {
      this.#caring ??= this.#care().finally(() => {
        this.#caring = undefined
      })
      // Beside it: a compaction may take long, and disks fill meanwhile.
      this.#collecting ??= this.#collectGarbage().finally(() => {
        this.#collecting = undefined
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
    if (kept.toldFull === kept.isFull) return
    kept.toldFull = !kept.toldFull
    this.#changed()
  }

  /** Checkpoints everything and closes the files. No thread may use the volumes any more. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#stopTimer?.()
    await this.#caring
    await this.#collecting
    await Promise.allSettled(this.#compactions)
    for (const kept of this.#volumes.values()) {
      try {
        await kept.checkpoint()
      } catch (error) {
        this.#log.error({ volume: kept.id, error: String(error) }, 'last checkpoint failed')
      }
      kept.closeFiles()
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

  #openDirectory(directory: DataDirectory): void {
    for (const name of this.#context.disk.list(directory.path).sort()) {
      const parsed = parseDatName(name)
      if (parsed === undefined) continue
      const { volumeId: volume, collection } = parsed
      const where = { volume, directory: directory.path }
      if (this.#volumes.has(volume)) {
        this.#log.error(where, 'a second copy of a volume is left out')
        continue
      }
      try {
        this.#openVolume(directory.number, parsed)
      } catch (error) {
        const { code, message } = toStoreError(error)
        this.#log.error({ ...where, code }, `volume not opened: ${message}`)
        if (code === 'corrupt' && isErasure(volume)) this.#setAside(volume, { collection, ...where })
        else this.#noteUnopened(volume, { collection, ...where })
      }
    }
  }

  /** What it held is had from the rest of its group. */
  #setAside(volume: number, { collection, directory }: UnopenedVolume): void {
    setVolumeAside(this.#context.disk, directory, volumeBaseName(collection, volume))
    this.#log.warn({ volume, directory }, 'its files are set aside: it is made anew from the other volumes')
  }

  /** From here on every thread answers with an error instead of "there is none". */
  #noteUnopened(id: number, where: UnopenedVolume): void {
    const { table } = this.#context
    this.#unopened.set(id, where)
    const slot = table.take()
    slot.set(WORD.volumeId, id)
    slot.set(WORD.state, STATE.unopened)
    table.bumpVersion()
  }

  #openVolume(number: number, name: { collection: string; volumeId: number }): KeptVolume {
    const directory = this.#directories[number] as DataDirectory
    const opened = openVolume(this.#context, {
      directory: number,
      ...name,
      sizeLimitBytes: directory.volumeSizeLimitBytes(this.#options.volumeSizeLimitBytes),
      random: this.#options.random,
    })
    const kept = new KeptVolume(this.#context, opened)
    this.#volumes.set(name.volumeId, kept)
    this.#logOpened(name.volumeId, opened.report)
    return kept
  }

  #logOpened(volume: number, report: OpenReport): void {
    const healed =
      report.bytesTruncated + report.holesFilled + report.indexBlocksRebuilt + report.recordsDamaged > 0
    if (healed) this.#log.warn({ volume, ...report }, 'volume opened and healed')
    else this.#log.debug({ volume, ...report }, 'volume opened')
  }

  // VolumeAdmin

  async createVolume(volume: NewVolume): Promise<void> {
    const { id, collection, replicaPlacement, ttl, filling } = volume
    checkCollection(collection)
    this.#assertUnknown(id)
    const number = this.#pickDirectory(volume.directory)
    const directory = (this.#directories[number] as DataDirectory).path
    try {
      const files = { directory, collection, volumeId: id, replicaPlacement, ttl, filling }
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

  /** The directory that is named, or the working one with the fewest volumes, so that several disks share the load. */
  #pickDirectory(named: string | undefined): number {
    const usable = this.#directories.filter(
      ({ failed, path, forShards }) => !failed && (named === undefined ? !forShards : path === named),
    )
    if (usable.length === 0) throw new StoreError('no_writable_volume', 'no such data directory works')
    const withRoom = usable.filter((directory) => !directory.diskFull)
    if (withRoom.length === 0) throw new StoreError('disk_full', 'no space left in any data directory')
    const counted = withRoom.map(({ number }) => ({ number, count: this.#volumesIn(number) }))
    const [first] = counted.sort((a, b) => a.count - b.count)
    if (first === undefined || first.count >= this.#options.volumesPerDirectoryMax) {
      throw new StoreError('no_writable_volume', 'every data directory has its most volumes')
    }
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
    const { directory, base } = kept
    try {
      removeVolumeFiles(this.#context.disk, directory, base)
      this.#log.info({ volume: id }, 'volume removed')
    } catch (error) {
      this.#noteUnopened(id, { collection: slot.collection, directory })
      throw toStoreError(error)
    } finally {
      kept.release()
      this.#changed()
    }
  }

  /**
   * Lets go of a volume whose `.dat` is not in its directory any more, so that it can be made anew. What is open of it is
   * lost. Only for volumes whose content can be had elsewhere. Throws `io_error` when the directory cannot be looked at.
   */
  async dropIfVanished(id: number): Promise<void> {
    const kept = this.#kept(id)
    const { disk } = this.#context
    if (kept.busy || disk.stat(`${kept.directory}/${kept.base}${EXTENSION.dat}`) !== undefined) return
    this.#log.error({ volume: id, directory: kept.directory }, 'the files of a volume are gone')
    disk.mkdirSync(kept.directory)
    await this.deleteVolume(id)
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

  /** A member of an erasure group has got all of its shards. Throws `volume_not_found`, `io_error`. */
  noteFilled(id: number): void {
    const kept = this.#kept(id)
    this.#changeInfo(kept, { filling: false })
    kept.slot.clearFlag(FLAG.filling)
  }

  /**
   * What `.cairn` then says decides whether the volume takes writes. Closing comes before the disk, and holds where the disk cannot note
   * it; opening comes after. Throws the disk's error.
   */
  #changeInfo(kept: KeptVolume, change: Partial<VolumeInfoFile>): void {
    if (isClosedForWrites({ ...kept.info, ...change })) kept.slot.setFlag(FLAG.readOnly)
    kept.writeInfo(change)
    if (!isClosedForWrites(kept.info)) kept.slot.clearFlag(FLAG.readOnly)
    this.#changed()
  }

  async #settle(kept: KeptVolume): Promise<void> {
    coverAbandoned(this.#context, kept.slot, kept.index())
    await kept.checkpoint()
    if (kept.failed) throw new StoreError('io_error', 'the volume could not be synced')
  }

  async compactVolume(
    id: number,
    garbageThreshold: number,
    isUrgent = true,
  ): Promise<{ compacted: boolean; garbageRatio: number }> {
    const kept = this.#kept(id)
    const garbage = kept.garbageBytes
    const garbageRatio = garbage / Math.max(1, kept.sizeBytes)
    const wanted = kept.info.suspect || (garbage > 0 && garbageRatio >= garbageThreshold)
    if (!wanted) return { compacted: false, garbageRatio }
    if (kept.info.moving) throw new StoreError('conflict', `volume ${id} is being moved`)
    if (kept.busy) throw new StoreError('conflict', `volume ${id} is being compacted`)
    kept.busy = true
    const compaction = this.#compact(kept, isUrgent)
    this.#compactions.add(compaction)
    try {
      await compaction
    } finally {
      this.#compactions.delete(compaction)
      kept.busy = false
    }
    return { compacted: true, garbageRatio }
  }

  async #compact(kept: KeptVolume, isUrgent: boolean): Promise<void> {
    const { slot, id: volume } = kept
    const directory = this.#directoryOf(kept)
    const { clock } = this.#context
    const pace = new CompactionPace(clock, isUrgent)
    try {
      const neededBytes = kept.liveBytes + COMPACTION_SPARE_BYTES
      if (!directory.hasRoomFor(neededBytes)) {
        throw new StoreError('disk_full', `volume ${volume} has no room to be compacted`)
      }
      directory.makeRoomFor(neededBytes)
      const result = await compactVolume(this.#context, { slot, salt: kept.info.salt }, (mayRest) =>
        this.#breathe(pace, mayRest),
      )
      kept.sums = result.sums
      const { sums: _, ...figures } = result
      this.#log.info({ volume, ...figures }, 'volume compacted')
      this.#noteNewFiles(kept)
      this.#changed()
    } catch (error) {
      const failure = toStoreError(error)
      if (this.#stopping) this.#log.info({ volume }, 'compaction left for the next start')
      else this.#log.error({ volume, code: failure.code }, `compaction failed: ${failure.message}`)
      throw failure
    } finally {
      kept.restsUntilMs = clock.monotonicMs() + COMPACTION_REST * pace.workedMs
    }
  }

  #directoryOf(kept: KeptVolume): DataDirectory {
    return this.#directories[kept.slot.get(WORD.directory)] as DataDirectory
  }

  /** Between the steps of a compaction: gives the thread to others, and ends it when the server stops. */
  async #breathe(pace: CompactionPace, mayRest: boolean): Promise<void> {
    await pace.pause(mayRest)
    if (this.#stopping) throw new StoreError('unavailable', 'the server stops')
  }

  async status(): Promise<StoreStatus> {
    const opened = [...this.#volumes.values()].map((kept) => kept.status())
    const unopened = [...this.#unopened].map(([id, where]) => unopenedStatus(id, where))
    return { directories: this.#directoryInfos(), volumes: [...opened, ...unopened] }
  }

  #directoryInfos(): DirectoryInfo[] {
    return this.#directories.map((directory) => directory.info(this.#volumesIn(directory.number)))
  }

  #kept(id: number): KeptVolume {
    const kept = this.#volumes.get(id)
    if (kept === undefined) throw new StoreError('volume_not_found', `volume ${id} is not here`)
    return kept
  }

  // Looking after

  /** One round of all: space, checkpoints, expired volumes, then garbage. */
  async tend(): Promise<void> {
    await this.#care()
    await this.#collectGarbage()
  }

  async #care(): Promise<void> {
    this.#watchSpace()
    await this.#eachVolume((id, kept) => this.#careFor(id, kept))
  }

  /** Those with the least to copy first: each that is done makes room for the next. */
  async #collectGarbage(): Promise<void> {
    await this.#eachVolume(async (id, kept) => {
      if (kept.failed || kept.busy || !this.#isWorthCompacting(kept)) return
      await this.compactVolume(id, this.#options.garbageThreshold, this.#needsRoom(kept))
    })
  }

  /** By their live bytes. One that fails is logged, and the others go on. */
  async #eachVolume(work: (id: number, kept: KeptVolume) => Promise<void>): Promise<void> {
    const byLiveBytes = [...this.#volumes].sort((a, b) => a[1].liveBytes - b[1].liveBytes)
    for (const [id, kept] of byLiveBytes) {
      if (this.#stopping) return
      if (this.#volumes.get(id) !== kept) continue
      try {
        await work(id, kept)
      } catch (error) {
        if (this.#stopping) return
        const { code, message } = toStoreError(error)
        this.#log.error({ volume: id, code }, `care of the volume failed: ${message}`)
      }
    }
  }

  async #careFor(id: number, kept: KeptVolume): Promise<void> {
    if (kept.failed) return this.#noteSuspect(kept)
    if (kept.busy) return
    if (kept.isExpired()) return this.deleteVolume(id)
    this.#tellIfFull(kept)
    kept.noteInflow()
    coverAbandoned(this.#context, kept.slot, kept.index())
    const newBytes = kept.uncoveredBytes
    const idleMs = this.#context.clock.monotonicMs() - kept.checkpointedAtMs
    if (newBytes >= limits.CHECKPOINT_DAT_BYTES || (newBytes > 0 && idleMs > IDLE_CHECKPOINT_MS)) {
      await kept.checkpoint()
    }
  }

  #isWorthCompacting(kept: KeptVolume): boolean {
    const garbage = kept.garbageBytes
    const directory = this.#directoryOf(kept)
    if (kept.slot.hasFlag(FLAG.readOnly) || garbage < this.#options.garbageThreshold * kept.sizeBytes)
      return false
    if (garbage < COMPACT_GARBAGE_BYTES_MIN && !directory.diskFull) return false
    if (this.#rests(kept) && !this.#needsRoom(kept)) return false
    return directory.hasRoomFor(kept.liveBytes + COMPACTION_SPARE_BYTES)
  }

  #rests({ restsUntilMs, inflowBytesPerSecond }: KeptVolume): boolean {
    const { clock } = this.#context
    return clock.monotonicMs() < restsUntilMs || inflowBytesPerSecond > COMPACTION_INFLOW_BYTES_MAX
  }

  /** Then others wait for the compaction rather than it for them. */
  #needsRoom(kept: KeptVolume): boolean {
    const { garbageBytes, liveBytes } = kept
    if (kept.isFull || garbageBytes >= liveBytes + COMPACTION_REST_GARBAGE_BYTES) return true
    return !this.#directoryOf(kept).hasRoomFor(garbageBytes)
  }

  /** Writes down, once, that the files are not to be trusted for writes, for the next start to know. */
  #noteSuspect(kept: KeptVolume): void {
    if (kept.info.suspect) return
    this.#log.error({ volume: kept.id }, 'volume failed to write or sync, and takes no more writes')
    kept.writeInfo({ suspect: true })
    this.#changed()
  }

  /** After a compaction the files are new ones, all of Cairn's own writing. */
  #noteNewFiles(kept: KeptVolume): void {
    const { slot, info } = kept
    if (slot.hasFlag(FLAG.failed)) return
    const wasSuspect = info.suspect
    kept.writeInfo({
      suspect: false,
      keepsRest: undefined,
      compactionRevision: slot.get(WORD.compactionRevision),
      foreignUnits: 0,
    })
    if (wasSuspect && !isClosedForWrites(kept.info)) slot.clearFlag(FLAG.readOnly)
  }

  /** Stops writes to disks that are at their reserve, and lets them go on when there is room again. */
  #watchSpace(): void {
    for (const directory of this.#directories) {
      const changed = directory.watch()
      for (const { slot } of this.#volumes.values()) {
        if (slot.get(WORD.directory) !== directory.number) continue
        if (directory.diskFull) slot.setFlag(FLAG.diskFull)
        else slot.clearFlag(FLAG.diskFull)
      }
      if (changed) this.#changed()
    }
  }
}

/** Collection names become parts of file names. Throws `bad_request`. */
export function checkCollection(name: string): void {
  const bytes = Buffer.byteLength(name)
  const bad = bytes > COLLECTION_BYTES_MAX || name.startsWith('.') || /[/\\\p{Cc}]/u.test(name)
  if (bad) throw new StoreError('bad_request', `bad collection name: ${JSON.stringify(name.slice(0, 64))}`)
}
