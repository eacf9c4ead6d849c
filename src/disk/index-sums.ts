/**
 * `<volume>.sums`, the sidecar of `.idx`: a CRC32C for each 4 KiB of `.idx`, and checkpoints, each of which says how much of
 * `.dat` a prefix of `.idx` covers. It is replaced whole, so it is either the old one or the new. Missing or damaged, it
 * costs a full scan of `.dat` and nothing else. Format: `docs/formats/volume.md`.
 */
import { crc32c } from '../base/checksum.ts'
import { INDEX_BLOCK_BYTES } from '../base/limits.ts'
import { IDX_ENTRY_BYTES } from './idx-entry.ts'

const MAGIC = 0x43534d31
const HEADER_BYTES = 24
const CHECKPOINT_BYTES = 12
/** More checkpoints than this are thinned out: any of them may go, the last excepted. */
const CHECKPOINTS_MAX = 1024

export const ENTRIES_PER_BLOCK = INDEX_BLOCK_BYTES / IDX_ENTRY_BYTES

export interface Checkpoint {
  /** The first so many entries of `.idx`, which are synced … */
  idxEntries: number
  /** … include every record below this place of `.dat` … */
  lowWaterUnits: number
  /** … and none at or behind this one. */
  tailUnits: number
}

export interface IndexSums {
  compactionRevision: number
  /** The largest append time in the volume. */
  appendNsHigh: number
  appendNsLow: number
  /** Oldest first; never empty. */
  checkpoints: Checkpoint[]
  /** CRC32C of each block of the covered prefix; the last block may be a part of one. */
  blockChecksums: number[]
}

export function encodeSums(sums: IndexSums): Buffer {
  const { checkpoints, blockChecksums } = sums
  const bytes = Buffer.alloc(
    HEADER_BYTES + checkpoints.length * CHECKPOINT_BYTES + blockChecksums.length * 4 + 4,
  )
  let at = bytes.writeUInt32BE(MAGIC, 0)
  at = bytes.writeUInt32BE(sums.compactionRevision, at)
  at = bytes.writeUInt32BE(sums.appendNsHigh, at)
  at = bytes.writeUInt32BE(sums.appendNsLow, at)
  at = bytes.writeUInt32BE(checkpoints.length, at)
  at = bytes.writeUInt32BE(blockChecksums.length, at)
  for (const checkpoint of checkpoints) {
    at = bytes.writeUInt32BE(checkpoint.idxEntries, at)
    at = bytes.writeUInt32BE(checkpoint.lowWaterUnits, at)
    at = bytes.writeUInt32BE(checkpoint.tailUnits, at)
  }
  for (const checksum of blockChecksums) at = bytes.writeUInt32BE(checksum, at)
  bytes.writeUInt32BE(crc32c(bytes.subarray(0, at)), at)
  return bytes
}

/** Undefined when the bytes are not a whole, undamaged sidecar. */
export function decodeSums(bytes: Buffer): IndexSums | undefined {
  if (bytes.length < HEADER_BYTES + 4 || bytes.readUInt32BE(0) !== MAGIC) return undefined
  const end = bytes.length - 4
  if (crc32c(bytes.subarray(0, end)) !== bytes.readUInt32BE(end)) return undefined
  const [checkpointCount, blockCount] = [bytes.readUInt32BE(16), bytes.readUInt32BE(20)]
  if (HEADER_BYTES + checkpointCount * CHECKPOINT_BYTES + blockCount * 4 !== end || checkpointCount === 0)
    return undefined
  const checkpoints: Checkpoint[] = []
  let at = HEADER_BYTES
  for (let i = 0; i < checkpointCount; i++, at += CHECKPOINT_BYTES) {
    checkpoints.push({
      idxEntries: bytes.readUInt32BE(at),
      lowWaterUnits: bytes.readUInt32BE(at + 4),
      tailUnits: bytes.readUInt32BE(at + 8),
    })
  }
  const blockChecksums: number[] = []
  for (let i = 0; i < blockCount; i++, at += 4) blockChecksums.push(bytes.readUInt32BE(at))
  const covered = (checkpoints.at(-1) as Checkpoint).idxEntries
  if (blockCount !== Math.ceil(covered / ENTRIES_PER_BLOCK)) return undefined
  return {
    compactionRevision: bytes.readUInt32BE(4),
    appendNsHigh: bytes.readUInt32BE(8),
    appendNsLow: bytes.readUInt32BE(12),
    checkpoints,
    blockChecksums,
  }
}

/** Adds a checkpoint behind the others. */
export function addCheckpoint(sums: IndexSums, checkpoint: Checkpoint): void {
  if (sums.checkpoints.length >= CHECKPOINTS_MAX)
    sums.checkpoints = sums.checkpoints.filter((_, i) => i % 2 === 1)
  sums.checkpoints.push(checkpoint)
}
