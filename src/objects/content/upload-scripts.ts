/** Scripts about unfinished multipart uploads and their parts. */
import { assert } from '../../base/assert.ts'
import { StoreError } from '../../base/errors.ts'
import { query, type Row, type Script, type Steps } from '../../meta/meta-store.ts'
import { insertContent, releaseContent } from '../content-steps.ts'
import { commonPrefix, startOf } from '../list-steps.ts'
import { checkLock } from '../lock-rules.ts'
import type { NewUpload, ObjectAttributes, ObjectLock } from '../object-store.ts'
import type { NewContent } from '../parts.ts'
import { beyondPrefix, lockFlags } from '../rows.ts'
import { addUsage, checkQuota } from '../usage-steps.ts'

/** Of `upload.flags`, beside those of locks: its parts are being removed, and to everyone it is gone. */
const FLAG_ENDED = 64
/** Parts that one transaction removes. */
const PARTS_REMOVED_MAX = 64
/** Uploads that a listing asks for at a time. */
const BATCH_ROWS = 256

export interface UploadRow extends Row {
  bucket_id: number
  key: Buffer
  upload_id: Buffer
  created_ms: number
  attributes: string
  tags: string | null
  lock_until_ms: number
  flags: number
}

export interface PartRow extends Row {
  number: number
  size: number
  modified_ms: number
  etag: string
  /** As `ALGORITHM:value`, or nothing. */
  checksums: string
  content_id: Buffer
}

/** What `upload.attributes` holds. */
export interface UploadNotes {
  attributes: ObjectAttributes
  checksum?: NewUpload['checksum']
}

export interface UploadAt {
  bucketId: number
  key: Buffer
  uploadId: Buffer
}

const UPLOAD_COLUMNS = 'bucket_id, key, upload_id, created_ms, attributes, tags, lock_until_ms, flags'
const PART_COLUMNS = 'number, size, modified_ms, etag, checksums, content_id'

export interface CreateUpload extends UploadAt {
  nowMs: number
  attributes: string
  tags: string | null
  lock: ObjectLock | undefined
}

/** Throws `bucket_not_found`, `bad_request` (a lock where there are none). */
export const createUpload: Script<CreateUpload, null> = {
  name: 'uploads.create',
  *steps(args) {
    const [bucket] = yield query('select object_lock from bucket where bucket_id = ?', args.bucketId)
    if (bucket === undefined) throw new StoreError('bucket_not_found', 'the bucket is gone')
    const { lock = {} } = args
    const isLocked = lock.mode !== undefined || lock.legalHold === true
    if (isLocked && bucket.object_lock === 0)
      throw new StoreError('bad_request', 'the bucket has no object lock')
    if (isLocked) checkLock(lock, args.nowMs)
    yield query(
      `insert into upload (${UPLOAD_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?)`,
      ...[args.bucketId, args.key, args.uploadId, args.nowMs, args.attributes, args.tags],
      ...[lock.untilMs ?? 0, lockFlags(lock)],
    )
    return null
  },
}

/** The upload; throws `upload_not_found`. */
export function* uploadAt(at: UploadAt): Steps<UploadRow> {
  const [row] = yield query(
    `select ${UPLOAD_COLUMNS} from upload where bucket_id = ? and key = ? and upload_id = ?`,
    at.bucketId,
    at.key,
    at.uploadId,
  )
  if (row === undefined || ((row.flags as number) & FLAG_ENDED) !== 0) throw noUpload()
  return row as UploadRow
}

export const noUpload = () =>
  new StoreError('upload_not_found', 'there is no such upload, or it is completed or aborted')

export const findUpload: Script<UploadAt, UploadRow> = { name: 'uploads.find', steps: uploadAt }

/** A part: what was there under its number is replaced. */
export interface PutPartRow extends UploadAt {
  number: number
  content: NewContent
  sizeBytes: number
  etag: string
  checksums: string
  nowMs: number
  usagePart: number
  /** Nothing is replaced. */
  onlyNew?: boolean | undefined
}

/** Throws `upload_not_found`, `quota_exceeded`, `conflict`. */
export const putPart: Script<PutPartRow, null> = {
  name: 'uploads.putPart',
  *steps(args) {
    yield* uploadAt(args)
    return yield* putPartSteps(args)
  },
}

