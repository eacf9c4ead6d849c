/** Steps that keep the counts of contents right, and give bytes that no row names any more to the collector. */
import { assert } from '../base/assert.ts'
import { GARBAGE_DELAY_MS } from '../base/limits.ts'
import { query, type Row, type Steps } from '../meta/meta-store.ts'
import type { ContentPlace, NewContent } from './parts.ts'

/** The first blob's volume, key and cookie: unique, as a content id is. */
const BLOB_NAME_BYTES = 16
const ENTRY_BYTES = 20
const CONTENT_KINDS = { chunks: 1, segments: 2 } as const

/**
 * For a row that goes, or gets other bytes: one reference less; and what nothing refers to is garbage, due after the
 * usual delay. A `garbage` row is named by what it holds, so that scripts need no randomness for it.
 */
export function* releaseContent(place: ContentPlace, nowMs: number): Steps<void> {
  const { blobs, contentId } = place
  if (blobs !== null) yield garbage(nowMs, blobs.subarray(0, BLOB_NAME_BYTES), place)
  if (contentId === null) return
  // A content that waits for the collector is not found by its hash any more.
  const [left] = yield query(
    `update content set refs = refs - 1, sha256 = case when refs = 1 then null else sha256 end
     where content_id = ? returning refs`,
    contentId,
  )
  assert(left !== undefined && (left.refs as number) >= 0, 'a content is there while it is named')
  if (left.refs === 0) yield garbage(nowMs, contentId, place)
}

function garbage(nowMs: number, nonce: Uint8Array, place: ContentPlace) {
  return query(
    'insert into garbage (due_ms, nonce, blobs, content_id) values (?, ?, ?, ?)',
    nowMs + GARBAGE_DELAY_MS,
    nonce,
    place.blobs,
    place.contentId,
  )
}

export interface InsertContent {
  bucketId: number
  content: NewContent
  sizeBytes: number
  nowMs: number
}

/** One reference to new bytes: what the row is to have. */
export function* insertContent(args: InsertContent): Steps<ContentPlace> {
  const { content, bucketId } = args
  if (content.kind === 'none') return { blobs: null, contentId: null }
  if (content.kind === 'inline') return { blobs: content.blobs, contentId: null }
  if (content.kind === 'taken') return { blobs: content.blobs, contentId: content.contentId }
  if (content.sha256 !== undefined) {
    const known = yield* shareByHash(bucketId, content.sha256)
    if (known !== undefined) {
      yield* replacePages(args, content, known)
      return { blobs: null, contentId: known }
    }
  }
  yield query(
    'insert into content (content_id, bucket_id, refs, size, kind, sha256) values (?, ?, 1, ?, ?, ?)',
    ...[content.contentId, bucketId, args.sizeBytes, CONTENT_KINDS[content.entries], content.sha256 ?? null],
  )
  yield* insertPages(content.contentId, content)
  return { blobs: null, contentId: content.contentId }
}

/** One more reference to the content with this hash; undefined: there is none. */
export function* shareByHash(bucketId: number, sha256: Uint8Array): Steps<Buffer | undefined> {
  const [content] = yield query(
    'update content set refs = refs + 1 where bucket_id = ? and sha256 = ? returning content_id',
    bucketId,
    sha256,
  )
  return content?.content_id as Buffer | undefined
}

/** Contents that one statement names: its text must be one of two. */
const CONTENTS_PER_STATEMENT = 25
const MANY_CONTENTS = Array(CONTENTS_PER_STATEMENT).fill('?').join(', ')

/** Runs a statement on all of these contents, many at a time. `sqlOf` is given what stands for the ids of some. */
export function* onContents(contentIds: readonly Uint8Array[], sqlOf: (ids: string) => string): Steps<Row[]> {
  const rows: Row[] = []
  for (let at = 0; at < contentIds.length; ) {
    const count = contentIds.length - at >= CONTENTS_PER_STATEMENT ? CONTENTS_PER_STATEMENT : 1
    const params = contentIds.slice(at, at + count)
    for (const row of yield { sql: sqlOf(count === 1 ? '?' : MANY_CONTENTS), params }) rows.push(row)
    at += count
  }
  return rows
}

/** One more reference to a content for each time that it is named here. */
export function* addReferences(contentIds: readonly Buffer[]): Steps<void> {
  const counts = new Map<string, { contentId: Buffer; count: number }>()
  for (const contentId of contentIds) {
    const name = contentId.toString('latin1')
    const known = counts.get(name)
    if (known === undefined) counts.set(name, { contentId, count: 1 })
    else known.count++
  }
  const once: Buffer[] = []
  for (const { contentId, count } of counts.values()) {
    if (count === 1) once.push(contentId)
    else yield query('update content set refs = refs + ? where content_id = ?', count, contentId)
  }
  yield* onContents(once, (ids) => `update content set refs = refs + 1 where content_id in (${ids})`)
}

type Pages = Extract<NewContent, { kind: 'pages' }>

/**
 * Bytes that are there come again: the new ones are kept, for whoever has them, because the ones before may be damaged or lost.
 * Those become garbage under the id that the new ones were to have.
 */
function* replacePages({ nowMs }: InsertContent, content: Pages, known: Buffer): Steps<void> {
  const { contentId, entries } = content
  assert(entries === 'chunks', 'what others may have segments of is no segments itself')
  yield query(
    `insert into content (content_id, bucket_id, refs, size, kind, sha256)
     select ?, bucket_id, 0, size, kind, null from content where content_id = ?`,
    contentId,
    known,
  )
  yield query('update content_page set content_id = ? where content_id = ?', contentId, known)
  yield query('update content set kind = ? where content_id = ?', CONTENT_KINDS[entries], known)
  yield* insertPages(known, content)
  yield garbage(nowMs, contentId, { blobs: null, contentId })
}

function* insertPages(contentId: Uint8Array, { pages }: Pages): Steps<void> {
  for (const [page, entries] of pages.entries())
    yield query(
      'insert into content_page (content_id, page, entries) values (?, ?, ?)',
      contentId,
      page,
      entries,
    )
}

export interface ShareContent {
  /** Which row: its bytes become a content when they are blobs of it alone. */
  row: ContentPlace & { bucketId: number; key: Uint8Array; rank: number; sizeBytes: number }
  /** For a content that must be made: 16 random bytes. */
  contentId: Uint8Array
}

/** One more reference to the bytes of an object or version. */
export function* shareContent({ row, contentId }: ShareContent): Steps<ContentPlace> {
  if (row.contentId !== null) {
    yield query('update content set refs = refs + 1 where content_id = ?', row.contentId)
    return { blobs: null, contentId: row.contentId }
  }
  if (row.blobs === null) return { blobs: null, contentId: null }
  assert(row.blobs.length % ENTRY_BYTES === 0, 'blobs are whole entries')
  yield query(
    'insert into content (content_id, bucket_id, refs, size, kind, sha256) values (?, ?, 2, ?, 1, null)',
    contentId,
    row.bucketId,
    row.sizeBytes,
  )
  yield query('insert into content_page (content_id, page, entries) values (?, 0, ?)', contentId, row.blobs)
  const where = [contentId, row.bucketId, row.key, row.rank] as const
  const set = 'set blobs = null, content_id = ? where bucket_id = ? and key = ? and rank = ?'
  const changed: Row[] = yield query(`update object ${set} returning rank`, ...where)
  if (changed.length === 0) yield query(`update version ${set}`, ...where)
  return { blobs: null, contentId }
}
