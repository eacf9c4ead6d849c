/**
 * Bytes at the end of an object, in one transaction. Blobs are merged while they fit the object's row, then in one page of
 * a content that nothing else names; what does not fit becomes a segment. So a file that grows by small pieces has few rows.
 */
import { assert } from '../../base/assert.ts'
import { StoreError } from '../../base/errors.ts'
import {
  CONTENT_PAGE_ENTRIES,
  INLINE_BLOBS_MAX,
  OBJECT_BYTES_MAX,
  OBJECT_SEGMENTS_MAX,
} from '../../base/limits.ts'
import { query, type Row, type Script, type Steps } from '../../meta/meta-store.ts'
import { addReferences, insertContent } from '../content-steps.ts'
import { attributesOfBytes } from '../copy-version.ts'
import type { ObjectAttributes } from '../object-store.ts'
import type { NewContent, VersionRow } from '../parts.ts'
import {
  type PutOutcome,
  type PutVersion,
  presentOf,
  putVersion,
  VERSIONING_OFF,
  writeFacts,
} from '../put-version.ts'
import { attributesOf, attributesText } from '../rows.ts'
import { isExpiredRow } from '../tree-life.ts'
import { segmentPages, segmentsOf } from './complete-upload.ts'
import {
  BLOB_ENTRY_BYTES,
  packSegments,
  readU64,
  SEGMENT_ENTRY_BYTES,
  type SegmentEntry,
  writeU64,
} from './entries.ts'
import { etagOfParts } from './part-checksums.ts'
import { KIND_CHUNKS } from './scripts.ts'

/** Pages of a content that is added to stay below a full one, which would mean chunks of one length. */
const MERGED_ENTRIES_MAX = CONTENT_PAGE_ENTRIES - 1

export interface AppendObject extends Omit<PutVersion, 'keepsReplaced'> {
  /** Random, 16 bytes each, for contents that may have to be made. */
  wholeId: Buffer
  presentId: Buffer
  addedId: Buffer
  /** The wrapped key of the new bytes, which must be that of the bytes that are there. */
  encryptionKey: string | undefined
}

export interface Appended extends PutOutcome {
  etag: string
  sizeBytes: number
}

/** What the object has afterwards. */
interface Joined {
  content: NewContent
  keepsReplaced: boolean
}

/** Throws `conflict` where versions are kept, or the object has another key by now; `too_large`; and as `putVersion` does. */
export const appendObject: Script<AppendObject, Appended> = {
  name: 'objects.append',
  *steps(args) {
    const facts = yield* writeFacts(args)
    if (facts.versioning !== VERSIONING_OFF)
      throw new StoreError('conflict', 'nothing is appended where versions are kept')
    const present = presentOf(facts)
    const [row] = (yield query(
      'select attributes, tags, modified_ms from object where bucket_id = ? and key = ?',
      args.bucketId,
      args.key,
    )) as Pick<VersionRow, 'attributes' | 'tags' | 'modified_ms'>[]
    if (present === undefined || row === undefined || isExpiredRow(row, args.nowMs)) {
      const put = yield* putVersion(args)
      return { ...put, etag: args.etag, sizeBytes: args.sizeBytes }
    }
    const { tags } = row
    const kept = keptAttributes(attributesOf(row), args)
    const sizeBytes = present.size + args.sizeBytes
    if (sizeBytes > OBJECT_BYTES_MAX)
      throw new StoreError('too_large', `an object has at most ${OBJECT_BYTES_MAX} bytes`)
    const etag = args.sizeBytes === 0 ? present.etag : appendedEtag(present.etag, args.etag)
    const put = yield* putVersion({
      ...args,
      ...(yield* join(args, present)),
      sizeBytes,
      etag,
      attributes: attributesText(kept),
      tags,
    })
    return { ...put, etag, sizeBytes }
  },
}

