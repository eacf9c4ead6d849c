/** Changing keys as a tree: directories made and removed. Renames are in `tree-rename.ts`. */
import { StoreError } from '../base/errors.ts'
import { query, type Row, type Script, type Steps } from '../meta/meta-store.ts'
import { deleteSteps } from './delete-version.ts'
import { FLAG_DIRECTORY, VERSION_COLUMNS, type VersionRow } from './parts.ts'
import { checkMoves, putVersion } from './put-version.ts'
import { beyondKey, beyondPrefix } from './rows.ts'
import { isExpiredRow } from './tree-life.ts'

/** MD5 of nothing. */
const ETAG_OF_NOTHING = 'd41d8cd98f00b204e9800998ecf8427e'

/** What every change is given beside its own arguments. Several rows of one change get nonces that follow from it. */
export interface TreeChange {
  bucketId: number
  nowMs: number
  usagePart: number
  /** 16 random bytes. */
  nonce: Uint8Array
}

export interface MakeDirectoryArgs extends TreeChange {
  /** Without a slash at the end. */
  path: string
  /** JSON. */
  attributes: string
}

/** With all directories above it. Throws `directory_exists`, and `conflict` for a file above it. */
export const makeDirectory: Script<MakeDirectoryArgs, null> = {
  name: 'tree.makeDirectory',
  *steps(args) {
    const names = args.path.split('/')
    for (let count = 1; count <= names.length; count++) {
      const isTarget = count === names.length
      const path = names.slice(0, count).join('/')
      const exists = (what: string) => new StoreError('directory_exists', `${what} /${path} already exists`)
      if (yield* hasFile(args.bucketId, path)) {
        throw isTarget ? exists('file') : new StoreError('conflict', `/${path} is a file`)
      }
      const key = Buffer.from(`${path}/`)
      if (yield* hasRowsBelow(args.bucketId, key)) {
        if (isTarget) throw exists('dir')
        continue
      }
      yield* putVersion({
        ...{ bucketId: args.bucketId, nowMs: args.nowMs, usagePart: args.usagePart, key },
        ...{ nonce: nonceOf(args, count), event: 'ObjectCreated:Put', flags: FLAG_DIRECTORY },
        ...{ content: { kind: 'none' }, sizeBytes: 0, etag: ETAG_OF_NOTHING },
        ...{ attributes: args.attributes, tags: null },
      })
    }
    return null
  },
}

function* hasFile(bucketId: number, path: string): Steps<boolean> {
  const rows = yield query(
    'select 1 as one from object where bucket_id = ? and key = ?',
    bucketId,
    Buffer.from(path),
  )
  return rows.length > 0
}

function* hasRowsBelow(bucketId: number, directory: Buffer): Steps<boolean> {
  const rows: Row[] = yield query(
    'select 1 as one from object where bucket_id = ? and key >= ? and key < ? limit 1',
    bucketId,
    directory,
    beyondPrefix(directory),
  )
  return rows.length > 0
}

/** A nonce for each row of a change. */
function nonceOf({ nonce }: TreeChange, number: number): Buffer {
  const own = Buffer.from(nonce)
  own.writeUInt32BE((own.readUInt32BE(0) ^ number) >>> 0, 0)
  return own
}

export interface RemoveDirectoryArgs extends TreeChange {
  /** '' is all; else it ends with `/`. */
  directory: string
  recursive: boolean
}

export interface RemoveResult {
  removed: number
  /** Nothing is left, the directory's own row neither. */
  isDone: boolean
}

/** Rows of one transaction: well below 50 ms. */
const REMOVED_ROWS_MAX = 200

/**
 * Removes a number of objects below a directory, at last its own row. Only files whose time is over go without `recursive`.
 * Throws `directory_not_empty`, `object_locked`.
 */
export const removeDirectory: Script<RemoveDirectoryArgs, RemoveResult> = {
  name: 'tree.removeDirectory',
  *steps(args) {
    const directory = Buffer.from(args.directory)
    yield* checkMoves({ bucketId: args.bucketId, key: directory })
    const rows = (yield query(
      `select ${VERSION_COLUMNS} from object where bucket_id = ? and key >= ? and key < ? order by key limit ?`,
      args.bucketId,
      directory.length === 0 ? directory : beyondKey(directory),
      beyondPrefix(directory),
      REMOVED_ROWS_MAX,
    )) as VersionRow[]
    if (!args.recursive) {
      const isLiving = (row: VersionRow) => !isExpiredRow(row, args.nowMs)
      if (rows.some(isLiving)) throw new StoreError('directory_not_empty', `/${args.directory} is not empty`)
    }
    let removed = 0
    for (const { key } of rows) yield* removeRow(args, key, ++removed)
    const isDone = rows.length < REMOVED_ROWS_MAX
    if (isDone && directory.length > 0 && (yield* hasRowsBelow(args.bucketId, directory))) {
      yield* removeRow(args, directory, ++removed)
    }
    return { removed, isDone }
  },
}

function* removeRow(args: TreeChange, key: Buffer, number: number): Steps<void> {
  const { bucketId, nowMs, usagePart } = args
  const change = { bucketId, nowMs, usagePart, key, nonce: nonceOf(args, number) }
  yield* deleteSteps({ ...change, version: undefined, bypassGovernance: false })
}

export interface RemoveExpiredArgs extends TreeChange {
  keys: readonly string[]
}

/** Removes those of the files whose time is over. */
export const removeExpired: Script<RemoveExpiredArgs, null> = {
  name: 'tree.removeExpired',
  *steps(args) {
    let number = 0
    for (const key of args.keys) {
      const [row] = (yield query(
        `select ${VERSION_COLUMNS} from object where bucket_id = ? and key = ?`,
        args.bucketId,
        Buffer.from(key),
      )) as VersionRow[]
      if (row !== undefined && isExpiredRow(row, args.nowMs)) yield* removeRow(args, row.key, ++number)
    }
    return null
  },
}

export interface ExpiredArgs {
  bucketId: number
  /** Keys behind this one. */
  after: Buffer | undefined
  nowMs: number
}

export interface ExpiredPage {
  keys: string[]
  /** Where to go on; undefined: that was all. */
  next: Buffer | undefined
}

const EXPIRED_SCANNED = 1_000

/** Files whose time is over, among the next objects of a bucket. */
export const findExpired: Script<ExpiredArgs, ExpiredPage> = {
  name: 'tree.findExpired',
  *steps({ bucketId, after, nowMs }) {
    const rows = (yield query(
      'select key, attributes, modified_ms from object where bucket_id = ? and key > ? order by key limit ?',
      ...[bucketId, after ?? Buffer.alloc(0), EXPIRED_SCANNED],
    )) as VersionRow[]
    const keys = rows.filter((row) => isExpiredRow(row, nowMs)).map(({ key }) => key.toString())
    return { keys, next: rows.length < EXPIRED_SCANNED ? undefined : rows.at(-1)!.key }
  },
}
