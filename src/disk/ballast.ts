/**
 * A file that does nothing but take space, so that a compaction, which gives space back, has room to begin when the disk
 * is full. It is written, not only sized, as a sparse file would hold no room.
 */
import type { Disk } from './disk.ts'

const NAME = 'cairn.ballast'
const STEP_BYTES = 1024 * 1024
/** The ballast takes at most this part of the disk. */
const DISK_PART_MAX = 1 / 50

export class Ballast {
  readonly #disk: Disk
  readonly #directory: string
  readonly #wantedBytes: number
  #bytes = 0

  constructor(disk: Disk, directory: string, wantedBytes: number) {
    this.#disk = disk
    this.#directory = directory
    const { totalBytes } = disk.space(directory)
    this.#wantedBytes = Math.min(wantedBytes, Math.floor(totalBytes * DISK_PART_MAX))
    this.#bytes = disk.stat(this.#path)?.sizeBytes ?? 0
  }

  get #path(): string {
    return `${this.#directory}/${NAME}`
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Writes up to `stepBytes` more of it, while the disk keeps `spareBytes` free beside. True when nothing is left to do. */
  grow(stepBytes: number, spareBytes: number): boolean {
    const missing = this.#wantedBytes - this.#bytes
    if (missing <= 0) return true
    if (this.#disk.space(this.#directory).freeBytes < spareBytes + stepBytes) return false
    const handle = this.#disk.open(this.#path, this.#disk.stat(this.#path) === undefined ? 'w+' : 'r+')
    try {
      const zeros = Buffer.alloc(STEP_BYTES, 0xca)
      for (let left = Math.min(stepBytes, missing); left > 0; left -= STEP_BYTES) {
        const count = Math.min(left, STEP_BYTES)
        this.#disk.writeSync(handle, zeros, 0, count, this.#bytes)
        this.#bytes += count
      }
    } catch {
      return false
    } finally {
      this.#disk.close(handle)
    }
    return this.#bytes >= this.#wantedBytes
  }

  /** Gives all of it back to the disk. */
  release(): void {
    if (this.#bytes === 0) return
    this.#disk.removeSync(this.#path)
    this.#bytes = 0
  }
}
