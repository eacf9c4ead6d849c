/** An upload becomes an object: its parts' contents are named by one content of segments, in one transaction. */
import { StoreError } from '../../base/errors.ts'
import { CONTENT_PAGE_ENTRIES, OBJECT_BYTES_MAX, OBJECT_SEGMENTS_MAX } from '../../base/limits.ts'
import { query, type Script, type Steps } from '../../meta/meta-store.ts'
import { addReferences, onContents, releaseContent, shareByHash } from '../content-steps.ts'
import { versionAt } from '../find-steps.ts'
import type {
  Checksum,
  CompleteUpload,
  Conditions,
  EncryptionKind,
  ObjectAttributes,
  ObjectLock,
} from '../object-store.ts'
import { type NewContent, VERSION_COLUMNS, type VersionRow } from '../parts.ts'
import { type PutOutcome, putVersion, VERSIONING_ENABLED } from '../put-version.ts'
import { attributesOf, attributesText, lockOf, versionIdOfRow } from '../rows.ts'
import { addUsage } from '../usage-steps.ts'
import { packSegments, SEGMENT_ENTRY_BYTES, type SegmentEntry, unpackSegments } from './entries.ts'
import { checksumOf, checksumOfParts, etagOfParts, type SummedPart } from './part-checksums.ts'
import { KIND_SEGMENTS } from './scripts.ts'
import {
  endUpload,
  noUpload,
  type PartWithKind,
  partsOf,
  removeUpload,
  type UploadNotes,
  type UploadRow,
  uploadAt,
} from './upload-scripts.ts'

/** Versions of a key that are searched for an upload that was completed before. */
const VERSIONS_SEARCHED_MAX = 16

export interface CompleteArgs {
  bucketId: number
  key: Buffer
  uploadId: Buffer
  parts: CompleteUpload['parts']
  conditions: Conditions | undefined
  sizeBytes: number | undefined
  checksum: Checksum | undefined
  /** Of the bytes of all parts, as the caller has found. */
  sha256: Buffer | undefined
  /** Bytes that are there with this hash cannot be read. */
  replacesEqual: boolean
  /** Every part but the last has at least so many. */
  partBytesMin: number
  /** For the object's content: 16 random bytes. */
  contentId: Buffer
  nowMs: number
  usagePart: number
  nonce: Uint8Array
}

export interface Completed extends PutOutcome {
  etag: string
  sizeBytes: number
  checksum: Checksum | undefined
  encryption: EncryptionKind | undefined
  /** False: parts that were not wanted are still to be removed. */
  isDone: boolean
}

/**
 * Throws `upload_not_found`, `invalid_part`, `part_too_small`, `too_large`, `digest_mismatch`, `bad_request`, and as
 * `putVersion` does. What is completed already, and is still there, gives what it gave.
 */
export const completeUpload: Script<CompleteArgs, Completed> = {
  name: 'uploads.complete',
  *steps(args) {
    const before = yield* completedBefore(args)
    if (before !== undefined) return before
    const upload = yield* uploadAt(args)
    const all = yield* partsOf(args.uploadId)
    const parts = chosenParts(args, all)
    const notes = JSON.parse(upload.attributes) as UploadNotes
    const sizeBytes = parts.reduce((sum, { size }) => sum + size, 0)
    const sums = parts.map(summed)
    const checksum = wholeChecksum(args, notes, sums)
    checkWhole(args, notes, { sizeBytes, checksum })
    const etag = etagOfParts(sums)
    const known = yield* knownContent(args, parts)
    if (known === undefined) yield* takeParts(args, all, parts)
    const put = yield* putVersion({
      ...args,
      content: known ?? (yield* contentOfParts(args, parts)),
      sizeBytes,
      etag,
      attributes: attributesText(attributesOfParts(args, notes, { sums, checksum })),
      tags: upload.tags,
      lock: lockOfUpload(upload),
      event: 'ObjectCreated:CompleteMultipartUpload',
    })
    const isAllTaken = known === undefined && parts.length === all.length
    const { isDone } = isAllTaken ? yield* allTaken(args) : yield* endUpload(args)
    return { ...put, etag, sizeBytes, checksum, encryption: notes.attributes.encryption?.kind, isDone }
  },
}

/** A client that did not hear the answer asks again. */
function* completedBefore(args: CompleteArgs): Steps<Completed | undefined> {
  const [upload] = yield query(
    'select flags from upload where bucket_id = ? and key = ? and upload_id = ? and (flags & 64) = 0',
    args.bucketId,
    args.key,
    args.uploadId,
  )
  if (upload !== undefined) return undefined
  const uploadId = args.uploadId.toString('hex')
  const present = yield* versionAt({ ...args, version: undefined })
  const earlier = (yield query(
    `select ${VERSION_COLUMNS} from version where bucket_id = ? and key = ? order by rank limit ?`,
    args.bucketId,
    args.key,
    VERSIONS_SEARCHED_MAX,
  )) as VersionRow[]
  const rows = present === undefined ? earlier : [present.row, ...earlier]
  const row = rows.find((each) => attributesOf(each).uploadId === uploadId)
  if (row === undefined || row.etag !== etagOfParts(args.parts)) throw noUpload()
  const [bucket] = yield query('select versioning from bucket where bucket_id = ?', args.bucketId)
  return {
    versionId: versionIdOfRow(row),
    modifiedMs: row.modified_ms,
    isVersioned: bucket?.versioning === VERSIONING_ENABLED,
    etag: row.etag,
    sizeBytes: row.size,
    checksum: attributesOf(row).checksum,
    encryption: attributesOf(row).encryption?.kind,
    isDone: true,
  }
}

