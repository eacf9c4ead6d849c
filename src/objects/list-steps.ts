/**
 * Listings. Keys below a common prefix are not read: the listing goes on at the first key that the prefix is not the
 * beginning of, so that a page costs what it shows.
 */
import { StoreError } from '../base/errors.ts'
import { query, type Script, type Steps } from '../meta/meta-store.ts'
import type { MoveRow, ShownRow } from './parts.ts'
import { beyondKey, beyondPrefix, startsWith } from './rows.ts'
import { OBJECT_ROWS, PageRoom, VERSION_ROWS } from './shown-rows.ts'
import { type KeyRange, readMoves, rowKey, rowsOf } from './tree-moves.ts'

/** Rows that a listing with a delimiter asks for at first: it may be about to skip most of them. */
const BATCH_ROWS_FIRST = 16
const BATCH_GROWTH = 4

/** From this version on, itself included; ranks are not below 0. */
interface Position {
  key: Buffer
  rank: number
}

export interface ListArgs {
  bucketId: number
  prefix: Buffer
  /** Empty: none. */
  delimiter: Buffer
  after: Buffer | undefined
  /** At least 1. */
  limit: number
}

export interface ListVersionsArgs extends ListArgs {
  /** Versions of `after` behind this one are listed too. */
  afterVersion: number | 'null' | undefined
}

/** A row, or a common prefix. */
export type Listed<R> = { row: R } | { prefix: Buffer }

export interface Page<R> {
  items: Listed<R>[]
  isTruncated: boolean
}

/** Throws `bucket_not_found`. */
export const listObjects: Script<ListArgs, Page<ShownRow>> = {
  name: 'objects.list',
  *steps(args) {
    const moves = yield* movesOf(args.bucketId)
    const end = beyondPrefix(args.prefix)
    const start = { key: startOf(args), rank: 0 }
    const read: ReadRows<ShownRow> = ({ key, rank }, limit) =>
      objectRows(args.bucketId, moves, { start: rank === 0 ? key : beyondKey(key), end, limit })
    return yield* collect(args, start, { read, room: new PageRoom(args.bucketId, moves) })
  },
}

export interface ListedVersion extends ShownRow {
  is_latest: number
}

/** Throws `bucket_not_found`. */
export const listVersions: Script<ListVersionsArgs, Page<ListedVersion>> = {
  name: 'objects.listVersions',
  *steps(args) {
    const moves = yield* movesOf(args.bucketId)
    const start = yield* startVersion(args, moves)
    const read: ReadRows<ListedVersion> = (from, limit) => versionRows(args, moves, from, limit)
    return yield* collect(args, start, { read, room: new PageRoom(args.bucketId, moves) })
  },
}

function* movesOf(bucketId: number): Steps<readonly MoveRow[]> {
  const [bucket] = yield query('select moves from bucket where bucket_id = ?', bucketId)
  if (bucket === undefined) throw new StoreError('bucket_not_found', 'the bucket is gone')
  return bucket.moves === 0 ? [] : yield* readMoves(bucketId)
}

/** The first key that a listing may have: behind `after`, and behind the common prefix that `after` lies in. */
export function startOf(args: Pick<ListArgs, 'prefix' | 'delimiter' | 'after'>): Buffer {
  const { after, prefix } = args
  if (after === undefined || Buffer.compare(after, prefix) < 0) return prefix
  const common = commonPrefix(after, args)
  return common === undefined ? beyondKey(after) : beyondPrefix(common)
}

/** What of a key is shown instead of it: up to and with the first delimiter behind the prefix. */
export function commonPrefix(key: Buffer, args: Pick<ListArgs, 'prefix' | 'delimiter'>): Buffer | undefined {
  const { prefix, delimiter } = args
  if (delimiter.length === 0 || !startsWith(key, prefix)) return undefined
  const at = key.indexOf(delimiter, prefix.length)
  return at < 0 ? undefined : key.subarray(0, at + delimiter.length)
}

/** Reads rows from a position on, in order; fewer than `limit` only at the end. */
type ReadRows<R> = (from: Position, limit: number) => Steps<R[]>

