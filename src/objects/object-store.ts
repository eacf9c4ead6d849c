/**
 * The object layer's face: bytes by name. Every front door that has names stands on this interface, and every rule of
 * the store (versions, locks, conditions, quotas, limits) is kept behind it, whoever asks. Who may ask is not decided here.
 *
 * Keys are well-formed strings, in the order of their UTF-8 bytes, up to OBJECT_KEY_BYTES_MAX of them. A key is never a
 * path: `a//b`, `../x`, `x/` and `__proto__` are keys like any other.
 */
import type { ByteSink } from '../base/byte-sink.ts'
import type { LentPiece } from '../base/piece-buffers.ts'

// Buckets

/** Whether earlier versions are kept. A bucket that once kept them is suspended, never off again. */
export type Versioning = 'off' | 'enabled' | 'suspended'

/** Documents that belong to a bucket, each kept as the text that its front door gave it. */
export const BUCKET_CONFIGS = [
  'accelerate',
  'acl',
  'cors',
  'encryption',
  'lifecycle',
  'logging',
  'notification',
  'object_lock',
  'ownership',
  'policy',
  'public_access_block',
  'redundancy',
  'replication',
  'request_payment',
  'tagging',
  'website',
  'dedupe',
  'version_numbers',
  /** Set with the first object that has a time to live. */
  'expiring',
] as const
export type BucketConfig = (typeof BUCKET_CONFIGS)[number]

export interface Bucket {
  id: number
  name: string
  /** Account id. */
  owner: string
  createdMs: number
  versioning: Versioning
  /** Object lock may be used; once on, always on, and versions are kept. */
  objectLock: boolean
  /** 0 is none. */
  quotaBytes: number
  configs: ReadonlyMap<BucketConfig, string>
  /** Rises with each change. */
  revision: number
}

export interface NewBucket {
  name: string
  owner: string
  objectLock?: boolean
  configs?: Partial<Record<BucketConfig, string>>
}

export interface BucketChange {
  versioning?: 'enabled' | 'suspended'
  objectLock?: true
  quotaBytes?: number
  owner?: string
  /** A text sets it, null removes it. */
  configs?: Partial<Record<BucketConfig, string | null>>
}

export interface BucketUsage {
  /** Versions that hold bytes, and parts of unfinished uploads. */
  objects: number
  bytes: number
}

// Objects

export type ChecksumAlgorithm =
  | ('CRC32' | 'CRC32C' | 'CRC64NVME' | 'SHA1' | 'SHA256' | 'SHA512' | 'MD5')
  | ('XXHASH64' | 'XXHASH3' | 'XXHASH128')

export interface Checksum {
  algorithm: ChecksumAlgorithm
  /** Base64. A composite one of an object in parts ends with `-<parts>`. */
  value: string
  type: 'FULL_OBJECT' | 'COMPOSITE'
}

/** Under a key of the installation, or of the client. */
export type EncryptionKind = 'SSE-S3' | 'SSE-C'

/** All that an object carries beside its bytes. Absent is none. Values are as the client gave them. */
export interface ObjectAttributes {
  contentType?: string
  cacheControl?: string
  contentDisposition?: string
  contentEncoding?: string
  contentLanguage?: string
  expires?: string
  websiteRedirect?: string
  /** Absent is STANDARD. */
  storageClass?: string
  /** Names in lower case without `x-amz-meta-`, in the order given. */
  userMetadata?: readonly (readonly [name: string, value: string])[]
  /** Account id; absent: the bucket's owner. */
  owner?: string
  /** ACL document, as its front door made it. */
  acl?: string
  checksum?: Checksum
  /** Length of each part, in order, of an object that was uploaded in parts; for reads by part number. */
  partSizes?: readonly number[]
  /** Their checksums, where they have some. */
  partChecksums?: readonly string[]
  /** The upload that made it, so that completing it again is understood. */
  uploadId?: string
  /** How the bytes are encrypted. The object layer sets it, and front doors show the kind. */
  encryption?: {
    kind: EncryptionKind
    /** The key of the bytes, wrapped. */
    key: string
    /** Of the installation's keys, the one that wraps it. */
    keyId?: string
  }
  /** The filer's: mode bits, owner and group, creation and expiry. */
  posix?: {
    mode?: number
    uid?: number
    gid?: number
    createdMs?: number
    ttlSeconds?: number
    inode?: string
  }
  /** `Seaweed-*` pairs of the filer, names as stored. */
  extended?: readonly (readonly [name: string, value: string])[]
  md5?: string
}

