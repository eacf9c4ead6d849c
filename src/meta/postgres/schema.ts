/** Brings a database of PostgreSQL to the schema of this program; several processes may try at once. */
import { DatabaseError, type PoolClient } from 'pg'
import { StoreError } from '../../base/errors.ts'
import { type Migration, POSTGRES_WORDS, pendingMigrations, schemaText } from '../schema-text.ts'
import { UNIQUE_VIOLATION } from './errors.ts'

/** The engine's own tables: which schema there is, and the marks by which an unknown commit is found. */
const ENGINE_TABLES = [
  `create table if not exists schema_migration (
     version bigint not null primary key, name text not null, applied_ms bigint not null)`,
  'create table if not exists commit_mark (mark bytea not null primary key, made_ms bigint not null)',
  'create index if not exists commit_mark_made on commit_mark (made_ms)',
]

/**
 * `if not exists` looks before it makes: two that make a table at once can both find none, and the second then meets the
 * first one's row, its type (42710) or its table (42P07).
 */
const MADE_MEANWHILE = [UNIQUE_VIOLATION, '42710', '42P07']

export async function migratePostgres(
  client: PoolClient,
  migrations: readonly Migration[],
  nowMs: number,
): Promise<void> {
  const encoding = (await client.query('show server_encoding')).rows[0].server_encoding
  if (encoding !== 'UTF8') throw new StoreError('unsupported', `the database is in ${encoding}, not in UTF8`)
  for (const table of ENGINE_TABLES) await unlessBeaten(client, [table], MADE_MEANWHILE)
  const applied = async () =>
    (await client.query('select max(version) as version from schema_migration')).rows[0].version ?? 0
  for (;;) {
    const [migration] = pendingMigrations(await applied(), migrations)
    if (migration === undefined) return
    const { version, name, statements } = migration
    // The row is first: whoever comes second waits for it, and then finds the work done.
    const row = `insert into schema_migration (version, name, applied_ms) values (${version}, '${name}', ${nowMs})`
    const texts = statements.map((each) => schemaText(each, POSTGRES_WORDS))
    await unlessBeaten(client, [row, ...texts], [UNIQUE_VIOLATION])
  }
}

/** Runs statements in one transaction; an error of `beaten` means that another process has just done the same. */
async function unlessBeaten(
  client: PoolClient,
  statements: readonly string[],
  beaten: readonly string[],
): Promise<void> {
  await client.query('begin')
  try {
    for (const statement of statements) await client.query(statement)
    await client.query('commit')
  } catch (error) {
    await client.query('rollback')
    if (!(error instanceof DatabaseError) || !beaten.includes(error.code ?? '')) throw error
  }
}