/** A page of rows and common prefixes: a shorter one where not all attributes have room on it. */
function* collect<R extends ShownRow>(
  args: Pick<ListArgs, 'prefix' | 'delimiter' | 'limit'>,
  start: Position,
  { read, room }: { read: ReadRows<R>; room: PageRoom },
): Steps<Page<R>> {
  const { limit, delimiter } = args
  const items: Listed<R>[] = []
  let from = start
  let batch = delimiter.length === 0 ? limit + 1 : BATCH_ROWS_FIRST
  for (;;) {
    const asked = Math.min(batch, limit + 1 - items.length)
    const rows = yield* read(from, asked)
    const before = items.length
    for (const row of rows) {
      // Behind a common prefix that an earlier row of this batch has shown.
      if (Buffer.compare(row.key, from.key) < 0) continue
      if (items.length === limit) return { items, isTruncated: true }
      const prefix = commonPrefix(row.key, args)
      if (prefix === undefined && !(yield* room.complete(row))) return { items, isTruncated: true }
      items.push(prefix === undefined ? { row } : { prefix })
      from =
        prefix === undefined ? { key: row.key, rank: row.rank + 1 } : { key: beyondPrefix(prefix), rank: 0 }
    }
    if (rows.length < asked) return { items, isTruncated: false }
    batch = nextBatch(batch, { read: rows.length, shown: items.length - before })
  }
}

/** Much where all rows are shown; a single one, or two to see whether that is so, where they lie below common prefixes. */
function nextBatch(batch: number, { read, shown }: { read: number; shown: number }): number {
  if (shown === read) return batch === 1 ? 2 : batch * BATCH_GROWTH
  const isWaste = shown * 2 < read || batch === 2
  return isWaste ? Math.max(1, Math.floor(batch / BATCH_GROWTH)) : batch
}

function objectRows(bucketId: number, moves: readonly MoveRow[], range: KeyRange): Steps<ShownRow[]> {
  return rowsOf(moves, range, ({ start, end, limit }) => query(OBJECT_ROWS, bucketId, start, end, limit))
}

/** Rows of both tables in the order of key and rank: the latest version comes first, wherever it is. */
function* versionRows(
  args: ListArgs,
  moves: readonly MoveRow[],
  from: Position,
  limit: number,
): Steps<ListedVersion[]> {
  const { bucketId, prefix } = args
  const end = beyondPrefix(prefix)
  // One more, because the first may be one that was shown already.
  const objects = yield* objectRows(bucketId, moves, { start: from.key, end, limit: limit + 1 })
  const first = rowKey(moves, from.key)
  const versions = yield* rowsOf<ShownRow>(moves, { start: from.key, end, limit }, (range) => {
    const rank = first?.equals(range.start) ? from.rank : 0
    return query(VERSION_ROWS, bucketId, range.start, rank, range.end, range.limit)
  })
  const behind = objects.filter((row) => !isBefore(row, from))
  let previous = from.rank > 0 ? from.key : undefined
  return mergeRows(behind, versions)
    .slice(0, limit)
    .map((row) => {
      const isLatest = !previous?.equals(row.key)
      previous = row.key
      return { ...row, is_latest: isLatest ? 1 : 0 }
    })
}

function mergeRows(a: ShownRow[], b: ShownRow[]): ShownRow[] {
  const merged: ShownRow[] = []
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    const takesA = j >= b.length || (i < a.length && isBefore(a[i]!, b[j]!))
    merged.push(takesA ? a[i++]! : b[j++]!)
  }
  return merged
}

function isBefore(a: Position, b: Position): boolean {
  const order = Buffer.compare(a.key, b.key)
  return order < 0 || (order === 0 && a.rank < b.rank)
}

function* startVersion(args: ListVersionsArgs, moves: readonly MoveRow[]): Steps<Position> {
  const { after, afterVersion } = args
  const isPlain = after === undefined || afterVersion === undefined || !startsWith(after, args.prefix)
  if (isPlain || commonPrefix(after, args) !== undefined) return { key: startOf(args), rank: 0 }
  const rank =
    afterVersion === 'null' ? yield* nullRank(args.bucketId, rowKey(moves, after) ?? after) : afterVersion
  // A null version that is gone: its key is listed again from its beginning, for nothing may be left out.
  return { key: after, rank: rank === undefined ? 0 : rank + 1 }
}

function* nullRank(bucketId: number, key: Buffer): Steps<number | undefined> {
  for (const table of ['object', 'version'] as const) {
    const [row] = yield query(
      `select rank from ${table} where bucket_id = ? and key = ? and (flags & 1) = 1`,
      bucketId,
      key,
    )
    if (row !== undefined) return row.rank as number
  }
  return undefined
}