/** What says something of the bytes that were there is not true of all. */
function keptAttributes(attributes: ObjectAttributes, args: AppendObject): ObjectAttributes {
  const { encryption } = attributes
  if (encryption?.key !== args.encryptionKey)
    throw new StoreError('conflict', 'the object was replaced while bytes for its end were encrypted')
  const kept = { ...attributes }
  for (const name of Object.keys(attributesOfBytes(attributes))) delete kept[name as keyof ObjectAttributes]
  return encryption === undefined ? kept : { ...kept, encryption }
}

/** As of an object in parts, with one part more each time. */
function appendedEtag(present: string, added: string): string {
  const [hex, count = '1'] = present.split('-')
  const [both] = etagOfParts([{ etag: hex! }, { etag: added }]).split('-')
  return `${both}-${Number(count) + 1}`
}

function* join(args: AppendObject, present: VersionRow): Steps<Joined> {
  const { content } = args
  const taken = (blobs: Uint8Array | null, contentId: Uint8Array | null): Joined => ({
    content: { kind: 'taken', blobs, contentId },
    keepsReplaced: true,
  })
  if (content.kind === 'none') return taken(present.blobs, present.content_id)
  if (present.size === 0) return { content, keepsReplaced: false }
  if (content.kind === 'inline' && present.blobs !== null) {
    const blobs = Buffer.concat([present.blobs, content.blobs])
    if (blobs.length <= INLINE_BLOBS_MAX * BLOB_ENTRY_BYTES) return taken(blobs, null)
    return { content: chunksOf(args.presentId, blobs), keepsReplaced: true }
  }
  if (content.kind === 'inline' && (yield* mergeInto(present.content_id!, args)))
    return taken(null, present.content_id)
  return yield* joinSegments(args, present)
}

const chunksOf = (contentId: Buffer, blobs: Uint8Array): NewContent => ({
  kind: 'pages',
  contentId,
  entries: 'chunks',
  pages: [blobs],
})

interface ContentRow extends Row {
  refs: number
  size: number
  kind: number
  sha256: Buffer | null
}

function* contentRow(contentId: Buffer): Steps<ContentRow> {
  const [row] = yield query('select refs, size, kind, sha256 from content where content_id = ?', contentId)
  assert(row !== undefined, 'a content is there while it is named')
  return row as ContentRow
}

/** Adds blobs to a content of chunks, or to the last of its segments, where nothing else names them. */
function* mergeInto(contentId: Buffer, args: AppendObject): Steps<boolean> {
  const content = yield* contentRow(contentId)
  if (content.refs !== 1) return false
  if (content.kind === KIND_CHUNKS) return yield* mergeChunks(contentId, content, args)
  const { page, entries } = yield* lastPage(contentId)
  const at = entries.length - SEGMENT_ENTRY_BYTES
  const last = entries.subarray(at, at + 16)
  const inner = yield* contentRow(last)
  const isWhole = readU64(entries, at + 16) === 0 && readU64(entries, at + 24) === inner.size
  if (inner.refs !== 1 || !isWhole || !(yield* mergeChunks(last, inner, args))) return false
  const grown = Buffer.from(entries)
  writeU64(grown, inner.size + args.sizeBytes, at + 24)
  yield* setPage(contentId, page, grown)
  yield* grow(contentId, args.sizeBytes)
  return true
}

function* mergeChunks(contentId: Buffer, content: ContentRow, args: AppendObject): Steps<boolean> {
  assert(args.content.kind === 'inline', 'only blobs are merged')
  if (content.sha256 !== null) return false
  const entries = yield* pageOf(contentId, 0)
  const merged = Buffer.concat([entries, args.content.blobs])
  if (merged.length > MERGED_ENTRIES_MAX * BLOB_ENTRY_BYTES) return false
  yield* setPage(contentId, 0, merged)
  yield* grow(contentId, args.sizeBytes)
  return true
}