export function* putPartSteps(args: PutPartRow): Steps<null> {
  const { uploadId, number } = args
  const [replaced] = yield query(
    'select size, content_id from part where upload_id = ? and number = ?',
    uploadId,
    number,
  )
  if (replaced !== undefined && args.onlyNew)
    throw new StoreError('conflict', `the upload has a part ${number} already`)
  const { contentId } = yield* insertContent(args)
  assert(contentId !== null, 'the bytes of a part are a content')
  yield query(
    `insert into part (upload_id, ${PART_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?)
     on conflict (upload_id, number) do update set size = excluded.size, modified_ms = excluded.modified_ms,
       etag = excluded.etag, checksums = excluded.checksums, content_id = excluded.content_id`,
    ...[uploadId, number, args.sizeBytes, args.nowMs, args.etag, args.checksums, contentId],
  )
  if (replaced !== undefined)
    yield* releaseContent({ blobs: null, contentId: replaced.content_id as Buffer }, args.nowMs)
  const bytes = args.sizeBytes - ((replaced?.size as number | undefined) ?? 0)
  const [bucket] = yield query('select quota_bytes from bucket where bucket_id = ?', args.bucketId)
  yield* checkQuota(args.bucketId, (bucket?.quota_bytes as number | undefined) ?? 0, bytes)
  const objects = replaced === undefined ? 1 : 0
  yield* addUsage({ bucketId: args.bucketId, part: args.usagePart, objects, bytes })
  return null
}

export interface ListPartRows extends UploadAt {
  after: number
  limit: number
}

/** One more than the limit, where there is one. Throws `upload_not_found`. */
export const listParts: Script<ListPartRows, { upload: UploadRow; parts: PartRow[] }> = {
  name: 'uploads.listParts',
  *steps(args) {
    const upload = yield* uploadAt(args)
    const parts = yield query(
      `select ${PART_COLUMNS} from part where upload_id = ? and number > ? order by number limit ?`,
      args.uploadId,
      args.after,
      args.limit + 1,
    )
    return { upload, parts: parts as PartRow[] }
  },
}

export interface PartWithKind extends PartRow {
  kind: number
  refs: number
}

/** All parts in their order, with what their contents are. */
export function* partsOf(uploadId: Uint8Array): Steps<PartWithKind[]> {
  const rows = yield query(
    `select p.number, p.size, p.modified_ms, p.etag, p.checksums, p.content_id, c.kind, c.refs
     from part p join content c on c.content_id = p.content_id where p.upload_id = ? order by p.number`,
    uploadId,
  )
  return rows as PartWithKind[]
}

export interface RemoveParts extends UploadAt {
  nowMs: number
  usagePart: number
}

/** Ends an upload that someone gives up. `isDone`: nothing is left of it; else `clearUpload` goes on. */
export const abortUpload: Script<RemoveParts, { isDone: boolean }> = {
  name: 'uploads.abort',
  *steps(args) {
    yield* uploadAt(args)
    return yield* endUpload(args)
  },
}

/** Removes some more of an ended upload. */
export const clearUpload: Script<RemoveParts, { isDone: boolean }> = {
  name: 'uploads.clear',
  *steps(args) {
    return { isDone: yield* removeSomeParts(args) }
  },
}

/** Gives up some of what is unfinished in a bucket. Throws `bucket_not_empty` where there are objects. */
export const abortSomeUploads: Script<Omit<RemoveParts, 'key' | 'uploadId'>, { isDone: boolean }> = {
  name: 'uploads.abortSome',
  *steps(args) {
    const { bucketId } = args
    for (const table of ['object', 'version'] as const) {
      const rows = yield query(`select bucket_id from ${table} where bucket_id = ? limit 1`, bucketId)
      if (rows.length > 0) throw new StoreError('bucket_not_empty', 'the bucket is not empty')
    }
    const [row] = yield query(`select ${UPLOAD_COLUMNS} from upload where bucket_id = ? limit 1`, bucketId)
    if (row === undefined) return { isDone: true }
    const { key, upload_id: uploadId } = row as UploadRow
    yield* endUpload({ ...args, key, uploadId })
    return { isDone: false }
  },
}

