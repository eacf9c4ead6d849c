/**
 * Renames. A file's row, or the rows of a small directory, get their keys in one transaction. A large directory is begun with a
 * row in `move`, by which everyone sees the new names at once (see `tree-moves.ts`); then steps change the keys of its rows.
 */
import { StoreError } from '../base/errors.ts'
import { TREE_MOVED_AT_ONCE_MAX, TREE_MOVED_ROWS_PER_STEP } from '../base/limits.ts'
import { type Query, query, type Row, type Script, type SqlValue, type Steps } from '../meta/meta-store.ts'
import { releaseContent, shareContent } from './content-steps.ts'
import { deleteSteps } from './delete-version.ts'
import { writeEvent } from './events.ts'
import { checkRemovable } from './lock-rules.ts'
import { type MoveRow, VERSION_COLUMNS, type VersionRow } from './parts.ts'
import { checkMoves, putVersion, VERSIONING_OFF, type WriteFacts, writeFacts } from './put-version.ts'
import { beyondKey, beyondPrefix, lockOf, placeOf, rankAt, startsWith } from './rows.ts'
import { isExpiredRow } from './tree-life.ts'
import { movedKey } from './tree-moves.ts'
import type { TreeChange } from './tree-write.ts'
import { addUsage } from './usage-steps.ts'

export interface RenameArgs extends TreeChange {
  /** Both without a slash at the end. */
  from: string
  to: string
  /** 16 random bytes each: for a content that becomes shared, for a second event. */
  contentId: Uint8Array
  secondNonce: Uint8Array
}

/** `moving`: the new names are seen by all, and `moveStep` is to be called until it is done. */
export type RenameResult = 'done' | 'moving'

/** Throws `not_found`, `conflict`, `object_locked`, `unavailable` (another rename there is under way). */
export const rename: Script<RenameArgs, RenameResult> = {
  name: 'tree.rename',
  *steps(args) {
    const [from, to] = [Buffer.from(args.from), Buffer.from(args.to)]
    const facts = yield* writeFacts({ bucketId: args.bucketId, key: from })
    if (facts.moves !== 0) {
      for (const key of [directoryOf(from), to, directoryOf(to)])
        yield* checkMoves({ bucketId: args.bucketId, key })
    }
    const row = facts.rank === null ? undefined : yield* presentRow(args.bucketId, from)
    // A file whose time is over is not there, though nobody has removed it yet.
    if (row !== undefined && !isExpiredRow(row, args.nowMs))
      return yield* renameFile(args, facts, { row, to })
    return yield* renameDirectory(args, facts, { from: directoryOf(from), to: directoryOf(to) })
  },
}

const directoryOf = (path: Buffer) => Buffer.concat([path, Buffer.from('/')])

interface Ends {
  from: Buffer
  to: Buffer
}

interface RenamedFile {
  row: VersionRow
  to: Buffer
}

function* renameFile(args: RenameArgs, facts: WriteFacts, { row, to }: RenamedFile): Steps<RenameResult> {
  if (yield* hasRows('object', args.bucketId, directoryOf(to)))
    throw new StoreError('conflict', `/${args.to} is a directory`)
  if (facts.versioning === VERSIONING_OFF) yield* replaceFile(args, facts, { row, to })
  else yield* copyAndDelete(args, { row, to })
  return 'done'
}

/** Where no versions are kept, the row gets another key, and what had it goes. */
function* replaceFile(args: RenameArgs, facts: WriteFacts, { row, to }: RenamedFile): Steps<void> {
  const { bucketId, nowMs } = args
  const target = yield* presentRow(bucketId, to)
  if (target !== undefined) {
    yield query('delete from object where bucket_id = ? and key = ?', bucketId, to)
    yield* releaseContent(placeOf(target), nowMs)
    yield* addUsage({ bucketId, part: args.usagePart, objects: -1, bytes: -target.size })
  }
  // What a key's versions are ordered by rises with each write of the key.
  const rank = target === undefined ? row.rank : Math.min(row.rank, rankAt(nowMs, target.rank))
  yield query(
    'update object set key = ?, rank = ? where bucket_id = ? and key = ?',
    ...[to, rank, bucketId, row.key],
  )
  if (facts.notification === null) return
  const { size: sizeBytes, etag } = row
  const event = { bucketId, nowMs, versionId: undefined }
  const made = { event: 'ObjectCreated:Copy', key: to, nonce: args.nonce, rank, sizeBytes, etag }
  const removed = { event: 'ObjectRemoved:Delete', key: row.key, nonce: args.secondNonce, rank: row.rank }
  yield writeEvent({ ...event, ...made })
  yield writeEvent({ ...event, ...removed })
}

