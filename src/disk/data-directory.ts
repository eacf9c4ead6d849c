/** One data directory: its space, its ballast, and whether it takes writes. */
import type { Log } from '../base/log.ts'
import { Ballast } from './ballast.ts'
import type { ThreadContext } from './thread-context.ts'
import type { DirectoryInfo } from './volume-admin.ts'

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

export interface DataDirectoryOptions {
  /** Its place in the thread context. */
  number: number
  ballastBytes: number
  volumesMax: number
  /** Nothing but volumes of erasure groups is put here. */
  forShards: boolean
  log: Log
}

export class DataDirectory {
  readonly path: string
  readonly number: number
  readonly forShards: boolean
  /** The disk does not answer: nothing new is put here. */
  failed = false
  diskFull = false
  readonly #context: ThreadContext
  readonly #options: DataDirectoryOptions
  #ballast: Ballast | undefined
  /** It failed while it was watched, and is used again when it can be. */
  #isAway = false

  constructor(context: ThreadContext, options: DataDirectoryOptions) {
    this.path = context.directories[options.number] as string
    this.number = options.number
    this.forShards = options.forShards
    this.#context = context
    this.#options = options
  }

  /** Makes it if it is missing. Throws the disk's error. */
  open(): void {
    this.#context.disk.mkdirSync(this.path)
    this.#ballast = new Ballast(this.#context.disk, this.path, this.#options.ballastBytes)
  }

  fail(error: unknown): void {
    this.failed = true
    this.#options.log.error({ directory: this.path, error: String(error) }, 'data directory failed')
  }

  /** The size above which a volume here gets no new files, when `wantedBytes` is configured. Throws the disk's error. */
  volumeSizeLimitBytes(wantedBytes: number): number {
    const partBytes = this.#context.disk.space(this.path).totalBytes * VOLUME_DISK_PART_MAX
    return Math.min(wantedBytes, Math.max(partBytes, VOLUME_SIZE_LIMIT_BYTES_MIN))
  }

  /** Whether `bytes` could be made free at once. Throws the disk's error. */
  hasRoomFor(bytes: number): boolean {
    return this.#bytesMissing(bytes) <= (this.#ballast?.bytes ?? 0)
  }

  /** Gives up as much of the ballast as `bytes` of room need. Throws the disk's error. */
  makeRoomFor(bytes: number): void {
    const missing = this.#bytesMissing(bytes)
    if (missing > 0) this.#ballast?.release(missing)
  }

  #bytesMissing(bytes: number): number {
    return bytes - this.#context.disk.space(this.path).freeBytes
  }

  /** Looks at the space. True when the disk became full, or has room again, or when it failed or works again. */
  watch(): boolean {
    if (this.failed && !this.#isAway) return false
    const wasFull = this.diskFull
    try {
      this.#watch()
    } catch (error) {
      if (this.#isAway) return false
      this.#isAway = true
      this.fail(error)
      return true
    }
    if (!this.#isAway) return wasFull !== this.diskFull
    this.#isAway = false
    this.failed = false
    this.#options.log.info({ directory: this.path }, 'data directory is back')
    return true
  }

  #watch(): void {
    const { totalBytes, freeBytes } = this.#context.disk.space(this.path)
    const reserveBytes = Math.min(RESERVE_BYTES, totalBytes * RESERVE_PART_MAX)
    const wasFull = this.diskFull
    this.diskFull = freeBytes < reserveBytes * (wasFull ? RESUME_FACTOR : 1)
    if (wasFull !== this.diskFull) {
      const what = this.diskFull ? 'disk full: writes wait, deletes go on' : 'disk has room again'
      this.#options.log.warn({ directory: this.path, freeBytes }, what)
    }
    // Deletes need a little room; the rest of the ballast is for compaction.
    if (freeBytes < reserveBytes / 4) this.#ballast?.release(reserveBytes / 4)
    const matters = totalBytes < SMALL_DISK_BYTES || freeBytes < totalBytes * BALLAST_BELOW_PART
    if (matters) this.#growBallast(reserveBytes * 2)
  }

  #growBallast(spareBytes: number): void {
    try {
      this.#ballast?.grow(BALLAST_STEP_BYTES, spareBytes)
    } catch {
      // Somebody else took the room; the next look tries again.
    }
  }

  info(volumeCount: number): DirectoryInfo {
    const { path, forShards } = this
    const common = { path, forShards, volumeCount, volumeCountMax: this.#options.volumesMax }
    try {
      return { ...common, ...this.#context.disk.space(this.path), failed: this.failed }
    } catch {
      return { ...common, totalBytes: 0, freeBytes: 0, failed: true }
    }
  }
}
