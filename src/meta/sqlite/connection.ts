/** One connection to a SQLite file: settings, prepared statements by their text, values and errors in the store's words. */
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { assert } from '../../base/assert.ts'
import { type ErrorCode, StoreError } from '../../base/errors.ts'
import {
  META_STATEMENTS_MAX,
  SQLITE_BUSY_MS_MAX,
  SQLITE_CACHE_BYTES,
  SQLITE_CHECKPOINT_PAGES,
  SQLITE_PAGE_BYTES,
  SQLITE_WRITER_CACHE_BYTES,
} from '../../base/limits.ts'
import type { Query, Row, SqlValue } from '../meta-store.ts'

interface Prepared {
  statement: StatementSync
  /** None: it gives no rows. */
  columns: readonly Column[]
}

interface Column {
  name: string
  /** Bytes come back as plain arrays. */
  mayBeBytes: boolean
}

export class SqliteConnection {
  readonly database: DatabaseSync
  readonly #prepared = new Map<string, Prepared>()

  private constructor(database: DatabaseSync) {
    this.database = database
  }

  /** Opens a file; a connection for writing makes it where there is none. Throws `io_error`, `corrupt`, `unavailable`. */
  static open(path: string, options: { writes: boolean }): SqliteConnection {
    return speaking(() => {
      const database = new DatabaseSync(path, {
        enableForeignKeyConstraints: false,
        timeout: SQLITE_BUSY_MS_MAX,
        readOnly: !options.writes,
      })
      try {
        // The page size counts only before the first page is written, the journal mode after it.
        if (options.writes)
          database.exec(`pragma page_size = ${SQLITE_PAGE_BYTES}; pragma journal_mode = wal`)
        const cacheBytes = options.writes ? SQLITE_WRITER_CACHE_BYTES : SQLITE_CACHE_BYTES
        database.exec(
          `pragma synchronous = full; pragma mmap_size = 0;
           pragma cache_size = ${-cacheBytes / 1024};
           pragma wal_autocheckpoint = ${SQLITE_CHECKPOINT_PAGES}`,
        )
        const connection = new SqliteConnection(database)
        const [mode] = connection.run({ sql: 'pragma journal_mode', params: [] })
        if (mode?.journal_mode !== 'wal')
          throw new StoreError('unsupported', `${path} cannot have a write-ahead log`)
        return connection
      } catch (error) {
        database.close()
        throw error
      }
    })
  }

  /** Runs one statement. Throws `disk_full`, `io_error`, `corrupt`, `unavailable` (locked), `internal` (the statement). */
  run(query: Query): Row[] {
    return speaking(() => {
      const { statement, columns } = this.#prepared.get(query.sql) ?? this.#prepare(query.sql)
      const params = query.params.map(toSqlite)
      if (columns.length === 0) {
        statement.run(...params)
        return []
      }
      const rows = statement.all(...params) as unknown as SqlValue[][]
      return rows.map((values) => toRow(columns, values))
    })
  }

  /** A fixed statement without parameters or rows, such as `begin`. */
  command(sql: string): void {
    speaking(() => (this.#prepared.get(sql) ?? this.#prepare(sql)).statement.run())
  }

  get inTransaction(): boolean {
    return this.database.isTransaction
  }

  close(): void {
    if (this.database.isOpen) this.database.close()
  }

  #prepare(sql: string): Prepared {
    assert(this.#prepared.size < META_STATEMENTS_MAX, 'statements are not built from input')
    const statement = this.database.prepare(sql)
    const columns = statement.columns()
    // Objects made here, all of one shape, take a third less time for a page of a listing than those that SQLite gives.
    statement.setReturnArrays(true)
    const prepared = {
      statement,
      // An expression has no type; only strict tables are used, so that an integer column never holds bytes.
      columns: columns.map(({ name, type }) => ({ name, mayBeBytes: type === null || /^blob$/i.test(type) })),
    }
    this.#prepared.set(sql, prepared)
    return prepared
  }
}

/** Numbers are bound as integers, so that arithmetic on a parameter is not one of fractions. */
function toSqlite(value: SqlValue): null | bigint | string | Uint8Array {
  return typeof value === 'number' ? BigInt(value) : value
}

function toRow(columns: readonly Column[], values: readonly SqlValue[]): Row {
  const row: Row = {}
  for (let at = 0; at < columns.length; at++) {
    const { name, mayBeBytes } = columns[at]!
    const value = values[at]!
    row[name] =
      mayBeBytes && value instanceof Uint8Array
        ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
        : value
  }
  return row
}

/** The result codes of SQLite that are not a bug of ours; the lowest byte of an extended code. */
const CODES: Readonly<Record<number, ErrorCode>> = {
  5: 'unavailable', // busy
  6: 'unavailable', // locked
  8: 'io_error', // read only
  10: 'io_error',
  11: 'corrupt',
  13: 'disk_full',
  14: 'io_error', // cannot open
  18: 'too_large',
  26: 'corrupt', // not a database
}

/** Runs `use`, and turns the errors of SQLite into those of the store. */
function speaking<T>(use: () => T): T {
  try {
    return use()
  } catch (error) {
    throw toMetaError(error)
  }
}

export function toMetaError(error: unknown): unknown {
  const errcode = (error as { errcode?: unknown } | undefined)?.errcode
  if (typeof errcode !== 'number') return error
  const text = `metadata: ${(error as Error).message} (SQLite ${errcode})`
  return new StoreError(CODES[errcode & 0xff] ?? 'internal', text, { cause: error })
}
