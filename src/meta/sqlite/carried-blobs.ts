/**
 * Small blobs in the commits that name them, until their volumes are on disk. The table has no key that SQLite's sessions know, so that
 * the journal does not have them.
 */
import type { SqliteConnection } from './connection.ts'

const TABLE = 'create table if not exists carried_blobs (blobs blob not null) strict'

export class CarriedBlobs {
  readonly #connection: SqliteConnection
  #lastRow: number

  constructor(connection: SqliteConnection) {
    this.#connection = connection
    connection.database.exec(TABLE)
    const [row] = connection.run({ sql: 'select max(rowid) as last from carried_blobs', params: [] })
    this.#lastRow = Number(row!.last ?? 0)
  }

  /** The newest row, those of transactions that were taken back included. */
  get lastRow(): number {
    return this.#lastRow
  }

  /** In one row, within the transaction that is open. */
  keep(packed: readonly Uint8Array[]): void {
    this.#connection.run({
      sql: 'insert into carried_blobs (rowid, blobs) values (?, ?)',
      params: [++this.#lastRow, packed.length === 1 ? packed[0]! : Buffer.concat(packed)],
    })
  }

  /** The oldest row from `first` on; undefined: there is none. */
  next(first: number): { row: number; packed: Buffer } | undefined {
    const [found] = this.#connection.run({
      sql: 'select rowid as "row", blobs from carried_blobs where rowid >= ? order by rowid limit 1',
      params: [first],
    })
    return found && { row: Number(found.row), packed: found.blobs as Buffer }
  }

  /** Those from `first` to `last`, in a transaction of its own: their volumes are on disk. */
  drop(first: number, last: number): void {
    this.#connection.run({
      sql: 'delete from carried_blobs where rowid between ? and ?',
      params: [first, last],
    })
  }
}