function chosenParts(args: CompleteArgs, all: readonly PartWithKind[]): PartWithKind[] {
  const byNumber = new Map(all.map((part) => [part.number, part]))
  return args.parts.map(({ number, etag, checksum }, at) => {
    const part = byNumber.get(number)
    if (part === undefined || part.etag !== etag)
      throw new StoreError('invalid_part', `part ${number} was not uploaded with this ETag`)
    const stored = checksumOf(part.checksums)
    if (checksum !== undefined && stored !== undefined)
      if (checksum.algorithm !== stored.algorithm || checksum.value !== stored.value)
        throw new StoreError('invalid_part', `part ${number} has another checksum`)
    if (part.size < args.partBytesMin && at < args.parts.length - 1)
      throw new StoreError('part_too_small', `part ${number} has fewer than ${args.partBytesMin} bytes`)
    return part
  })
}

const summed = (part: PartWithKind): SummedPart => ({
  sizeBytes: part.size,
  etag: part.etag,
  checksum: checksumOf(part.checksums),
})

/** What the upload was begun with; or what the client says of the whole, where the parts allow to check that. */
function wholeChecksum(args: CompleteArgs, notes: UploadNotes, sums: SummedPart[]): Checksum | undefined {
  if (notes.checksum !== undefined) return checksumOfParts(sums, notes.checksum)
  return args.checksum === undefined ? undefined : checksumOfParts(sums, args.checksum)
}

function checkWhole(
  args: CompleteArgs,
  notes: UploadNotes,
  { sizeBytes, checksum }: { sizeBytes: number; checksum: Checksum | undefined },
): void {
  if (sizeBytes > OBJECT_BYTES_MAX)
    throw new StoreError('too_large', `an object has at most ${OBJECT_BYTES_MAX} bytes`)
  if (args.sizeBytes !== undefined && args.sizeBytes !== sizeBytes)
    throw new StoreError('bad_request', `the parts have ${sizeBytes} bytes, not ${args.sizeBytes}`)
  if (args.checksum === undefined) return
  const { algorithm, value } = args.checksum
  // Of an upload that was begun without one S3 takes a checksum that nothing can be compared with, and forgets it.
  if (checksum === undefined && notes.checksum === undefined) return
  if (checksum === undefined || checksum.algorithm !== algorithm)
    throw new StoreError('bad_request', `the parts have no ${algorithm} checksums`)
  // Some clients leave out the number of parts.
  const isSame = checksum.value === value || checksum.value.split('-')[0] === value
  if (!isSame) throw new StoreError('digest_mismatch', `the object has another ${algorithm}`)
}

/** The parts are no parts any more; their references become those of the object's segments. */
function* takeParts(
  args: CompleteArgs,
  all: readonly PartWithKind[],
  parts: readonly PartWithKind[],
): Steps<void> {
  if (parts.length === all.length) yield query('delete from part where upload_id = ?', args.uploadId)
  else yield* removeParts(args, parts)
  const bytes = -parts.reduce((sum, { size }) => sum + size, 0)
  yield* addUsage({ bucketId: args.bucketId, part: args.usagePart, objects: -parts.length, bytes })
}

/** Parts that one statement removes: its text must be one of two. */
const PARTS_PER_STATEMENT = 25
const REMOVE_PARTS = `delete from part where upload_id = ? and number in (${Array(PARTS_PER_STATEMENT).fill('?').join(', ')})`
const REMOVE_PART = 'delete from part where upload_id = ? and number = ?'

function* removeParts({ uploadId }: CompleteArgs, parts: readonly PartWithKind[]): Steps<void> {
  for (let at = 0; at < parts.length; ) {
    const count = parts.length - at >= PARTS_PER_STATEMENT ? PARTS_PER_STATEMENT : 1
    const numbers = parts.slice(at, at + count).map(({ number }) => number)
    yield query(count === 1 ? REMOVE_PART : REMOVE_PARTS, uploadId, ...numbers)
    at += count
  }
}

