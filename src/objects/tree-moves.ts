/**
 * Renames of directories that are under way, as everyone must see them: from the first transaction on, what was below one
 * prefix is below the other, whichever of the two its row still has. `cursor` says how far the rows are: of the keys below
 * `from_prefix`, those whose rest is before it are moved already. So a key's place is computed, never searched for.
 *
 * Whoever reads rows by key asks `bucket.moves` in the same transaction, and where it is not 0 reads `readMoves` and goes by
 * `rowKey` and `rowsBetween`. Whoever writes asks `isMoving`, and tries again later.
 */
import { type Query, query, type Steps } from '../meta/meta-store.ts'
import { type MoveRow, VERSION_COLUMNS, type VersionRow } from './parts.ts'
import { beyondPrefix, startsWith } from './rows.ts'

/** The renames of a bucket. */
export function* readMoves(bucketId: number): Steps<MoveRow[]> {
  const rows = yield query(
    'select from_prefix, to_prefix, cursor from move where bucket_id = ? order by from_prefix',
    bucketId,
  )
  return rows as MoveRow[]
}

/** Whether a key, or all below a prefix that ends with `/`, takes part in a rename: it must not be written now. */
export function isMoving(moves: readonly MoveRow[], key: Uint8Array): boolean {
  return moves.some(
    ({ from_prefix, to_prefix }) => areRelated(key, from_prefix) || areRelated(key, to_prefix),
  )
}

/** Whether a key lies below the prefix, is the name of its directory, or a directory around it. */
function areRelated(key: Uint8Array, prefix: Buffer): boolean {
  if (startsWith(key, prefix)) return true
  const isDirectory = key.at(-1) === SLASH || prefix.length === key.length + 1
  return isDirectory && startsWith(prefix, key)
}

/** The key of the row that holds what readers call `key`; undefined: there is none. */
export function rowKey<K extends Uint8Array>(moves: readonly MoveRow[], key: K): K | Buffer | undefined {
  for (const { from_prefix, to_prefix, cursor } of moves) {
    if (startsWith(key, from_prefix)) return undefined
    if (!startsWith(key, to_prefix)) continue
    const rest = key.subarray(to_prefix.length)
    return Buffer.compare(rest, cursor) < 0 ? key : Buffer.concat([from_prefix, rest])
  }
  return key
}

/** Rows whose keys are from `start` to `end` (exclusive), and the key that readers see: what stands before `rest` is replaced. */
export interface RowRange {
  start: Buffer
  end: Buffer
  rowPrefix: Buffer
  keyPrefix: Buffer
}

const NOTHING = Buffer.alloc(0)
const SLASH = 0x2f

/** Where the rows are of all keys from `start` to `end` (exclusive) that readers see, in the order of those keys. */
function rowRanges(moves: readonly MoveRow[], start: Buffer, end: Buffer): RowRange[] {
  const ranges: RowRange[] = []
  let at = start
  for (const special of specialRanges(moves)) {
    if (Buffer.compare(special.end, at) <= 0 || Buffer.compare(special.start, end) >= 0) continue
    if (Buffer.compare(special.start, at) > 0) {
      ranges.push({ start: at, end: special.start, rowPrefix: NOTHING, keyPrefix: NOTHING })
      at = special.start
    }
    const stop = earlier(special.end, end)
    const { to, from } = special
    if (from !== undefined) {
      ranges.push({
        start: movedKey(at, to, from),
        end: stop === special.end ? beyondPrefix(from) : movedKey(stop, to, from),
        rowPrefix: from,
        keyPrefix: to,
      })
    }
    at = stop
  }
  if (Buffer.compare(at, end) < 0) ranges.push({ start: at, end, rowPrefix: NOTHING, keyPrefix: NOTHING })
  return ranges
}

/** Keys whose rows are elsewhere (`from`), or which nothing has any more. */
interface SpecialRange {
  start: Buffer
  end: Buffer
  to: Buffer
  from: Buffer | undefined
}

function specialRanges(moves: readonly MoveRow[]): SpecialRange[] {
  const ranges: SpecialRange[] = []
  for (const { from_prefix: from, to_prefix: to, cursor } of moves) {
    ranges.push({ start: from, end: beyondPrefix(from), to: from, from: undefined })
    ranges.push({ start: Buffer.concat([to, cursor]), end: beyondPrefix(to), to, from })
  }
  return ranges.sort((a, b) => Buffer.compare(a.start, b.start))
}

export interface KeyRange {
  start: Buffer
  end: Buffer
  limit: number
}

/** Up to `limit` rows of `object` whose keys, as readers see them, are from `start` to `end` (exclusive). */
export function rowsBetween(
  bucketId: number,
  moves: readonly MoveRow[],
  range: KeyRange,
): Steps<VersionRow[]> {
  return rowsOf(moves, range, ({ start, end, limit }) => query(SELECT_ROWS, bucketId, start, end, limit))
}

const SELECT_ROWS = `select ${VERSION_COLUMNS} from object where bucket_id = ? and key >= ? and key < ? order by key limit ?`

/** As `rowsBetween`, of any query that gives rows with keys from `start` to `end` (exclusive) in their order. */
export function* rowsOf<R extends { key: Buffer }>(
  moves: readonly MoveRow[],
  range: KeyRange,
  select: (range: KeyRange) => Query,
): Steps<R[]> {
  const rows: R[] = []
  for (const { start, end, rowPrefix, keyPrefix } of rowRanges(moves, range.start, range.end)) {
    if (rows.length >= range.limit) break
    const found = (yield select({ start, end, limit: range.limit - rows.length })) as unknown as R[]
    for (const row of found) {
      if (rowPrefix.length > 0) row.key = movedKey(row.key, rowPrefix, keyPrefix)
      rows.push(row)
    }
  }
  return rows
}

/** `key` with the prefix that it has replaced by another. */
export function movedKey(key: Buffer, from: Buffer, to: Buffer): Buffer {
  return Buffer.concat([to, key.subarray(from.length)])
}

function earlier(a: Buffer, b: Buffer): Buffer {
  return Buffer.compare(a, b) <= 0 ? a : b
}
