/**
 * A file that does nothing but take space, so that a compaction, which gives space back, has room to begin when the disk
 * is full, and deletes have room for their markers. It is written, not only sized, as a sparse file would hold no room.
 */
import type { Disk } from './disk.ts'

const NAME = 'cairn.ballast'
const PIECE_BYTES = 1024 * 1024
/** The ballast takes at most this part of the disk. */
const DISK_PART_MAX = 1 / 24

export class Ballast {
  readonly #disk: Disk
  readonly #directory: string
  readonly #wantedBytes: number
  #bytes: number

  /** Takes over what an earlier process has laid down. Throws the disk's error. */
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

  /** Writes at most `stepBytes` more of it, as long as the disk keeps `spareBytes` free beside. */
  grow(stepBytes: number, spareBytes: number): void {
    const missing = Math.min(stepBytes, this.#wantedBytes - this.#bytes)
    const room = this.#disk.space(this.#directory).freeBytes - spareBytes
    if (missing <= 0 || room < missing) return
    const handle = this.#disk.open(this.#path, this.#disk.stat(this.#path) === undefined ? 'w+' : 'r+')
    try {
      const piece = Buffer.alloc(PIECE_BYTES, 0xca)
      for (let left = missing; left > 0; left -= PIECE_BYTES) {
        const count = Math.min(left, PIECE_BYTES)
        this.#disk.writeSync(handle, piece, 0, count, this.#bytes)
        this.#bytes += count
      }
    } finally {
      this.#disk.close(handle)
    }
  }

  /** Gives `bytes` of it, rounded up to whole ones, back to the disk, or what there is. */
  release(bytes: number): void {
    if (this.#bytes === 0) return
    this.#bytes = Math.max(0, this.#bytes - Math.ceil(bytes))
    const handle = this.#disk.open(this.#path, 'r+')
    try {
      this.#disk.truncateSync(handle, this.#bytes)
    } finally {
      this.#disk.close(handle)
    }
  }
}
