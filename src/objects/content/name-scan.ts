/**
 * Everything that names bytes, in one consistent state: rows of objects, versions and parts, contents and their pages, and the
 * garbage. Whole tables are read page by page; other work of the thread goes between.
 */
import type { Clock } from '../../base/clock.ts'
import { StoreError } from '../../base/errors.ts'
import { type MetaStore, query, type Row, type SqlValue, type Steps } from '../../meta/meta-store.ts'
import { KIND_CHUNKS } from './scripts.ts'

const ROWS_AT_ONCE = 1000
const PAGES_AT_ONCE = 100

/** Whose bytes they are. */
export type Owner =
  | { kind: 'object' | 'version'; bucketId: number; key: Buffer; rank: number }
  | { kind: 'part'; uploadId: Buffer; number: number }
  | { kind: 'content'; contentId: Buffer }
  | { kind: 'garbage' }

/** Told of what is found, contents before their pages. */
export interface NameVisitor {
  /** Packed entries. */
  blobs(blobs: Buffer, owner: Owner): void
  /** A content that something names. */
  reference?(contentId: Buffer, owner: Owner): void
  /** Entries of a content of segments. */
  segments?(entries: Buffer, contentId: Buffer): void
  content?(row: { content_id: Buffer; refs: number; size: number; kind: number }): void
  /** Asked after each page; true ends the scan. */
  isStopped?(): boolean
}

/** Throws `unavailable` when it is stopped, and what opening and reading a snapshot throws. */
export async function scanNames(
  { meta, clock }: { meta: MetaStore; clock: Clock },
  visitor: NameVisitor,
): Promise<void> {
  const snapshot = await meta.snapshot()
  try {
    const steps = scanSteps(visitor)
    for (let step = steps.next(); !step.done; ) {
      const rows = await snapshot.ask(step.value)
      step = steps.next(rows)
      await new Promise<void>((resolve) => clock.soon(resolve))
      if (visitor.isStopped?.()) throw new StoreError('unavailable', 'stopped')
    }
  } finally {
    await snapshot.close()
  }
}

function* scanSteps(visitor: NameVisitor): Steps<void> {
  yield* scanVersions('object', visitor)
  yield* scanVersions('version', visitor)
  yield* scanParts(visitor)
  yield* scanPages(yield* scanContents(visitor), visitor)
  yield* scanGarbage(visitor)
}

interface VersionName extends Row {
  bucket_id: number
  key: Buffer
  rank: number
  content_id: Buffer | null
  blobs: Buffer | null
}

function* scanVersions(table: 'object' | 'version', visitor: NameVisitor): Steps<void> {
  const isObject = table === 'object'
  const order = isObject ? 'bucket_id, key' : 'bucket_id, key, rank'
  const select = `select bucket_id, key, rank, content_id, blobs from ${table}
    where (${order}) > (${isObject ? '?, ?' : '?, ?, ?'}) order by ${order} limit ?`
  let from: SqlValue[] = isObject ? [-1, Buffer.alloc(0)] : [-1, Buffer.alloc(0), -1]
  for (;;) {
    const rows = (yield query(select, ...from, ROWS_AT_ONCE)) as VersionName[]
    for (const { bucket_id, key, rank, content_id, blobs } of rows) {
      const owner = { kind: table, bucketId: bucket_id, key, rank }
      if (blobs !== null) visitor.blobs(blobs, owner)
      if (content_id !== null) visitor.reference?.(content_id, owner)
    }
    const last = rows.at(-1)
    if (last === undefined || rows.length < ROWS_AT_ONCE) return
    from = isObject ? [last.bucket_id, last.key] : [last.bucket_id, last.key, last.rank]
  }
}

function* scanParts(visitor: NameVisitor): Steps<void> {
  let from: SqlValue[] = [Buffer.alloc(0), -1]
  for (;;) {
    const rows = yield query(
      `select upload_id, number, content_id from part where (upload_id, number) > (?, ?)
       order by upload_id, number limit ?`,
      ...from,
      ROWS_AT_ONCE,
    )
    for (const { upload_id, number, content_id } of rows) {
      const owner = { kind: 'part', uploadId: upload_id as Buffer, number: number as number } as const
      visitor.reference?.(content_id as Buffer, owner)
    }
    const last = rows.at(-1)
    if (last === undefined || rows.length < ROWS_AT_ONCE) return
    from = [last.upload_id!, last.number!]
  }
}

/** Gives the ids of contents of segments. */
function* scanContents(visitor: NameVisitor): Steps<ReadonlySet<string>> {
  const segments = new Set<string>()
  let from: SqlValue = Buffer.alloc(0)
  for (;;) {
    const rows: Row[] = yield query(
      'select content_id, refs, size, kind from content where content_id > ? order by content_id limit ?',
      from,
      ROWS_AT_ONCE,
    )
    for (const row of rows) {
      visitor.content?.(row as { content_id: Buffer; refs: number; size: number; kind: number } & Row)
      if (row.kind !== KIND_CHUNKS) segments.add((row.content_id as Buffer).toString('latin1'))
    }
    const last = rows.at(-1)
    if (last === undefined || rows.length < ROWS_AT_ONCE) return segments
    from = last.content_id!
  }
}

function* scanPages(segments: ReadonlySet<string>, visitor: NameVisitor): Steps<void> {
  let from: SqlValue[] = [Buffer.alloc(0), -1]
  for (;;) {
    const rows = yield query(
      `select content_id, page, entries from content_page where (content_id, page) > (?, ?)
       order by content_id, page limit ?`,
      ...from,
      PAGES_AT_ONCE,
    )
    for (const row of rows) {
      const [contentId, entries] = [row.content_id as Buffer, row.entries as Buffer]
      if (segments.has(contentId.toString('latin1'))) visitor.segments?.(entries, contentId)
      else visitor.blobs(entries, { kind: 'content', contentId })
    }
    const last = rows.at(-1)
    if (last === undefined || rows.length < PAGES_AT_ONCE) return
    from = [last.content_id!, last.page!]
  }
}

function* scanGarbage(visitor: NameVisitor): Steps<void> {
  let from: SqlValue[] = [-1, Buffer.alloc(0)]
  for (;;) {
    const rows = yield query(
      `select due_ms, nonce, blobs, content_id from garbage where (due_ms, nonce) > (?, ?)
       order by due_ms, nonce limit ?`,
      ...from,
      ROWS_AT_ONCE,
    )
    for (const { blobs, content_id } of rows) {
      if (blobs !== null) visitor.blobs(blobs as Buffer, { kind: 'garbage' })
      if (content_id !== null) visitor.reference?.(content_id as Buffer, { kind: 'garbage' })
    }
    const last = rows.at(-1)
    if (last === undefined || rows.length < ROWS_AT_ONCE) return
    from = [last.due_ms!, last.nonce!]
  }
}