export interface ObjectLock {
  mode?: 'GOVERNANCE' | 'COMPLIANCE'
  /** With a mode: until when. */
  untilMs?: number
  legalHold?: boolean
}

export interface ObjectInfo {
  key: string
  /** `null` for a version from when versions were not kept. */
  versionId: string
  isLatest: boolean
  isDeleteMarker: boolean
  sizeBytes: number
  /** Without quotes: 32 hex digits of the MD5, or `<hex>-<parts>`. Empty for a delete marker. */
  etag: string
  modifiedMs: number
  attributes: ObjectAttributes
  tags: readonly Tag[]
  lock: ObjectLock
}

export type Tag = readonly [key: string, value: string]

/** Conditions on what is there now. ETags without quotes; `*` is any. A list is met by one of its members. */
export interface Conditions {
  ifMatch?: readonly string[] | '*'
  ifNoneMatch?: readonly string[] | '*'
  ifModifiedSinceMs?: number
  ifUnmodifiedSinceMs?: number
  /** For deletes: the size and time that the object must have. */
  ifSizeBytes?: number
  ifModifiedMs?: number
}

/** Bytes on their way in. `pieces` is asked for once; a client that breaks off makes it throw `incomplete_body`. */
export interface ObjectBody {
  /** Undefined: not known before the end. */
  sizeBytes: number | undefined
  /** All of it, where it is small and already here: then `pieces` is not asked for. */
  whole?: Buffer
  /** Pieces are the object layer's as soon as it has them; it gives back those that are lent. */
  pieces(): AsyncIterable<LentPiece>
  /** In place of `pieces`, where it saves a copy: resolves when all of it was taken, and throws what it or the sink throws. */
  pour?: ((sink: ByteSink) => Promise<void>) | undefined
}

/** The same in lower case. */
export type DigestName = Lowercase<ChecksumAlgorithm>

/** Digests of all bytes that came, as bytes. */
export type Digests = Partial<Record<DigestName, Buffer>>

/** A check of what arrived, made after the last byte and before anything is kept. It throws to refuse. */
export interface BodyCheck {
  /** To compute beside MD5. */
  digests: readonly DigestName[]
  /** Gets all of them and the length; may set what is stored of them by what it returns. */
  verify(digests: Digests, sizeBytes: number): { checksum?: Checksum } | undefined
}

export interface PutObject {
  bucket: Bucket
  key: string
  body: ObjectBody
  attributes: ObjectAttributes
  tags?: readonly Tag[]
  /** Absent: the bucket's default retention. */
  lock?: ObjectLock
  conditions?: Conditions
  check?: BodyCheck
  /**
   * Asked when the bytes are stored, for what counts in place of the attributes and conditions here; and again each time that
   * the conditions were not met meanwhile. What it throws ends the put.
   */
  late?: () => Promise<LatePut>
  /** No MD5 is computed: the ETag is an id of this write. For doors with checksums of their own. */
  hasOpaqueEtag?: boolean
  /** SSE-C: 32 bytes; SSE-S3: true. Absent: as the bucket says. */
  encryption?: { customerKey: Buffer } | { managed: true }
  /** Volumes of another collection than the store's own; TTL as volumes store it. For the filer. */
  placement?: { collection?: string; ttl?: number }
  /** Throws `directory_exists` where keys lie below this one and a slash. */
  fileOnly?: boolean
}

