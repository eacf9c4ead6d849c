/** What the keeper does for others, and what it tells of its volumes. All of it may be called from another thread. */
import type { DiskSpace } from './disk.ts'

export interface VolumeInfo {
  id: number
  collection: string
  directory: string
  replicaPlacement: number
  /** count << 8 | unit; 0 = none. */
  ttl: number
  /** Bytes of `.dat`. */
  sizeBytes: number
  /** Files written since the last compaction, those that were deleted or overwritten included. */
  fileCount: number
  deleteCount: number
  deletedBytes: number
  /** Also while it is being moved, or when it failed earlier. */
  readOnly: boolean
  /** Being moved to or from another server. */
  moving?: boolean
  /** A member of an erasure group that was made anew and has not got all of its shards yet. */
  filling?: boolean
  full: boolean
  /** A write or sync failed. */
  failed: boolean
  diskFull: boolean
  compactionRevision: number
  maxKeyHigh: number
  maxKeyLow: number
  /** Seconds since 1970. */
  modifiedS: number
  /** Damaged records that reads met since the volume was opened. */
  damageFound: number
}

export interface DirectoryInfo extends DiskSpace {
  path: string
  volumeCount: number
  volumeCountMax: number
  /** The disk does not answer any more. */
  failed: boolean
  /** Nothing but volumes of erasure groups is put here. */
  forShards?: boolean
}

/** One directory of each disk: what is free there is free once. */
export function oneOfEachDisk(directories: readonly DirectoryInfo[]): DirectoryInfo[] {
  return directories.filter(
    ({ disk }, i) => disk === undefined || directories.findIndex((other) => other.disk === disk) === i,
  )
}

export interface NewVolume {
  id: number
  collection: string
  replicaPlacement: number
  ttl: number
  /** One of the server's data directories; absent: that with the fewest volumes. */
  directory?: string
  /** It takes the place of a lost member of an erasure group, and is to be filled. */
  filling?: boolean
}

export interface StoreStatus {
  directories: DirectoryInfo[]
  volumes: VolumeInfo[]
}

export interface VolumeAdmin {
  /** Throws `volume_exists`, `disk_full`, `no_writable_volume` (no free place, or not in that directory), `bad_request`, `io_error`. */
  createVolume(volume: NewVolume): Promise<void>
  /** Throws `volume_not_found`. */
  deleteVolume(id: number): Promise<void>
  /** Throws `volume_not_found`; `conflict` when the volume failed and cannot be written again. */
  setReadOnly(id: number, readOnly: boolean): Promise<void>
  /** Does nothing below the threshold (0 to 1). Throws `volume_not_found`, `disk_full`, `io_error`. */
  compactVolume(id: number, garbageThreshold: number): Promise<{ compacted: boolean; garbageRatio: number }>
  status(): Promise<StoreStatus>
}