/** Where versions are kept, they stay under the old name; the new one gets a version of the same bytes. */
function* copyAndDelete(args: RenameArgs, { row, to }: RenamedFile): Steps<void> {
  const { bucketId, nowMs, usagePart } = args
  const named = { ...placeOf(row), bucketId, key: row.key, rank: row.rank, sizeBytes: row.size }
  const place = yield* shareContent({ row: named, contentId: args.contentId })
  const lock = lockOf(row)
  const isHeld = lock.legalHold === true || (lock.untilMs ?? 0) > nowMs
  yield* putVersion({
    ...{ bucketId, nowMs, usagePart, key: to, nonce: args.nonce, event: 'ObjectCreated:Copy' },
    ...{ content: { kind: 'taken', ...place }, sizeBytes: row.size, etag: row.etag },
    ...{ attributes: row.attributes, tags: row.tags, lock: isHeld ? lock : undefined },
  })
  const removal = { version: undefined, bypassGovernance: false }
  yield* deleteSteps({ bucketId, nowMs, usagePart, key: row.key, nonce: args.secondNonce, ...removal })
}

function* renameDirectory(args: RenameArgs, facts: WriteFacts, { from, to }: Ends): Steps<RenameResult> {
  const { bucketId } = args
  if (startsWith(to, from)) throw new StoreError('conflict', `/${args.from} cannot be moved into itself`)
  if (!(yield* hasRows('object', bucketId, from)))
    throw new StoreError('not_found', `/${args.from} is not found`)
  if ((yield* presentRow(bucketId, to.subarray(0, -1))) !== undefined)
    throw new StoreError('conflict', `/${args.to} is a file`)
  if (yield* hasRows('object', bucketId, to)) throw new StoreError('conflict', `/${args.to} is there already`)
  if (yield* hasRows('version', bucketId, to))
    throw new StoreError('conflict', `earlier versions lie below /${args.to}`)
  if (facts.object_lock !== 0) yield* checkNothingLocked(args, from)
  const { keys, isAll } = yield* keysBelow(bucketId, from, from, TREE_MOVED_AT_ONCE_MAX)
  if (isAll) {
    yield* moveKeys(bucketId, keys, { from, to })
    return 'done'
  }
  yield query(
    'insert into move (bucket_id, from_prefix, to_prefix, cursor, started_ms) values (?, ?, ?, ?, ?)',
    ...[bucketId, from, to, Buffer.alloc(0), args.nowMs],
  )
  yield query('update bucket set moves = moves + 1 where bucket_id = ?', bucketId)
  return 'moving'
}

/** Throws `object_locked` when a version below must stay where it is. */
function* checkNothingLocked({ bucketId, nowMs }: RenameArgs, from: Buffer): Steps<void> {
  for (const table of ['object', 'version'] as const) {
    const rows = yield query(
      `select flags, lock_until_ms from ${table}
       where bucket_id = ? and key >= ? and key < ? and (flags & 56) <> 0 and
         ((flags & 32) <> 0 or lock_until_ms > ?) limit 1`,
      ...[bucketId, from, beyondPrefix(from), nowMs],
    )
    for (const row of rows) checkRemovable(row as VersionRow, nowMs, false)
  }
}

function* presentRow(bucketId: number, key: Buffer): Steps<VersionRow | undefined> {
  const [row] = yield query(
    `select ${VERSION_COLUMNS} from object where bucket_id = ? and key = ?`,
    bucketId,
    key,
  )
  return row as VersionRow | undefined
}

function* hasRows(table: 'object' | 'version', bucketId: number, directory: Buffer): Steps<boolean> {
  const rows = yield query(
    `select 1 as one from ${table} where bucket_id = ? and key >= ? and key < ? limit 1`,
    ...[bucketId, directory, beyondPrefix(directory)],
  )
  return rows.length > 0
}

interface KeysBelow {
  keys: Buffer[]
  /** None lies behind them. */
  isAll: boolean
}

/**
 * Keys below a directory from `start` on, of both tables, each once: those that have fewer than `limit` rows in either table, and
 * at least one. A key with more versions than that is moved with all of them.
 */