export type LatePut = Pick<PutObject, 'attributes' | 'conditions'>

export interface PutResult {
  versionId: string
  etag: string
  sizeBytes: number
  modifiedMs: number
  checksum: Checksum | undefined
  /** The version id is to be told: it is a version of its own, not one that the next put replaces. */
  isVersioned: boolean
  encryption?: EncryptionKind | undefined
}

export interface ReadOptions {
  versionId?: string
  /** SSE-C. */
  customerKey?: Buffer
}

/** An object that was found. The bytes are read later, once or several times, and are those of this version. */
export interface FoundObject {
  info: ObjectInfo
  /** The bucket keeps versions, so the id of this one is to be told. */
  isVersioned: boolean
  /**
   * Bytes `start` to `end` (exclusive). A Buffer where it is small and near; else pieces, verified before each is given,
   * which throw `corrupt`, `io_error`, `unavailable` in the middle if they must.
   */
  read(start: number, end: number): Buffer | Promise<Buffer> | ObjectPieces
  /** Throws what `read` would where the key is missing, or wrong, or there is nothing to use it for. */
  assertKey(): void
}

export interface ObjectPieces {
  sizeBytes: number
  pieces(): AsyncIterable<Buffer>
}

export interface DeleteRequest {
  bucket: Bucket
  key: string
  versionId?: string
  conditions?: Conditions
  /** May remove versions under governance retention. */
  bypassGovernance?: boolean
}

export interface DeleteResult {
  /** What was removed or made; undefined when the key had nothing and the bucket keeps no versions. */
  versionId: string | undefined
  /** A delete marker was made, or the removed version was one. */
  isDeleteMarker: boolean
}

export interface CopyRequest {
  source: { bucket: Bucket; key: string; versionId?: string; conditions?: Conditions; customerKey?: Buffer }
  bucket: Bucket
  key: string
  /** Absent: those of the source. What belongs to the bytes, such as part sizes, always comes from the source. */
  attributes?: ObjectAttributes
  /** Set over either, such as owner and storage class; undefined ones are removed. */
  change?: Partial<ObjectAttributes>
  /** Absent: those of the source. */
  tags?: readonly Tag[]
  lock?: ObjectLock
  conditions?: Conditions
  /** Absent: as the bucket says; else a source under the installation's keys stays so, and others become plain. */
  encryption?: PutObject['encryption']
  /** Checksum to store beside, computed anew when the source has none of it. */
  checksumAlgorithm?: ChecksumAlgorithm
}

// Listing

export interface ListRequest {
  bucket: Bucket
  prefix?: string
  delimiter?: string
  /** Keys and common prefixes behind this one. */
  after?: string
  /** 0 to LIST_KEYS_MAX. A page may have fewer, and yet not be the last one: `next` tells. */
  limit: number
}

export interface ListPage {
  objects: ObjectInfo[]
  prefixes: string[]
  /** Give it as `after` for the next page; undefined at the end. The last key or common prefix of this page. */
  next: string | undefined
}

export interface ListVersionsRequest extends ListRequest {
  /** With `after`: versions of that key behind this one are listed too. */
  afterVersionId?: string
}

export interface ListVersionsPage {
  /** Delete markers among them; of each key the newest first. */
  versions: ObjectInfo[]
  prefixes: string[]
  next: { key: string; versionId: string | undefined } | undefined
}

// Multipart uploads

export interface NewUpload {
  bucket: Bucket
  key: string
  attributes: ObjectAttributes
  tags?: readonly Tag[]
  lock?: ObjectLock
  encryption?: PutObject['encryption']
  checksum?: { algorithm: ChecksumAlgorithm; type: Checksum['type'] }
}

export interface UploadInfo {
  key: string
  uploadId: string
  createdMs: number
  attributes: ObjectAttributes
  checksum: NewUpload['checksum'] | undefined
}

