/** Writes a volume's sidecar: what of `.idx` is synced, and what of `.dat` that covers. */
import { crc32c } from '../base/checksum.ts'
import { INDEX_BLOCK_BYTES } from '../base/limits.ts'
import { type Disk, replaceFileDurably } from './disk.ts'
import { IDX_ENTRY_BYTES } from './idx-entry.ts'
import {
  addCheckpoint,
  type Checkpoint,
  ENTRIES_PER_BLOCK,
  encodeSums,
  type IndexSums,
} from './index-sums.ts'
import { EXTENSION } from './volume-paths.ts'

export interface CheckpointPlace {
  directory: string
  base: string
  idxHandle: number
  /** Where to write the sidecar, when it is not the volume's own place. */
  extension?: string
  /** All of `.idx`, where it is at hand: then it is not read, which not every disk can that took it. */
  content?: Buffer | undefined
}

export interface CheckpointState {
  compactionRevision: number
  appendNsHigh: number
  appendNsLow: number
  checkpoint: Checkpoint
  /** The sidecar as it is; its blocks are not read again. Undefined to read all of `.idx`. */
  previous: IndexSums | undefined
}

/** The caller has synced `.dat` and `.idx` as far as the checkpoint says. Throws the disk's error; then the old one holds. */
export function writeCheckpoint(disk: Disk, place: CheckpointPlace, state: CheckpointState): IndexSums {
  const previous = state.previous
  const sums: IndexSums = {
    compactionRevision: state.compactionRevision,
    appendNsHigh: state.appendNsHigh,
    appendNsLow: state.appendNsLow,
    checkpoints: previous === undefined ? [] : [...previous.checkpoints],
    blockChecksums: previous === undefined ? [] : [...previous.blockChecksums],
  }
  const coveredBefore = previous?.checkpoints.at(-1)?.idxEntries ?? 0
  sums.blockChecksums.length = Math.floor(coveredBefore / ENTRIES_PER_BLOCK)
  const endBytes = state.checkpoint.idxEntries * IDX_ENTRY_BYTES
  const buffer = Buffer.allocUnsafe(64 * INDEX_BLOCK_BYTES)
  for (let start = sums.blockChecksums.length * INDEX_BLOCK_BYTES; start < endBytes; start += buffer.length) {
    const wanted = Math.min(buffer.length, endBytes - start)
    const count =
      place.content?.copy(buffer, 0, start, start + wanted) ??
      disk.readSync(place.idxHandle, buffer, 0, wanted, start)
    for (let at = 0; at < count; at += INDEX_BLOCK_BYTES) {
      sums.blockChecksums.push(crc32c(buffer.subarray(at, Math.min(at + INDEX_BLOCK_BYTES, count))))
    }
  }
  addCheckpoint(sums, state.checkpoint)
  replaceFileDurably(
    disk,
    place.directory,
    `${place.base}${place.extension ?? EXTENSION.sums}`,
    encodeSums(sums),
  )
  return sums
}
