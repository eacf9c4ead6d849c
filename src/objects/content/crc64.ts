/**
 * CRC-64/NVME: polynomial 0xad93d23594c93659 reflected, start and end all ones. Sixteen bytes at a step, by tables of two
 * 32-bit halves: BigInt would be a hundred times slower.
 */

const POLYNOMIAL_LOW = 0xac4bc9b5
const POLYNOMIAL_HIGH = 0x9a6c9329
const STEP_BYTES = 16

interface Tables {
  low: Int32Array
  high: Int32Array
}

/** Filled by the first use: nothing is computed where nobody asks for this checksum. */
const made: { tables?: Tables } = {}

function makeTables(): Tables {
  const low = new Int32Array(STEP_BYTES * 256)
  const high = new Int32Array(STEP_BYTES * 256)
  for (let byte = 0; byte < 256; byte++) {
    let [l, h] = [byte, 0]
    for (let bit = 0; bit < 8; bit++) {
      const carry = l & 1
      l = (l >>> 1) | ((h & 1) << 31)
      h >>>= 1
      if (carry === 1) {
        l ^= POLYNOMIAL_LOW
        h ^= POLYNOMIAL_HIGH
      }
    }
    low[byte] = l
    high[byte] = h
  }
  for (let at = 256; at < STEP_BYTES * 256; at++) {
    const [l, h] = [low[at - 256]!, high[at - 256]!]
    low[at] = ((l >>> 8) | (h << 24)) ^ low[l & 255]!
    high[at] = (h >>> 8) ^ high[l & 255]!
  }
  return { low, high }
}

/** One running CRC-64/NVME. */
export class Crc64 {
  readonly #tables: Tables
  #low = -1
  #high = -1

  constructor() {
    made.tables ??= makeTables()
    this.#tables = made.tables
  }

  update(bytes: Buffer): void {
    const { low, high } = this.#tables
    let [l, h] = [this.#low, this.#high]
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const whole = bytes.length - (bytes.length % STEP_BYTES)
    let at = 0
    for (; at < whole; at += STEP_BYTES) {
      const a = l ^ view.getInt32(at, true)
      const b = h ^ view.getInt32(at + 4, true)
      const c = view.getInt32(at + 8, true)
      const d = view.getInt32(at + 12, true)
      l =
        low[3840 + (a & 255)]! ^
        low[3584 + ((a >>> 8) & 255)]! ^
        low[3328 + ((a >>> 16) & 255)]! ^
        low[3072 + (a >>> 24)]! ^
        low[2816 + (b & 255)]! ^
        low[2560 + ((b >>> 8) & 255)]! ^
        low[2304 + ((b >>> 16) & 255)]! ^
        low[2048 + (b >>> 24)]! ^
        low[1792 + (c & 255)]! ^
        low[1536 + ((c >>> 8) & 255)]! ^
        low[1280 + ((c >>> 16) & 255)]! ^
        low[1024 + (c >>> 24)]! ^
        low[768 + (d & 255)]! ^
        low[512 + ((d >>> 8) & 255)]! ^
        low[256 + ((d >>> 16) & 255)]! ^
        low[d >>> 24]!
      h =
        high[3840 + (a & 255)]! ^
        high[3584 + ((a >>> 8) & 255)]! ^
        high[3328 + ((a >>> 16) & 255)]! ^
        high[3072 + (a >>> 24)]! ^
        high[2816 + (b & 255)]! ^
        high[2560 + ((b >>> 8) & 255)]! ^
        high[2304 + ((b >>> 16) & 255)]! ^
        high[2048 + (b >>> 24)]! ^
        high[1792 + (c & 255)]! ^
        high[1536 + ((c >>> 8) & 255)]! ^
        high[1280 + ((c >>> 16) & 255)]! ^
        high[1024 + (c >>> 24)]! ^
        high[768 + (d & 255)]! ^
        high[512 + ((d >>> 8) & 255)]! ^
        high[256 + ((d >>> 16) & 255)]! ^
        high[d >>> 24]!
    }
    for (; at < bytes.length; at++) {
      const index = (l ^ bytes[at]!) & 255
      l = ((l >>> 8) | (h << 24)) ^ low[index]!
      h = (h >>> 8) ^ high[index]!
    }
    this.#low = l
    this.#high = h
  }

  /** The checksum so far: 8 bytes, big-endian. */
  digest(): Buffer {
    const result = Buffer.allocUnsafe(8)
    result.writeInt32BE(~this.#high, 0)
    result.writeInt32BE(~this.#low, 4)
    return result
  }
}