export interface UploadRef {
  bucket: Bucket
  key: string
  uploadId: string
}

export interface PutPart extends UploadRef {
  /** 1 to MULTIPART_PARTS_MAX. */
  number: number
  body: ObjectBody
  check?: BodyCheck
  customerKey?: Buffer
  /** Throws `conflict` where the upload has a part of this number. */
  onlyNew?: boolean
  /** As PutObject's. */
  hasOpaqueEtag?: boolean
}

export interface CopyPart extends UploadRef {
  number: number
  source: CopyRequest['source']
  /** Bytes of the source; absent: all. */
  range?: { start: number; end: number }
  customerKey?: Buffer
}

export interface PartInfo {
  number: number
  sizeBytes: number
  etag: string
  modifiedMs: number
  checksum: Checksum | undefined
  encryption?: EncryptionKind | undefined
}

export interface CompleteUpload extends UploadRef {
  /** In rising order. */
  parts: readonly {
    number: number
    etag: string
    checksum?: { algorithm: ChecksumAlgorithm; value: string }
  }[]
  conditions?: Conditions
  /** What the whole must have, where the client says. */
  sizeBytes?: number
  checksum?: Checksum
  /** What the bytes of all parts must have: they are read to see that. Parts may then be of any size. */
  sha256?: Buffer
  /** Bytes that the bucket has already with this hash cannot be read, and are not used. */
  replacesEqual?: boolean
}

export interface ListUploadsRequest {
  bucket: Bucket
  prefix?: string
  delimiter?: string
  after?: string
  /** With `after`: uploads of that key behind this one are listed too. */
  afterUploadId?: string
  limit: number
}

export interface ListUploadsPage {
  uploads: UploadInfo[]
  prefixes: string[]
  next: { key: string; uploadId: string | undefined } | undefined
}

// Directories: keys cut at `/`, for front doors that show a tree

export interface TreeEntry {
  /** Last segment. */
  name: string
  isDirectory: boolean
  /** Undefined for a directory that is there only because of what lies in it. A listing leaves out sizes and checksums of parts. */
  info: ObjectInfo | undefined
}

/**
 * Errors of all calls: `bucket_not_found` where a bucket is gone, `unavailable`, `timeout`, `io_error`, `disk_full`,
 * `too_many_requests`; and those named at each.
 */
export interface ObjectStore {
  // Buckets

  /** Throws `bucket_exists`, `bad_request` (a name against the rules), `conflict` (too many buckets of one owner). */
  createBucket(bucket: NewBucket): Promise<Bucket>
  /** Undefined: there is none. */
  bucket(name: string): Bucket | undefined | Promise<Bucket | undefined>
  /** In the order of their names. `owner` absent: all. */
  listBuckets(options: {
    owner?: string
    prefix?: string
    after?: string
    limit: number
  }): Promise<{ buckets: Bucket[]; next: string | undefined }>
  /** Throws `conflict` where the change is not allowed, such as suspending versions under object lock. */
  changeBucket(bucket: Bucket, change: BucketChange): Promise<Bucket>
  /** Unfinished uploads in it are given up. Throws `bucket_not_empty`. */
  deleteBucket(bucket: Bucket): Promise<void>
  usage(bucket: Bucket): Promise<BucketUsage>

  // Objects

