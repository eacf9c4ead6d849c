/**
 * Reading keys as a tree: what a path is, and what lies in a directory. A directory is a key that ends with `/`, or what other
 * keys lie under. Entries come in the order of their names, which is not that of the keys: `a.txt` lies before `a/x`, but `a`
 * before `a.txt`.
 */
import { StoreError } from '../base/errors.ts'
import { query, type Script, type Steps } from '../meta/meta-store.ts'
import { type MoveRow, type ShownRow, VERSION_COLUMNS, type VersionRow } from './parts.ts'
import { beyondKey, beyondPrefix, startsWith } from './rows.ts'
import { OBJECT_ROWS, PageRoom } from './shown-rows.ts'
import { type KeyRange, readMoves, rowKey, rowsBetween, rowsOf } from './tree-moves.ts'

export interface StatArgs {
  bucketId: number
  /** Ends with `/`: asks for a directory only. */
  path: string
}

export interface StatResult {
  isDirectory: boolean
  /** Undefined for a directory that is there only because of what lies in it. */
  row: ShownRow | undefined
}

const OBJECT_COLUMNS = VERSION_COLUMNS.split(', ')
  .map((column) => `o.${column}`)
  .join(', ')
const FIND = `select b.moves, ${OBJECT_COLUMNS}
  from bucket b left join object o on o.bucket_id = b.bucket_id and o.key = ? where b.bucket_id = ?`
const ONE = `select ${VERSION_COLUMNS} from object where bucket_id = ? and key = ?`
const SLASH = 0x2f

/** Throws `bucket_not_found`. */
export const statPath: Script<StatArgs, StatResult | undefined> = {
  name: 'tree.stat',
  *steps({ bucketId, path }) {
    const key = Buffer.from(path)
    const [facts] = yield query(FIND, key, bucketId)
    if (facts === undefined) throw new StoreError('bucket_not_found', 'the bucket is gone')
    const moves = facts.moves === 0 ? [] : yield* readMoves(bucketId)
    const isDirectory = key.at(-1) === SLASH
    const row = moves.length === 0 ? presentRow(facts) : yield* movedRow(bucketId, moves, key)
    if (row !== undefined) return { isDirectory, row }
    return yield* statDirectory(bucketId, moves, isDirectory ? key : Buffer.from(`${path}/`))
  },
}

function presentRow(facts: unknown): VersionRow | undefined {
  const row = facts as VersionRow
  return row.rank === null ? undefined : row
}

function* movedRow(bucketId: number, moves: readonly MoveRow[], key: Buffer): Steps<VersionRow | undefined> {
  const place = rowKey(moves, key)
  if (place === undefined) return undefined
  const [row] = (yield query(ONE, bucketId, place)) as VersionRow[]
  if (row !== undefined) row.key = key
  return row
}

function* statDirectory(
  bucketId: number,
  moves: readonly MoveRow[],
  directory: Buffer,
): Steps<StatResult | undefined> {
  const range = { start: directory, end: beyondPrefix(directory), limit: 1 }
  const [first] = yield* rowsBetween(bucketId, moves, range)
  if (first === undefined) return undefined
  return { isDirectory: true, row: first.key.equals(directory) ? first : undefined }
}

export interface ListDirectoryArgs {
  bucketId: number
  /** '' is the root; else it ends with `/`. */
  directory: string
  /** Names behind this one. */
  after: string | undefined
  /** Names that begin so. */
  prefix: string
  /** At least 1. */
  limit: number
}

export interface NamedRow extends StatResult {
  name: string
}

export interface DirectoryRows {
  entries: NamedRow[]
  isTruncated: boolean
}

/** Rows that are asked for at a time while directories are met, whose keys are skipped. */
const BATCH_ROWS_MIN = 8

/** Throws `bucket_not_found`. */
export const listDirectory: Script<ListDirectoryArgs, DirectoryRows> = {
  name: 'tree.list',
  *steps(args) {
    const [bucket] = yield query('select moves from bucket where bucket_id = ?', args.bucketId)
    if (bucket === undefined) throw new StoreError('bucket_not_found', 'the bucket is gone')
    const moves = bucket.moves === 0 ? [] : yield* readMoves(args.bucketId)
    const scan = new Scan(args, moves)
    yield* scan.run()
    if (scan.isTruncated) yield* scan.addShorterNames()
    return scan.page()
  },
}

interface Entry extends NamedRow {
  bytes: Buffer
}

/** One page on its way. */
class Scan {
  isTruncated = false
  readonly #args: ListDirectoryArgs
  readonly #moves: readonly MoveRow[]
  readonly #directory: Buffer
  readonly #after: Buffer
  /** In the order of their keys. */
  #entries: Entry[] = []

