/** Brings a SQLite file to the schema of this program. */
import type { Migration } from '../schema-text.ts'
import { pendingMigrations, SQLITE_WORDS, schemaText } from '../schema-text.ts'
import type { SqliteConnection } from './connection.ts'

/** All that is missing, in one transaction. Throws `unsupported` for a file of a newer program. */
export function migrateSqlite(
  connection: SqliteConnection,
  migrations: readonly Migration[],
  nowMs: number,
): void {
  const { database } = connection
  connection.command('begin immediate')
  try {
    database.exec(
      `create table if not exists schema_migration (
         version integer not null primary key, name text not null, applied_ms integer not null) strict, without rowid`,
    )
    const [row] = connection.run({ sql: 'select max(version) as version from schema_migration', params: [] })
    for (const { version, name, statements } of pendingMigrations(Number(row?.version ?? 0), migrations)) {
      for (const statement of statements) database.exec(schemaText(statement, SQLITE_WORDS))
      connection.run({
        sql: 'insert into schema_migration (version, name, applied_ms) values (?, ?, ?)',
        params: [version, name, nowMs],
      })
    }
    connection.command('commit')
  } catch (error) {
    if (connection.inTransaction) connection.command('rollback')
    throw error
  }
}