  /** Throws `precondition_failed`, `not_found` (If-Match of nothing), `key_too_long`, `too_large`, `quota_exceeded`,
   * `digest_mismatch`, `incomplete_body`, and what the check throws. Then nothing is kept. */
  put(request: PutObject): Promise<PutResult>
  /** Throws `not_found`, `version_not_found`. A delete marker is found as such: the front door knows what to say. */
  find(bucket: Bucket, key: string, options?: ReadOptions): FoundObject | Promise<FoundObject>
  /** Throws `object_locked`, `precondition_failed`, `version_not_found`. */
  delete(request: DeleteRequest): Promise<DeleteResult>
  /** Several at once; each has its own result or error, in order. */
  deleteMany(requests: readonly DeleteRequest[]): Promise<(DeleteResult | Error)[]>
  /** Shares the bytes, unless their encryption changes. Throws as `find` and `put` do; `conflict` when an object is copied to itself unchanged. */
  copy(request: CopyRequest): Promise<PutResult & { source: ObjectInfo }>
  /** Adds bytes at the end, or makes the object. Throws as `put` does; `conflict` in buckets that keep versions. */
  append(request: PutObject): Promise<PutResult>
  setTags(at: VersionRef, tags: readonly Tag[]): Promise<{ versionId: string }>
  /** Replaces attributes that may change without new bytes: ACL, headers of the filer, extended pairs. */
  setAttributes(at: VersionRef, change: Partial<ObjectAttributes>): Promise<{ versionId: string }>
  /**
   * A lock with only `legalHold` leaves the retention; any other replaces it, and one without a mode removes it.
   * Throws `object_locked` (would loosen it), `bad_request` (the bucket has no object lock; the date is past).
   */
  setLock(
    at: VersionRef,
    lock: ObjectLock,
    options: { bypassGovernance: boolean },
  ): Promise<{ versionId: string }>

  list(request: ListRequest): ListPage | Promise<ListPage>
  listVersions(request: ListVersionsRequest): ListVersionsPage | Promise<ListVersionsPage>

  // Multipart uploads

  createUpload(upload: NewUpload): Promise<UploadInfo>
  /** Throws `upload_not_found`, and as `put` does. */
  putPart(part: PutPart): Promise<PartInfo>
  copyPart(part: CopyPart): Promise<PartInfo & { source: ObjectInfo }>
  /** Of `after` and later numbers. Throws `upload_not_found`. */
  listParts(
    upload: UploadRef,
    options: { after: number; limit: number },
  ): Promise<{ upload: UploadInfo; parts: PartInfo[]; next: number | undefined }>
  /**
   * Throws `upload_not_found`, `invalid_part`, `invalid_part_order`, `part_too_small`, `precondition_failed`, `digest_mismatch`.
   * Completing again with the same parts gives the same answer for a while.
   */
  completeUpload(request: CompleteUpload): Promise<PutResult>
  /** Throws `upload_not_found`. */
  abortUpload(upload: UploadRef): Promise<void>
  listUploads(request: ListUploadsRequest): Promise<ListUploadsPage>

  // Directories. Paths begin without `/`; '' is the root. A directory is a key that ends with `/`, or what others lie under.

  /** The file or directory at a path; undefined: neither. */
  stat(bucket: Bucket, path: string): TreeEntry | undefined | Promise<TreeEntry | undefined>
  /** Files and directories of one directory, in the order of their names; directories without `/`. */
  listDirectory(
    bucket: Bucket,
    path: string,
    options: { after?: string; prefix?: string; limit: number },
  ): Promise<{ entries: TreeEntry[]; next: string | undefined }>
  /** With all directories above it. Throws `directory_exists` (a file or directory is there). */
  makeDirectory(bucket: Bucket, path: string, attributes: ObjectAttributes): Promise<void>
  /**
   * A file, or a directory with all in it: for every reader at one moment. Throws `not_found`, `conflict` (into itself, a file
   * onto a directory, or another rename there is under way).
   */
  rename(bucket: Bucket, from: string, to: string): Promise<void>
  /** All below a directory and itself, in steps. Throws `directory_not_empty` without `recursive`. */
  removeDirectory(
    bucket: Bucket,
    path: string,
    options: { recursive: boolean; onProgress?: (removed: number) => void },
  ): Promise<void>
  /** Removes files whose time to live is over, where no versions are kept; readers do not see them anyway. Gives their number. */
  expireFiles(bucket: Bucket, isStopped: () => boolean): Promise<number>
}

export interface VersionRef {
  bucket: Bucket
  key: string
  versionId?: string
}