function* keysBelow(bucketId: number, directory: Buffer, start: Buffer, limit: number): Steps<KeysBelow> {
  const params = [bucketId, start, beyondPrefix(directory), limit] as const
  const range = 'where bucket_id = ? and key >= ? and key < ?'
  const present = yield query(`select key from object ${range} order by key limit ?`, ...params)
  const earlier = yield query(`select key from version ${range} order by key limit ?`, ...params)
  const all = mergeKeys(present, earlier)
  const lastOf = (rows: Row[]) => (rows.length < limit ? undefined : (rows.at(-1)!.key as Buffer))
  const [lastPresent, lastEarlier] = [lastOf(present), lastOf(earlier)]
  if (lastPresent === undefined && lastEarlier === undefined) return { keys: all, isAll: true }
  // Behind these ends there may be keys that were not read; and of the last one of `version`, more rows.
  const isWhole = (key: Buffer) =>
    (lastPresent === undefined || Buffer.compare(key, lastPresent) <= 0) &&
    (lastEarlier === undefined || Buffer.compare(key, lastEarlier) < 0)
  const keys = all.filter(isWhole)
  return { keys: keys.length === 0 ? all.slice(0, 1) : keys, isAll: false }
}

function mergeKeys(a: Row[], b: Row[]): Buffer[] {
  const keys = [...a, ...b].map((row) => row.key as Buffer)
  if (b.length === 0) return keys
  keys.sort(Buffer.compare)
  return keys.filter((key, at) => at === 0 || !key.equals(keys[at - 1]!))
}

/** Keys that one statement changes. */
const KEYS_PER_STATEMENT = 25
const CHANGE_MANY = changeKeys(KEYS_PER_STATEMENT)
const CHANGE_ONE = changeKeys(1)

/** Statements that give rows other keys, `count` at a time. */
function changeKeys(count: number): Record<'object' | 'version', string> {
  const cases = ' when ? then ?'.repeat(count)
  const places = Array(count).fill('?').join(', ')
  const change = (table: string) =>
    `update ${table} set key = case key${cases} else key end where bucket_id = ? and key in (${places})`
  return { object: change('object'), version: change('version') }
}

function* moveKeys(bucketId: number, keys: readonly Buffer[], { from, to }: Ends): Steps<void> {
  for (let at = 0; at < keys.length; ) {
    const count = keys.length - at >= KEYS_PER_STATEMENT ? KEYS_PER_STATEMENT : 1
    const old = keys.slice(at, at + count)
    const pairs = old.flatMap((key) => [key, movedKey(key, from, to)])
    const params: SqlValue[] = [...pairs, bucketId, ...old]
    const sql = count === 1 ? CHANGE_ONE : CHANGE_MANY
    for (const table of ['object', 'version'] as const) yield { sql: sql[table], params } satisfies Query
    at += count
  }
}

export interface MoveStepArgs {
  bucketId: number
  /** `from_prefix`. */
  from: Uint8Array
}

/** Gives a number of rows their new keys; true when all have them. */
export const moveStep: Script<MoveStepArgs, boolean> = {
  name: 'tree.moveStep',
  *steps({ bucketId, from }) {
    const [move] = (yield query(
      'select from_prefix, to_prefix, cursor from move where bucket_id = ? and from_prefix = ?',
      bucketId,
      from,
    )) as MoveRow[]
    // Somebody else has ended it.
    if (move === undefined) return true
    const ends = { from: move.from_prefix, to: move.to_prefix }
    const start = Buffer.concat([ends.from, move.cursor])
    const { keys, isAll } = yield* keysBelow(bucketId, ends.from, start, TREE_MOVED_ROWS_PER_STEP)
    yield* moveKeys(bucketId, keys, ends)
    if (!isAll) {
      const cursor = beyondKey(keys.at(-1)!.subarray(ends.from.length))
      yield query(
        'update move set cursor = ? where bucket_id = ? and from_prefix = ?',
        cursor,
        bucketId,
        ends.from,
      )
      return false
    }
    yield query('delete from move where bucket_id = ? and from_prefix = ?', bucketId, ends.from)
    yield query('update bucket set moves = moves - 1 where bucket_id = ?', bucketId)
    return true
  },
}

/** All renames that are under way, in any bucket. */
export const allMoves: Script<null, MoveStepArgs[]> = {
  name: 'tree.allMoves',
  *steps() {
    const rows = yield query('select bucket_id, from_prefix from move order by bucket_id, from_prefix')
    return rows.map((row) => ({ bucketId: row.bucket_id as number, from: row.from_prefix as Buffer }))
  },
}
