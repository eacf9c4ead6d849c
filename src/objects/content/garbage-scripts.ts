/** Scripts about bytes that are to be removed: each takes a bounded step, and can be taken again. */
import { GARBAGE_PAGES_AT_ONCE, GARBAGE_SEGMENTS_AT_ONCE } from '../../base/limits.ts'
import { query, type Row, type Script, type Steps } from '../../meta/meta-store.ts'
import { releaseContent } from '../content-steps.ts'
import { SEGMENT_ENTRY_BYTES, unpackSegments } from './entries.ts'
import { KIND_SEGMENTS } from './scripts.ts'

export interface GarbageRow extends Row {
  due_ms: number
  nonce: Buffer
  blobs: Buffer | null
  content_id: Buffer | null
}

/** Names a row of `garbage`. */
export interface GarbageKey {
  dueMs: number
  nonce: Uint8Array
}

export interface LeaveBlobs extends GarbageKey {
  /** Packed entries, a few hundred at most. */
  blobs: Uint8Array
}

/** Blobs for the collector that no row names. */
export const leaveBlobs: Script<LeaveBlobs, null> = {
  name: 'content.leave',
  *steps({ blobs, nonce, dueMs }) {
    yield query(
      'insert into garbage (due_ms, nonce, blobs, content_id) values (?, ?, ?, null)',
      dueMs,
      nonce,
      blobs,
    )
    return null
  },
}

export const dueGarbage: Script<{ nowMs: number; limit: number }, GarbageRow[]> = {
  name: 'garbage.due',
  *steps({ nowMs, limit }) {
    const rows = yield query(
      `select due_ms, nonce, blobs, content_id from garbage where due_ms <= ? order by due_ms, nonce limit ?`,
      nowMs,
      limit,
    )
    return rows as GarbageRow[]
  },
}

/** How many rows there are, as far as `limit`. */
export const countGarbage: Script<{ limit: number }, number> = {
  name: 'garbage.count',
  *steps({ limit }) {
    const [row] = yield query(
      'select count(*) as rows from (select due_ms from garbage limit ?) as some_rows',
      limit,
    )
    return Number(row!.rows)
  },
}

/** For rows whose blobs are removed. */
export const dropGarbage: Script<{ rows: readonly GarbageKey[] }, null> = {
  name: 'garbage.drop',
  *steps({ rows }) {
    for (const row of rows) yield* dropRow(row)
    return null
  },
}

function* dropRow({ dueMs, nonce }: GarbageKey): Steps<void> {
  yield query('delete from garbage where due_ms = ? and nonce = ?', dueMs, nonce)
}

export const postponeGarbage: Script<{ row: GarbageKey; untilMs: number }, null> = {
  name: 'garbage.postpone',
  *steps({ row, untilMs }) {
    yield query('update garbage set due_ms = ? where due_ms = ? and nonce = ?', untilMs, row.dueMs, row.nonce)
    return null
  },
}

export interface GarbageStep {
  row: GarbageKey
  contentId: Uint8Array
  /** The pages that were read before, whose blobs are removed by now. */
  emptied: readonly number[]
  nowMs: number
}

/** What is left of a content: blobs to be removed before the next step, or nothing. */
export interface GarbageLeft {
  pages: { page: number; blobs: Uint8Array }[]
  isDone: boolean
}

/**
 * Takes down a content that nothing refers to. Of one of chunks the last pages are given, and dropped by the next call,
 * when their blobs are gone; of one of segments some more are released by each call.
 */
export const dissolveContent: Script<GarbageStep, GarbageLeft> = {
  name: 'garbage.dissolve',
  *steps(args) {
    const { contentId, row } = args
    const [content] = yield query('select kind, refs from content where content_id = ?', contentId)
    // Another collector has ended it; or, against all rules, it is in use, and then it must stay.
    if (content === undefined || content.refs !== 0) {
      yield* dropRow(row)
      return { pages: [], isDone: true }
    }
    if (content.kind === KIND_SEGMENTS && !(yield* releaseSegments(args))) return { pages: [], isDone: false }
    for (const page of args.emptied)
      yield query('delete from content_page where content_id = ? and page = ?', contentId, page)
    const left = yield query(
      'select page, entries from content_page where content_id = ? order by page desc limit ?',
      contentId,
      GARBAGE_PAGES_AT_ONCE,
    )
    if (left.length > 0) {
      const pages = left.map(({ page, entries }) => ({ page: page as number, blobs: entries as Buffer }))
      return { pages, isDone: false }
    }
    yield query('delete from content where content_id = ?', contentId)
    yield* dropRow(row)
    return { pages: [], isDone: true }
  },
}

/** True: none is left. */
function* releaseSegments({ contentId, nowMs }: GarbageStep): Steps<boolean> {
  const [last] = yield query(
    'select page, entries from content_page where content_id = ? order by page desc limit 1',
    contentId,
  )
  if (last === undefined) return true
  const entries = last.entries as Buffer
  const kept = Math.max(0, entries.length - GARBAGE_SEGMENTS_AT_ONCE * SEGMENT_ENTRY_BYTES)
  for (const segment of unpackSegments(entries.subarray(kept)))
    yield* releaseContent({ blobs: null, contentId: segment.contentId }, nowMs)
  if (kept > 0)
    yield query(
      'update content_page set entries = ? where content_id = ? and page = ?',
      entries.subarray(0, kept),
      contentId,
      last.page!,
    )
  else yield query('delete from content_page where content_id = ? and page = ?', contentId, last.page!)
  return false
}
