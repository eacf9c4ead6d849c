/** Backup and restore: all metadata as one stream of bytes, from either engine into either. */
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import { META_RESTORE_ROWS, META_RESTORES_AT_ONCE } from '../base/limits.ts'
import { type DumpRows, type OpenDump, readDump } from './dump/read-dump.ts'
import { beginRestore, countRows, endRestore } from './dump/restore-steps.ts'
import { writeDump } from './dump/write-dump.ts'
import type { MetaStore, Query, Script, SqlValue, TableShape } from './meta-store.ts'
import { MIGRATIONS } from './migrations/all.ts'
import { type MetaOptions, type MetaSource, openMetaStore, openRestored } from './open-meta-store.ts'
import type { Migration } from './schema-text.ts'

export interface RestoredMeta {
  schema: number
  /** When the dump was begun: what it shows. */
  createdMs: number
  rows: number
}

/**
 * A dump of one moment, while others write. Throws what reading throws; a dump that breaks off is refused by `restoreMeta`.
 */
export async function* backupMeta(source: MetaSource, clock: Clock): AsyncGenerator<Buffer> {
  const snapshot = await source.snapshot()
  try {
    yield* writeDump(snapshot, clock)
  } finally {
    await snapshot.close()
  }
}

/**
 * Loads a dump into metadata without rows: a directory or file of SQLite, or a database of PostgreSQL. Until it has ended
 * well, nothing else opens that metadata. Throws `conflict` (there are rows), `corrupt`, `unsupported` (a newer schema),
 * and what the engine throws.
 */
export async function restoreMeta(
  url: string,
  pieces: AsyncIterable<Buffer>,
  options: MetaOptions,
): Promise<RestoredMeta> {
  const loaded = await loadDump(url, pieces, options)
  const store = await openRestored(url, { ...options, migrations: migrationsTo(loaded.schema, options) })
  try {
    await store.write(endRestore, null)
    return loaded
  } finally {
    await store.close()
  }
}

/** As `restoreMeta`, but the metadata stays marked as half restored. */
export async function loadDump(
  url: string,
  pieces: AsyncIterable<Buffer>,
  options: MetaOptions,
): Promise<RestoredMeta> {
  const dump = await readDump(pieces)
  const { schema, createdMs } = dump.header
  const store = await openMetaStore(url, { ...options, migrations: migrationsTo(schema, options) })
  try {
    const tables = await sameTables(store, dump)
    for (const { name } of tables) {
      if ((await store.read(countRows, name)) > 0)
        throw new StoreError('conflict', `the metadata is not empty: table ${name} has rows`)
    }
    await store.write(beginRestore, options.clock.nowMs())
    const rows = await load(store, dump)
    return { schema, createdMs, rows }
  } finally {
    await store.close()
  }
}

/** Those that make the schema of the dump. */
function migrationsTo(schema: number, options: MetaOptions): Migration[] {
  const all = options.migrations ?? MIGRATIONS
  if (schema > (all.at(-1)?.version ?? 0))
    throw new StoreError('unsupported', `the dump has schema ${schema}: use a newer version`)
  return all.filter(({ version }) => version <= schema)
}

/** Names in the dump become SQL only when the schema has them. */
async function sameTables(store: MetaStore, { header }: OpenDump): Promise<readonly TableShape[]> {
  const snapshot = await store.snapshot()
  try {
    if (JSON.stringify(snapshot.tables) !== JSON.stringify(header.tables))
      throw new StoreError('corrupt', 'the dump has other tables than its schema')
    return snapshot.tables
  } finally {
    await snapshot.close()
  }
}

/** Several transactions at a time; the first failure ends all. */
async function load(store: MetaStore, dump: OpenDump): Promise<number> {
  const running = new Set<Promise<void>>()
  let rows = 0
  let failure: unknown
  for await (const block of dump.rows) {
    const done: Promise<void> = store.write(loadRows, block).then(
      () => void running.delete(done),
      (error: unknown) => {
        failure ??= error
        running.delete(done)
      },
    )
    running.add(done)
    rows += block.values.length / block.table.columns.length
    if (running.size >= META_RESTORES_AT_ONCE) await Promise.race(running)
    if (failure !== undefined) break
  }
  await Promise.all(running)
  if (failure !== undefined) throw failure
  return rows
}

const loadRows: Script<DumpRows, null> = {
  name: 'meta.load-rows',
  *steps({ table, values }) {
    const width = table.columns.length
    const most = width * META_RESTORE_ROWS
    let at = 0
    for (; at + most <= values.length; at += most)
      yield insertOf(table, META_RESTORE_ROWS, values.slice(at, at + most))
    for (; at < values.length; at += width) yield insertOf(table, 1, values.slice(at, at + width))
    return null
  },
}

/** Two texts a table: for many rows, and for one. */
function insertOf({ name, columns }: TableShape, count: number, params: SqlValue[]): Query {
  const row = `(${columns.map(() => '?').join(', ')})`
  const names = columns.map((column) => column.name).join(', ')
  return { sql: `insert into ${name} (${names}) values ${Array(count).fill(row).join(', ')}`, params }
}
