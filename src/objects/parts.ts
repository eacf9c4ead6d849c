/**
 * What the parts of the object store agree on: rows, contents, and the faces by which `IndexedStore` calls each part.
 *
 * Steps that several scripts share are generators, used with `yield*` inside one transaction:
 * `releaseContent`, `insertContent` and `shareContent` in `content-steps.ts`, `putVersion` in `put-version.ts`,
 * `addUsage` in `usage-steps.ts`. Every script is listed in `scripts.ts`, where the writing thread finds it by its name.
 *
 * Arguments of scripts go to another thread as copies, Buffers as Buffers. Keys and prefixes go as bytes (`keyBytes` in
 * `rows.ts`, which checks them).
 */
import type { Unsynced } from '../base/unsynced.ts'
import type { Row } from '../meta/meta-store.ts'
import type { DataKey } from './object-keys.ts'
import type {
  BodyCheck,
  Bucket,
  Checksum,
  DigestName,
  Digests,
  ObjectAttributes,
  ObjectBody,
  ObjectPieces,
  ObjectStore,
  PutObject,
} from './object-store.ts'

/** Columns of `object` and of `version`, in one order, for `select` and for `insert … select`. */
export const VERSION_COLUMNS =
  'bucket_id, key, rank, flags, size, modified_ms, etag, content_id, blobs, attributes, tags, lock_until_ms'

/** What a listing shows of a version: all but where its bytes are. */
export interface ShownRow extends Row {
  key: Buffer
  rank: number
  flags: number
  size: number
  modified_ms: number
  etag: string
  attributes: string
  tags: string | null
  lock_until_ms: number
}

/** A row of `object` or `version`. */
export interface VersionRow extends ShownRow {
  bucket_id: number
  content_id: Buffer | null
  blobs: Buffer | null
}

/** Bits of `flags`. */
export const FLAG_NULL = 1
export const FLAG_MARKER = 2
export const FLAG_DIRECTORY = 4
export const FLAG_GOVERNANCE = 8
export const FLAG_COMPLIANCE = 16
export const FLAG_LEGAL_HOLD = 32
/** Somebody said that there is no legal hold, which S3 tells from nobody having said anything. 64 is one of uploads. */
export const FLAG_HOLD_OFF = 128

/** Bytes that nothing names yet. On disk before the script that gives them to a row is committed. */
export type NewContent =
  | { kind: 'none' }
  /** Up to INLINE_BLOBS_MAX entries of 20 bytes. */
  | { kind: 'inline'; blobs: Uint8Array }
  /** Pages of up to CONTENT_PAGE_ENTRIES entries. With `sha256`, one like it in the bucket is used instead, if there is. */
  | {
      kind: 'pages'
      contentId: Uint8Array
      entries: 'chunks' | 'segments'
      pages: readonly Uint8Array[]
      sha256?: Uint8Array
    }
  /** Bytes that are there, by a reference that the caller has counted (`shareContent`) or takes over from its row. */
  | { kind: 'taken'; blobs: Uint8Array | null; contentId: Uint8Array | null }

/** Where the bytes of a row are. */
export interface ContentPlace {
  blobs: Uint8Array | null
  contentId: Uint8Array | null
}

/** Bytes of a version, as its row says. */
export interface StoredContent {
  blobs: Buffer | undefined
  contentId: Buffer | undefined
  sizeBytes: number
  encryption: ObjectAttributes['encryption'] | undefined
}

export interface StoreContent {
  bucket: Bucket
  check?: BodyCheck | undefined
  /** The bytes are encrypted with it. */
  dataKey?: DataKey | undefined
  placement?: PutObject['placement'] | undefined
  /** It may stand for a redundancy. Absent is STANDARD. */
  storageClass?: string | undefined
  /** No MD5 is computed, and 16 random bytes take its place. */
  hasOpaqueEtag?: boolean | undefined
  /** What is stored may not be on disk yet: the transaction that names it waits for `WrittenContent.unsynced`. */
  mayBeUnsynced?: boolean
  /** Throws `too_large` above it. */
  sizeBytesMax: number
}

export interface WrittenContent {
  content: NewContent
  sizeBytes: number
  /** MD5 in hex digits, or what stands for it where bytes are encrypted for one client. */
  etag: string
  digests: Digests
  /** What the check wants to be stored. */
  checksum: Checksum | undefined
  encryption: ObjectAttributes['encryption'] | undefined
  unsynced?: Unsynced | undefined
}

/** Takes bytes in. */
export interface ContentWriter {
  /** Runs the check after the last byte. Keeps nothing when it throws. */
  store(body: ObjectBody, options: StoreContent): Promise<WrittenContent>
  /** Removes what a refused transaction leaves. Never throws: what cannot be removed now is an orphan for the collector. */
  discard(content: NewContent): Promise<void>
  /**
   * After a transaction that was to name the content threw `error`: as `discard`, unless it may have happened all the same.
   * Then the bytes stay, and the search for orphans finds out who names them. Never throws.
   */
  abandon(content: NewContent, error: unknown): Promise<void>
}

/** Gives bytes out. All of it throws what `ObjectKeys.open` throws. */
export interface ContentReader {
  /** Whether `read` would find the right key; it throws what that would. */
  assertKey(stored: StoredContent, customerKey?: Buffer): void
  read(
    stored: StoredContent,
    start: number,
    end: number,
    customerKey?: Buffer,
  ): Buffer | Promise<Buffer> | ObjectPieces
  /** Of all bytes. */
  digests(stored: StoredContent, names: readonly DigestName[], customerKey?: Buffer): Promise<Digests>
}

export type Uploads = Pick<
  ObjectStore,
  | 'createUpload'
  | 'putPart'
  | 'copyPart'
  | 'listParts'
  | 'completeUpload'
  | 'abortUpload'
  | 'listUploads'
  | 'append'
>

export type Tree = Pick<
  ObjectStore,
  'stat' | 'listDirectory' | 'makeDirectory' | 'rename' | 'removeDirectory' | 'expireFiles'
>

/** A row of `move`. Prefixes end with `/`. */
export interface MoveRow extends Row {
  from_prefix: Buffer
  to_prefix: Buffer
  /** Of the keys below `from_prefix`, those whose rest is before this one have their new names already. */
  cursor: Buffer
}
