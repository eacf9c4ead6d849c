/**
 * The content of benchmark files: 16 bytes that name the file, then a fixed stretch of noise. So a reader knows what
 * must come without keeping it, a file given out under another's id is noticed, and nothing compresses.
 */
import type { Fid } from '../base/fid.ts'
import { seededRandom } from '../base/random.ts'

const STAMP_BYTES = 16
const NOISE_SEED = 20_050_825
/** The noise repeats after this many bytes, an odd number, so that no two blocks of a file are equal. */
const NOISE_PERIOD_BYTES = 1_048_583

export class Payload {
  /** A buffer of the right size whose first 16 bytes are any file's. */
  readonly #template: Buffer
  readonly #stamp = Buffer.alloc(STAMP_BYTES)

  constructor(sizeBytes: number) {
    const noise = seededRandom(NOISE_SEED).bytes(Math.min(sizeBytes, NOISE_PERIOD_BYTES))
    this.#template = Buffer.allocUnsafeSlow(sizeBytes)
    for (let at = 0; at < sizeBytes; at += noise.length) noise.copy(this.#template, at)
  }

  get sizeBytes(): number {
    return this.#template.length
  }

  /** Copies the whole content without a stamp. */
  copyTo(target: Buffer, at: number): void {
    this.#template.copy(target, at)
  }

  /** Writes the stamp of a file over the beginning of its content. */
  stamp(target: Buffer, at: number, fid: Fid): void {
    writeStamp(this.#stamp, fid)
    this.#stamp.copy(target, at, 0, Math.min(STAMP_BYTES, this.#template.length))
  }

  /** Whether these are the bytes that were written for this id. */
  matches(content: Buffer, fid: Fid): boolean {
    if (content.length !== this.#template.length) return false
    writeStamp(this.#stamp, fid)
    const stamped = Math.min(STAMP_BYTES, content.length)
    if (this.#stamp.compare(content, 0, stamped, 0, stamped) !== 0) return false
    return this.#template.compare(content, stamped, content.length, stamped) === 0
  }
}

function writeStamp(stamp: Buffer, fid: Fid): void {
  stamp.writeUInt32BE(fid.keyLow, 0)
  stamp.writeUInt32BE(fid.cookie, 4)
  stamp.writeUInt32BE(fid.keyHigh, 8)
  stamp.writeUInt32BE(fid.volumeId, 12)
}