/** The present bytes as segments, and the new ones behind them. */
function* joinSegments(args: AppendObject, present: VersionRow): Steps<Joined> {
  const added = yield* addedContent(args)
  const kind = present.content_id === null ? undefined : (yield* contentRow(present.content_id)).kind
  if (kind !== undefined && kind !== KIND_CHUNKS) return yield* addSegment(args, present, added)
  const before = yield* presentContent(args, present)
  const segments = [{ contentId: before, offset: 0, sizeBytes: present.size }, added]
  return {
    content: { kind: 'pages', contentId: args.wholeId, entries: 'segments', pages: segmentPages(segments) },
    keepsReplaced: true,
  }
}

/** The new bytes as a content that a segment names. */
function* addedContent(args: AppendObject): Steps<SegmentEntry> {
  const { content, addedId } = args
  const place = yield* insertContent({
    ...args,
    content: content.kind === 'inline' ? chunksOf(addedId, content.blobs) : content,
  })
  assert(place.contentId !== null, 'new bytes are a content')
  return { contentId: Buffer.from(place.contentId), offset: 0, sizeBytes: args.sizeBytes }
}

/** The object's reference to its bytes becomes that of the first segment. */
function* presentContent(args: AppendObject, present: VersionRow): Steps<Buffer> {
  if (present.content_id !== null) return present.content_id
  assert(present.blobs !== null, 'an object with bytes has them somewhere')
  yield* insertContent({
    bucketId: args.bucketId,
    nowMs: args.nowMs,
    sizeBytes: present.size,
    content: chunksOf(args.presentId, present.blobs),
  })
  return args.presentId
}

function* addSegment(args: AppendObject, present: VersionRow, added: SegmentEntry): Steps<Joined> {
  const contentId = present.content_id!
  const content = yield* contentRow(contentId)
  if (content.refs > 1) {
    const segments = [...(yield* segmentsOf(contentId)), added]
    yield* addReferences(segments.slice(0, -1).map(({ contentId }) => contentId))
    return {
      content: { kind: 'pages', contentId: args.wholeId, entries: 'segments', pages: segmentPages(segments) },
      keepsReplaced: false,
    }
  }
  const { page, entries } = yield* lastPage(contentId)
  if (page * CONTENT_PAGE_ENTRIES >= OBJECT_SEGMENTS_MAX)
    throw new StoreError('too_large', `an object has at most ${OBJECT_SEGMENTS_MAX} segments`)
  const entry = packSegments([added])
  if (entries.length < CONTENT_PAGE_ENTRIES * SEGMENT_ENTRY_BYTES)
    yield* setPage(contentId, page, Buffer.concat([entries, entry]))
  else
    yield query(
      'insert into content_page (content_id, page, entries) values (?, ?, ?)',
      contentId,
      page + 1,
      entry,
    )
  yield* grow(contentId, added.sizeBytes)
  return { content: { kind: 'taken', blobs: null, contentId }, keepsReplaced: true }
}

function* lastPage(contentId: Buffer): Steps<{ page: number; entries: Buffer }> {
  const [row] = yield query(
    'select page, entries from content_page where content_id = ? order by page desc limit 1',
    contentId,
  )
  assert(row !== undefined, 'a content with bytes has a page')
  return { page: row.page as number, entries: row.entries as Buffer }
}

function* pageOf(contentId: Buffer, page: number): Steps<Buffer> {
  const [row] = yield query(
    'select entries from content_page where content_id = ? and page = ?',
    contentId,
    page,
  )
  assert(row !== undefined, 'a content with bytes has a page')
  return row.entries as Buffer
}

function* setPage(contentId: Buffer, page: number, entries: Buffer): Steps<void> {
  yield query(
    'update content_page set entries = ? where content_id = ? and page = ?',
    entries,
    contentId,
    page,
  )
}

function* grow(contentId: Buffer, bytes: number): Steps<void> {
  yield query('update content set size = size + ? where content_id = ?', bytes, contentId)
}
