/** One state of a SQLite file, on a connection of its own. */
import { toShapes } from '../dump/shapes.ts'
import type { MetaSnapshot, Query, Row } from '../meta-store.ts'
import type { SqliteConnection } from './connection.ts'

const SHAPES = `select t.name as table_name, c.name as column_name, c.type as type, c.pk as key_position
  from sqlite_schema t, pragma_table_info(t.name) c where t.type = 'table' order by t.name, c.cid`

export class SqliteSnapshot implements MetaSnapshot {
  readonly schema: number
  readonly tables: MetaSnapshot['tables']
  readonly #connection: SqliteConnection

  /** The state is the one that is committed now. The connection is this snapshot's from here on. */
  constructor(connection: SqliteConnection) {
    this.#connection = connection
    connection.command('begin')
    const [row] = this.ask({ sql: 'select max(version) as version from schema_migration', params: [] })
    this.schema = Number(row?.version ?? 0)
    this.tables = toShapes(this.ask({ sql: SHAPES, params: [] }))
  }

  ask(query: Query): Row[] {
    return this.#connection.run(query)
  }

  end(): void {
    this.#connection.close()
  }

  async close(): Promise<void> {
    this.end()
  }
}