  constructor(args: ListDirectoryArgs, moves: readonly MoveRow[]) {
    this.#args = args
    this.#moves = moves
    this.#directory = Buffer.from(args.directory)
    this.#after = Buffer.from(args.after ?? '')
  }

  /** Takes entries in the order of keys, until there would be one more than is asked for, or than have room for their attributes. */
  *run(): Steps<void> {
    const { bucketId, limit, prefix, after } = this.#args
    const room = new PageRoom(bucketId, this.#moves)
    const first = Buffer.concat([this.#directory, Buffer.from(prefix)])
    const end = beyondPrefix(first)
    let from = after === undefined ? first : beyondKey(Buffer.concat([this.#directory, this.#after]))
    if (Buffer.compare(from, first) < 0) from = first
    let batch = limit + 1
    while (Buffer.compare(from, end) < 0) {
      const rows = yield* this.#rows({ start: from, end, limit: batch })
      let used = 0
      for (const row of rows) {
        // Lies in a directory that was met in this batch.
        if (Buffer.compare(row.key, from) < 0) continue
        used++
        from = this.#behind(row)
        const entry = this.#shownBy(row)
        if (entry === undefined) continue
        const isFull = this.#entries.length === limit
        if (isFull || (entry.row !== undefined && !(yield* room.complete(entry.row)))) {
          this.isTruncated = true
          return
        }
        this.#entries.push(entry)
      }
      if (rows.length < batch) return
      const isSparse = used * 2 < rows.length
      batch = Math.max(BATCH_ROWS_MIN, isSparse ? Math.floor(batch / 4) : Math.min(limit + 1, batch * 4))
    }
  }

  #rows(range: KeyRange): Steps<ShownRow[]> {
    const { bucketId } = this.#args
    return rowsOf(this.#moves, range, ({ start, end, limit }) =>
      query(OBJECT_ROWS, bucketId, start, end, limit),
    )
  }

  /** Undefined: it is the directory's own row, which has no name in it, or was on an earlier page. */
  #shownBy(row: ShownRow): Entry | undefined {
    const rest = row.key.subarray(this.#directory.length)
    const slash = rest.indexOf(SLASH)
    const bytes = slash < 0 ? rest : rest.subarray(0, slash)
    if (rest.length === 0 || Buffer.compare(bytes, this.#after) <= 0) return undefined
    const isDirectory = slash >= 0
    const isOwn = !isDirectory || slash === rest.length - 1
    return { name: bytes.toString(), bytes, isDirectory, row: isOwn ? row : undefined }
  }

  /** The least key that may show something else. */
  #behind(row: ShownRow): Buffer {
    const slash = row.key.indexOf(SLASH, this.#directory.length)
    return slash < 0 ? beyondKey(row.key) : beyondPrefix(row.key.subarray(0, slash + 1))
  }

  /**
   * Directories whose names belong on this page and whose keys do not: `a` beside `a.txt`. Behind a key they are its own
   * name, and the beginnings of that which go on with a character before `/`.
   */
  *addShorterNames(): Steps<void> {
    const { bytes: last, isDirectory } = this.#entries.at(-1)!
    const prefix = Buffer.from(this.#args.prefix)
    for (let length = 1; length <= last.length; length++) {
      if (length === last.length ? isDirectory : last[length]! >= SLASH) continue
      const bytes = last.subarray(0, length)
      if (Buffer.compare(bytes, this.#after) <= 0 || !startsWith(bytes, prefix)) continue
      if (this.#entries.some((entry) => entry.isDirectory && entry.bytes.equals(bytes))) continue
      const directory = Buffer.concat([this.#directory, bytes, Buffer.of(SLASH)])
      const found = yield* statDirectory(this.#args.bucketId, this.#moves, directory)
      if (found !== undefined) this.#entries.push({ ...found, name: bytes.toString(), bytes })
    }
  }

  /** A file and a directory of one name stay together, so that the next page can begin behind the name. */
  page(): DirectoryRows {
    const { limit } = this.#args
    const sorted = this.#entries.sort((a, b) => Buffer.compare(a.bytes, b.bytes))
    let count = Math.min(limit, sorted.length)
    while (count < sorted.length && sorted[count]!.bytes.equals(sorted[count - 1]!.bytes)) count++
    const isTruncated = this.isTruncated || count < sorted.length
    const entries = sorted.slice(0, count).map(({ name, isDirectory, row }) => ({ name, isDirectory, row }))
    return { entries, isTruncated }
  }
}
