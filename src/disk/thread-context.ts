/** What one thread needs to work on volumes. */
import type { Clock } from '../base/clock.ts'
import type { Fid } from '../base/fid.ts'
import { SMALL_RECORD_BYTES_MAX } from '../base/limits.ts'
import { PieceBuffers } from '../base/piece-buffers.ts'
import type { Disk } from './disk.ts'
import { IndexArena } from './index-arena.ts'
import { VolumeTable } from './volume-table.ts'

/** What the threads of a process share; it may be posted to a worker as it is. */
export interface SharedVolumes {
  table: SharedArrayBuffer
  arena: SharedArrayBuffer
  /** The data directories, in the order in which slots number them. */
  directories: string[]
  /** Shards of erasure volumes are files of their own. */
  shardFiles?: boolean
}

/** Pieces of large records that are kept for the next ones: what a few readers need. */
const FREE_PIECES_MAX = 8

export interface ThreadContext {
  disk: Disk
  clock: Clock
  table: VolumeTable
  arena: IndexArena
  directories: readonly string[]
  /** Holds one small record: the one being written, or the one just read. */
  scratch: Buffer
  /** Holds an earlier record of a key that is being written again. */
  scratchExisting: Buffer
  /** For pieces of large records, of SMALL_RECORD_BYTES_MAX. */
  pieces: PieceBuffers
  /** Told of each damaged record that a read meets. */
  onDamage?: (damage: RecordDamage) => void
}

/** A record that a read has met, and that is not what was written. */
export interface RecordDamage {
  volumeId: number
  fid: Fid
  /** Of the record in the `.dat`; of a shard that is a file, of the record that names it. */
  offsetBytes: number | undefined
  reason: string
}

export function createSharedVolumes(options: {
  directories: string[]
  indexBytesMax: number
  volumesMax?: number
  shardFiles?: boolean
}): SharedVolumes {
  return {
    table: VolumeTable.create(options.volumesMax).shared,
    arena: IndexArena.create(options.indexBytesMax).shared,
    directories: options.directories,
    shardFiles: options.shardFiles ?? false,
  }
}

export function createThreadContext(shared: SharedVolumes, disk: Disk, clock: Clock): ThreadContext {
  return {
    disk,
    clock,
    table: new VolumeTable(shared.table),
    arena: new IndexArena(shared.arena),
    directories: shared.directories,
    scratch: Buffer.allocUnsafeSlow(SMALL_RECORD_BYTES_MAX),
    scratchExisting: Buffer.allocUnsafeSlow(SMALL_RECORD_BYTES_MAX),
    pieces: new PieceBuffers(SMALL_RECORD_BYTES_MAX, FREE_PIECES_MAX),
  }
}
