/** What keeps the files of this door: the store's own objects, or copies on servers of memcached's protocol. */
import type { Conditions, ObjectPieces } from '../../objects/object-store.ts'

export interface StoredFile {
  etag: string
  modifiedMs: number
  sizeBytes: number
  contentType: string
  /** Bytes `start` to `end` (exclusive), as `FoundObject.read`. */
  read(start: number, end: number): Buffer | Promise<Buffer> | ObjectPieces
}

/** One place that files are kept in. */
export interface StorageState {
  /** `host:port`. */
  address: string
  /** Why it does not answer; undefined: it does. */
  failure: string | undefined
  /** What it says of itself, named as memcached names it. */
  stats: Record<string, string>
}

/** All of it throws `unavailable` or `timeout` where too little of the storage answers. */
export interface FileStore {
  /** At once where nothing has to be waited for. Throws `not_found`, `corrupt`. */
  find(path: string): StoredFile | Promise<StoredFile>
  /** Throws `precondition_failed`, `too_large`, `disk_full`. */
  put(path: string, bytes: Buffer, conditions: Conditions | undefined): Promise<void>
  /** Throws `not_found`, `precondition_failed`. */
  remove(path: string, conditions: Conditions | undefined): Promise<void>
  /** Asks each storage now. Throws `unavailable` or `timeout` where none answers. */
  states(): Promise<StorageState[]>
}
