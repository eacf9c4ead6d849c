/**
 * Bytes by id: what the object layer stands on. A blob is one needle, written once, never changed. An id is given back only
 * when the bytes are as durable as the store is configured to make them, unless the writer sees to that.
 */

import type { Redundancy } from '../base/redundancy.ts'
import type { Unsynced } from '../base/unsynced.ts'

/**
 * Where a blob is: a file id. The volume is found through the topology, never kept as an address. The number of an erasure volume
 * says that the blob is in k + m shards (`base/erasure-id.ts`); it is that of the first shard's volume.
 */
export interface BlobId {
  volumeId: number
  keyHigh: number
  keyLow: number
  cookie: number
}

/** Which volumes a blob goes to. */
export interface BlobTarget {
  collection: string
  /** Two bytes as volumes store it: count << 8 | unit; 0 is none. */
  ttl: number
  /** What has a `ttl` is stored without: volumes that expire do so one by one. */
  redundancy: Redundancy
}

export interface BlobWrite extends Partial<BlobTarget> {
  /**
   * At most BLOB_BYTES_MAX. Not changed by the caller before the write settles. A function is asked when the id is known that the write
   * will give back, once for each place that is tried: for bytes that are encrypted for their very blob.
   */
  data: Buffer | ((id: BlobId) => Buffer)
  collection: string
  /**
   * Told, perhaps, when `data` is of no more use before the write settles: it is written, but not durable yet. When that fails, no
   * other volume is tried: `not_synced`.
   */
  onWritten?: () => void
  /** Where it is given, the write may settle before the bytes are on disk, and calls this with what is left to be done. */
  onUnsynced?: ((unsynced: Unsynced) => void) | undefined
}

/** What is stored under the id. */
export function blobBytes({ data }: BlobWrite, id: BlobId): Buffer {
  return typeof data === 'function' ? data(id) : data
}

/** A needle as a volume lists it, for the search for orphans. */
export interface ListedBlob {
  id: Omit<BlobId, 'cookie'> & { cookie: number | undefined }
  sizeBytes: number
  /** Milliseconds since 1970. */
  appendedMs: number
}

export interface VerifiedBlob {
  sizeBytes: number
  /** Shards that are missing, damaged or away, or were before they were repaired. */
  shardsLost: number
}

export interface BlobVolume {
  /** Each volume of an erasure group has its own; the ids of its blobs have that of the first: `blobVolumeOf`. */
  volumeId: number
  collection: string
  /** Entries of its index file so far; they count up until a compaction raises `revision`. */
  entries: number
  revision: number
}

export interface BlobRangeOptions {
  /** As of `BlobStore.read`. */
  deleted?: boolean
  /** Length of the whole blob as it is stored, where it is known: saves a look at its head. */
  sizeBytes?: number
}

export interface BlobStore {
  /**
   * Stores a blob, durably. Throws `no_writable_volume`, `disk_full`, `index_full`, `too_large`, `io_error`,
   * `unavailable`, `timeout`. Tries other volumes by itself where one is full, read only or gone.
   */
  write(blob: BlobWrite): Promise<BlobId>
  /**
   * The whole blob, verified; owned by the caller. Throws `not_found`, `corrupt`, `io_error`, `unavailable`, `timeout`.
   * At once, not by a promise, where a small blob is on this machine. `deleted`: also when it was deleted, as long as it
   * is still there, for readers that began before.
   */
  read(id: BlobId, options?: { deleted?: boolean }): Buffer | Promise<Buffer>
  /** Bytes `start` to `end` (exclusive) of a blob, verified piece by piece. Throws as `read` does. */
  readRange(id: BlobId, start: number, end: number, options?: BlobRangeOptions): AsyncIterable<Buffer>
  /** Removes blobs, durably; those that are gone already count as removed. Throws what keeps one from being removed. */
  remove(ids: readonly BlobId[]): Promise<void>
  /**
   * Reads all that is stored of a blob: with shards, each of them. `repair` writes anew what is missing or damaged of it. Throws
   * as `read`.
   */
  verify(id: BlobId, options: { repair: boolean }): Promise<VerifiedBlob>
  /** All volumes that hold blobs, wherever they are. Throws `unavailable` when a server does not answer. */
  volumes(): Promise<BlobVolume[]>
  /** The live blobs of a volume whose index entries are at `fromEntry` and later, and before `endEntry`, in batches. */
  list(volumeId: number, fromEntry: number, endEntry?: number): AsyncIterable<ListedBlob[]>
  close(): void
}
