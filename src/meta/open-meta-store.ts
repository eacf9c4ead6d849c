/** Opens metadata: SQLite in a directory, or PostgreSQL by its URL. The schema is brought up to date first. */
import { join } from 'node:path'
import type { MessagePort } from 'node:worker_threads'
import type { Clock } from '../base/clock.ts'
import { META_CONNECTIONS_DEFAULT } from '../base/limits.ts'
import type { Random } from '../base/random.ts'
import { assertRestored } from './dump/restore-steps.ts'
import type { MetaStore } from './meta-store.ts'
import { MIGRATIONS } from './migrations/all.ts'
import { PostgresStore } from './postgres/store.ts'
import { type AnyScript, runSteps } from './run-steps.ts'
import type { Migration } from './schema-text.ts'
import { SqliteClientStore } from './sqlite/client-store.ts'
import { SqliteConnection } from './sqlite/connection.ts'
import { SqliteLocalStore } from './sqlite/local-store.ts'
import { SqliteReader } from './sqlite/reader.ts'
import { migrateSqlite } from './sqlite/schema.ts'
import { SqliteWriter } from './sqlite/writer.ts'
import { MetaWriterHost } from './sqlite/writer-host.ts'

export interface MetaOptions {
  clock: Clock
  random: Random
  /** Others than the program's own, for tests. */
  migrations?: readonly Migration[]
  /** PostgreSQL: connections of this store. */
  connectionsMax?: number
  /** PostgreSQL: how long a call waits for a server that is gone. */
  unavailableMsMax?: number
}

/** The writing thread's end of SQLite metadata. */
export interface MetaWriter {
  /** Answers the `openMetaClient` on the other end of `port`. */
  serve(port: MessagePort): void
  /** Commits what waits, and closes. */
  close(): Promise<void>
}

export const isPostgresUrl = (url: string) => /^postgres(ql)?:\/\//.test(url)

/** The file of metadata in a data directory, or the file itself where one is named. */
export const metaFileOf = (path: string) => (path.endsWith('.sqlite') ? path : join(path, 'metadata.sqlite'))

/**
 * Metadata for one thread: PostgreSQL by its URL, or SQLite in an existing directory, which nobody else may write to.
 * Throws `unsupported` (a newer schema), `conflict` (half restored), `unavailable`, `unauthorized`, `io_error`, `corrupt`.
 */
export async function openMetaStore(url: string, options: MetaOptions): Promise<MetaStore> {
  const migrations = options.migrations ?? MIGRATIONS
  if (!isPostgresUrl(url)) {
    const writer = openWriter(url, options)
    const open = () => SqliteConnection.open(metaFileOf(url), { writes: false })
    return new SqliteLocalStore({ writer, reader: new SqliteReader(open()), clock: options.clock, open })
  }
  const store = new PostgresStore({ connectionsMax: META_CONNECTIONS_DEFAULT, ...options, url })
  try {
    await store.migrate(migrations)
    await store.read(assertRestored, null)
    return store
  } catch (error) {
    await store.close()
    throw error
  }
}

/** The one writer of SQLite metadata, for a thread of its own. `scripts` are those that clients may name. */
export function openMetaWriter(
  path: string,
  options: MetaOptions & { scripts: readonly AnyScript[] },
): MetaWriter {
  const writer = openWriter(path, options)
  return new MetaWriterHost({ writer, scripts: options.scripts, clock: options.clock })
}

/** Metadata for a thread beside the writer's. The writer must have been opened before. */
export function openMetaClient(path: string, port: MessagePort, options: { clock: Clock }): MetaStore {
  const open = () => SqliteConnection.open(metaFileOf(path), { writes: false })
  return new SqliteClientStore({ port, reader: new SqliteReader(open()), clock: options.clock, open })
}

function openWriter(path: string, options: MetaOptions): SqliteWriter {
  const connection = SqliteConnection.open(metaFileOf(path), { writes: true })
  try {
    migrateSqlite(connection, options.migrations ?? MIGRATIONS, options.clock.nowMs())
    runSteps(assertRestored as unknown as AnyScript, null, (query) => connection.run(query))
    return new SqliteWriter(connection)
  } catch (error) {
    connection.close()
    throw error
  }
}