/** For an upload whose remaining parts are not wanted: many go in later transactions. */
export function* endUpload(args: RemoveParts): Steps<{ isDone: boolean }> {
  const isDone = yield* removeSomeParts(args)
  if (!isDone)
    yield query(
      'update upload set flags = flags | 64 where bucket_id = ? and key = ? and upload_id = ?',
      args.bucketId,
      args.key,
      args.uploadId,
    )
  return { isDone }
}

function* removeSomeParts(args: RemoveParts): Steps<boolean> {
  const parts = (yield query(
    `select ${PART_COLUMNS} from part where upload_id = ? order by number limit ?`,
    args.uploadId,
    PARTS_REMOVED_MAX,
  )) as PartRow[]
  let bytes = 0
  for (const part of parts) {
    yield* releaseContent({ blobs: null, contentId: part.content_id }, args.nowMs)
    yield query('delete from part where upload_id = ? and number = ?', args.uploadId, part.number)
    bytes += part.size
  }
  const change = { objects: -parts.length, bytes: -bytes }
  yield* addUsage({ bucketId: args.bucketId, part: args.usagePart, ...change })
  if (parts.length === PARTS_REMOVED_MAX) return false
  yield* removeUpload(args)
  return true
}

export function* removeUpload(at: UploadAt): Steps<void> {
  yield query(
    'delete from upload where bucket_id = ? and key = ? and upload_id = ?',
    at.bucketId,
    at.key,
    at.uploadId,
  )
}

/** Uploads that ended when the process did, before all of their parts were removed. */
export const endedUploads: Script<{ limit: number }, UploadRow[]> = {
  name: 'uploads.ended',
  *steps({ limit }) {
    const rows = yield query(
      `select ${UPLOAD_COLUMNS} from upload where (flags & 64) = 64 order by upload_id limit ?`,
      limit,
    )
    return rows as UploadRow[]
  },
}

export interface ListUploadRows {
  bucketId: number
  prefix: Buffer
  /** Empty: none. */
  delimiter: Buffer
  after: Buffer | undefined
  afterUploadId: Buffer | undefined
  limit: number
}

export interface UploadPage {
  items: ({ row: UploadRow } | { prefix: Buffer })[]
  isTruncated: boolean
}

/** Uploads in the order of keys, and of one key in the order in which they began. Throws `bucket_not_found`. */
export const listUploads: Script<ListUploadRows, UploadPage> = {
  name: 'uploads.list',
  *steps(args) {
    const [bucket] = yield query('select bucket_id from bucket where bucket_id = ?', args.bucketId)
    if (bucket === undefined) throw new StoreError('bucket_not_found', 'the bucket is gone')
    const items: UploadPage['items'] = []
    const end = beyondPrefix(args.prefix)
    for (let from = startPosition(args); ; ) {
      const rows = (yield query(
        `select ${UPLOAD_COLUMNS} from upload where bucket_id = ? and (key, upload_id) > (?, ?) and key < ?
           and (flags & 64) = 0 order by key, upload_id limit ?`,
        ...[args.bucketId, from.key, from.uploadId, end, BATCH_ROWS],
      )) as UploadRow[]
      for (const row of rows) {
        if (Buffer.compare(row.key, from.key) < 0) continue
        if (items.length === args.limit) return { items, isTruncated: true }
        const prefix = commonPrefix(row.key, args)
        items.push(prefix === undefined ? { row } : { prefix })
        from =
          prefix === undefined
            ? { key: row.key, uploadId: row.upload_id }
            : { key: beyondPrefix(prefix), uploadId: NO_ID }
      }
      if (rows.length < BATCH_ROWS) return { items, isTruncated: false }
    }
  },
}

const NO_ID = Buffer.alloc(0)

function startPosition(args: ListUploadRows): { key: Buffer; uploadId: Buffer } {
  const { after, afterUploadId } = args
  const isInside = after !== undefined && afterUploadId !== undefined && after.compare(args.prefix) >= 0
  if (isInside && commonPrefix(after, args) === undefined) return { key: after, uploadId: afterUploadId }
  return { key: startOf(args), uploadId: NO_ID }
}
