/**
 * The first 8 bytes of a `.dat`: version, replica placement, TTL, compaction revision, size of an extra part (always 0).
 * Source: SeaweedFS version 3 volumes; see `docs/formats/volume.md`.
 */
import { StoreError } from '../base/errors.ts'

export const SUPER_BLOCK_BYTES = 8
const VERSION = 3

export interface SuperBlock {
  /** Copies in other data centres, racks, servers as 100x + 10y + z, 0 to 255. */
  replicaPlacement: number
  /** count << 8 | unit, 0 = none. */
  ttl: number
  /** How often the volume was compacted, modulo 65,536. */
  compactionRevision: number
}

export function encodeSuperBlock(block: SuperBlock): Buffer {
  const bytes = Buffer.alloc(SUPER_BLOCK_BYTES)
  bytes[0] = VERSION
  bytes[1] = block.replicaPlacement
  bytes.writeUInt16BE(block.ttl, 2)
  bytes.writeUInt16BE(block.compactionRevision, 4)
  return bytes
}

/** Throws `unsupported` for what Cairn cannot read, `corrupt` for what is no super block. */
export function decodeSuperBlock(bytes: Buffer, path: string): SuperBlock {
  if (bytes.length < SUPER_BLOCK_BYTES) throw new StoreError('corrupt', `${path}: no super block`)
  if (bytes[0] !== VERSION)
    throw new StoreError('unsupported', `${path}: volume version ${bytes[0]}, only 3 is read`)
  if (bytes.readUInt16BE(6) !== 0)
    throw new StoreError('unsupported', `${path}: super block with an extra part`)
  return {
    replicaPlacement: bytes[1] as number,
    ttl: bytes.readUInt16BE(2),
    compactionRevision: bytes.readUInt16BE(4),
  }
}
