/**
 * A small blob that the commit which names it carries along: `docs/formats/metadata.md`. It is as durable as its name at once, and its volume
 * may be synced later, for many blobs together.
 */
import { StoreError } from './errors.ts'

export interface CarriedBlob {
  volumeId: number
  keyHigh: number
  keyLow: number
  cookie: number
  /** As the volume stores it. */
  data: Buffer
}

const HEAD_BYTES = 20

/** Volume u32, key u64, cookie u32, length u32, all big-endian, and the bytes. Memory of its own. */
export function packCarriedBlob({ volumeId, keyHigh, keyLow, cookie, data }: CarriedBlob): Buffer {
  const packed = Buffer.allocUnsafe(HEAD_BYTES + data.length)
  packed.writeUInt32BE(volumeId, 0)
  packed.writeUInt32BE(keyHigh, 4)
  packed.writeUInt32BE(keyLow, 8)
  packed.writeUInt32BE(cookie, 12)
  packed.writeUInt32BE(data.length, 16)
  data.copy(packed, HEAD_BYTES)
  return packed
}

/** Of many, one behind the other. Throws `corrupt`. */
export function* unpackCarriedBlobs(packed: Buffer): Generator<CarriedBlob> {
  for (let at = 0; at < packed.length; ) {
    const start = at + HEAD_BYTES
    const end = start <= packed.length ? start + packed.readUInt32BE(at + 16) : start
    if (end > packed.length) throw new StoreError('corrupt', 'a row of carried blobs is cut off')
    yield {
      volumeId: packed.readUInt32BE(at),
      keyHigh: packed.readUInt32BE(at + 4),
      keyLow: packed.readUInt32BE(at + 8),
      cookie: packed.readUInt32BE(at + 12),
      data: packed.subarray(start, end),
    }
    at = end
  }
}
