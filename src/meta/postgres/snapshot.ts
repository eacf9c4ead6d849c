/** One state of a PostgreSQL database, on a connection that is lent for as long. */
import type { PoolClient } from 'pg'
import { StoreError } from '../../base/errors.ts'
import { toShapes } from '../dump/shapes.ts'
import type { MetaSnapshot, Query, Row } from '../meta-store.ts'
import { troubleOf } from './errors.ts'
import type { Statements } from './statements.ts'

const SHAPES = `select c.table_name::text, c.column_name::text, c.data_type::text as type,
    coalesce((
      select k.ordinal_position from information_schema.key_column_usage k
      join information_schema.table_constraints t using (constraint_schema, constraint_name)
      where t.constraint_type = 'PRIMARY KEY' and k.table_schema = c.table_schema
        and k.table_name = c.table_name and k.column_name = c.column_name), 0) as key_position
  from information_schema.columns c where c.table_schema = current_schema() order by 1, c.ordinal_position`

export class PostgresSnapshot implements MetaSnapshot {
  readonly schema: number
  readonly tables: MetaSnapshot['tables']
  readonly #client: PoolClient
  readonly #statements: Statements
  readonly #ignore: () => void

  private constructor(
    parts: { client: PoolClient; statements: Statements; ignore: () => void },
    shape: { schema: number; tables: MetaSnapshot['tables'] },
  ) {
    this.#client = parts.client
    this.#statements = parts.statements
    this.#ignore = parts.ignore
    this.schema = shape.schema
    this.tables = shape.tables
  }

  static async open(client: PoolClient, statements: Statements): Promise<PostgresSnapshot> {
    // Without a listener an error of a connection that is lent would end the process.
    const ignore = () => {}
    client.on('error', ignore)
    try {
      await client.query('begin isolation level repeatable read read only')
      const { rows } = await client.query('select max(version) as version from schema_migration')
      const tables = toShapes((await client.query(SHAPES)).rows)
      return new PostgresSnapshot({ client, statements, ignore }, { schema: Number(rows[0].version), tables })
    } catch (thrown) {
      client.release(true)
      throw thrown
    }
  }

  async ask(query: Query): Promise<Row[]> {
    try {
      return (await this.#client.query(this.#statements.of(query))).rows
    } catch (thrown) {
      const trouble = troubleOf(thrown)
      if (trouble.kind === 'failed') throw trouble.error
      throw new StoreError('unavailable', `the metadata server is gone: ${trouble.cause.message}`, {
        cause: trouble.cause,
      })
    }
  }

  async close(): Promise<void> {
    const broken = await this.#client.query('commit').then(
      () => false,
      () => true,
    )
    this.#client.off('error', this.#ignore)
    this.#client.release(broken)
  }
}