function* contentOfParts(args: CompleteArgs, parts: readonly PartWithKind[]): Steps<NewContent> {
  const [only] = parts
  if (parts.length === 1) {
    const { sha256, bucketId } = args
    if (sha256 !== undefined)
      yield query(
        `update content set sha256 = ? where content_id = ?
           and not exists (select 1 from content where bucket_id = ? and sha256 = ?)`,
        ...[sha256, only!.content_id, bucketId, sha256],
      )
    return { kind: 'taken', blobs: null, contentId: only!.content_id }
  }
  const segments: SegmentEntry[] = []
  const dissolved = yield* dissolve(parts, args.nowMs)
  for (const { content_id, kind, size } of parts) {
    if (kind === KIND_SEGMENTS)
      for (const segment of dissolved.get(nameOf(content_id))!) segments.push(segment)
    else if (size > 0) segments.push({ contentId: content_id, offset: 0, sizeBytes: size })
    else yield* releaseContent({ blobs: null, contentId: content_id }, args.nowMs)
    if (segments.length > OBJECT_SEGMENTS_MAX)
      throw new StoreError('too_large', `an object has at most ${OBJECT_SEGMENTS_MAX} segments`)
  }
  const pages = segmentPages(segments)
  const { contentId, sha256 } = args
  return { kind: 'pages', contentId, entries: 'segments', pages, ...(sha256 && { sha256 }) }
}

/** Bytes that the bucket has already: one reference more, and the parts are not needed. */
function* knownContent(args: CompleteArgs, parts: readonly PartWithKind[]): Steps<NewContent | undefined> {
  const { bucketId, sha256, replacesEqual } = args
  // A part that is the whole has taken the place of what was there.
  if (sha256 === undefined || parts.length === 1) return undefined
  if (replacesEqual) {
    yield query('update content set sha256 = null where bucket_id = ? and sha256 = ?', bucketId, sha256)
    return undefined
  }
  const contentId = yield* shareByHash(bucketId, sha256)
  return contentId === undefined ? undefined : { kind: 'taken', blobs: null, contentId }
}

export function segmentPages(segments: readonly SegmentEntry[]): Buffer[] {
  const pages: Buffer[] = []
  for (let at = 0; at < segments.length; at += CONTENT_PAGE_ENTRIES)
    pages.push(packSegments(segments.slice(at, at + CONTENT_PAGE_ENTRIES)))
  return pages
}

const nameOf = (contentId: Buffer) => contentId.toString('latin1')

/**
 * The segments of those parts that are made of some, by content. They are taken out of contents that only a part names; what they
 * refer to stays counted once.
 */
function* dissolve(parts: readonly PartWithKind[], nowMs: number): Steps<Map<string, SegmentEntry[]>> {
  const made = parts.filter(({ kind }) => kind === KIND_SEGMENTS)
  const segments = new Map<string, SegmentEntry[]>(made.map(({ content_id }) => [nameOf(content_id), []]))
  const pages = yield* onContents(
    [...segments.keys()].map((name) => Buffer.from(name, 'latin1')),
    (ids) =>
      `select content_id, entries from content_page where content_id in (${ids}) order by content_id, page`,
  )
  for (const { content_id, entries } of pages) {
    const list = segments.get(nameOf(content_id as Buffer))!
    for (const segment of unpackSegments(entries as Buffer)) list.push(segment)
  }
  const own = made.filter(({ refs }) => refs === 1).map(({ content_id }) => content_id)
  for (const table of ['content_page', 'content'] as const)
    yield* onContents(own, (ids) => `delete from ${table} where content_id in (${ids})`)
  for (const { content_id, refs } of made) {
    if (refs === 1) continue
    yield* addReferences(segments.get(nameOf(content_id))!.map(({ contentId }) => contentId))
    yield* releaseContent({ blobs: null, contentId: content_id }, nowMs)
  }
  return segments
}

/** All segments of a content of segments. */
export function* segmentsOf(contentId: Buffer): Steps<SegmentEntry[]> {
  const segments: SegmentEntry[] = []
  for (let page = 0; ; page++) {
    const [row] = yield query(
      'select entries from content_page where content_id = ? and page = ?',
      contentId,
      page,
    )
    const entries = row?.entries as Buffer | undefined
    if (entries !== undefined) segments.push(...unpackSegments(entries))
    if (entries === undefined || entries.length < CONTENT_PAGE_ENTRIES * SEGMENT_ENTRY_BYTES) return segments
  }
}

function attributesOfParts(
  args: CompleteArgs,
  notes: UploadNotes,
  whole: { sums: SummedPart[]; checksum: Checksum | undefined },
): ObjectAttributes {
  const { sums, checksum } = whole
  const checksums = sums.map((part) => part.checksum)
  const attributes: ObjectAttributes = {
    ...notes.attributes,
    partSizes: sums.map(({ sizeBytes }) => sizeBytes),
    uploadId: args.uploadId.toString('hex'),
  }
  if (checksum === undefined) return attributes
  attributes.checksum = checksum
  attributes.partChecksums = checksums.map((each) => each!.value)
  return attributes
}

/** Undefined: what the bucket has for all. */
function lockOfUpload(upload: UploadRow): ObjectLock | undefined {
  const lock = lockOf(upload)
  return lock.mode === undefined && lock.legalHold === undefined ? undefined : lock
}

function* allTaken(args: CompleteArgs): Steps<{ isDone: boolean }> {
  yield* removeUpload(args)
  return { isDone: true }
}
