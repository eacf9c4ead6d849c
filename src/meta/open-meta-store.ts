/** Opens metadata: SQLite in a directory, or PostgreSQL by its URL. The schema is brought up to date first. */
import { join } from 'node:path'
import type { MessagePort } from 'node:worker_threads'
import type { Clock } from '../base/clock.ts'
import { META_CONNECTIONS_DEFAULT } from '../base/limits.ts'
import { type Log, silentLog } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import { assertRestored, countRows } from './dump/restore-steps.ts'
import type { JournalSink } from './journal-sink.ts'
import { KEY_CHANGES_BYTES, KeyChanges } from './key-changes.ts'
import type { MetaSnapshot, MetaStore, Query } from './meta-store.ts'
import { MIGRATIONS } from './migrations/all.ts'
import { PostgresStore } from './postgres/store.ts'
import { type AnyScript, runSteps } from './run-steps.ts'
import type { Migration } from './schema-text.ts'
import { CarriedSyncs, type CarriedVolumes } from './sqlite/carried-syncs.ts'
import { SqliteClientStore } from './sqlite/client-store.ts'
import { SqliteConnection } from './sqlite/connection.ts'
import { Journal } from './sqlite/journal.ts'
import { type JournalState, takeJournalState } from './sqlite/journal-state.ts'
import { SqliteLocalStore } from './sqlite/local-store.ts'
import { SqliteReader } from './sqlite/reader.ts'
import { migrateSqlite } from './sqlite/schema.ts'
import { SqliteSnapshot } from './sqlite/snapshot.ts'
import { SqliteWriter } from './sqlite/writer.ts'
import { MetaWriterHost, type VolumeSyncs } from './sqlite/writer-host.ts'

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
  /**
   * Begins to send safety copies, where `journal` was asked for. Throws `conflict` when the sink has copies of other metadata
   * only: this one was made anew, and its copies would replace those; and what the sink throws.
   */
  ship(sink: JournalSink): Promise<void>
  /** After `open`, before anybody reads: small blobs that volumes lost in a crash, and commits carried, are brought back. */
  restore(): Promise<void>
  /** Commits what waits, stores what the journal misses, and closes. */
  close(): Promise<void>
}

export type { VolumeSyncs }

export const isPostgresUrl = (url: string) => /^postgres(ql)?:\/\//.test(url)

/** The file of metadata in a data directory, or the file itself where one is named. */
export const metaFileOf = (path: string) => (path.endsWith('.sqlite') ? path : join(path, 'metadata.sqlite'))

/**
 * Metadata for one thread: PostgreSQL by its URL, or SQLite in an existing directory, which nobody else may write to.
 * Throws `unsupported` (a newer schema), `conflict` (half restored), `unavailable`, `unauthorized`, `io_error`, `corrupt`.
 */
export async function openMetaStore(url: string, options: MetaOptions): Promise<MetaStore> {
  const store = await openRestored(url, options)
  try {
    await store.read(assertRestored, null)
    return store
  } catch (error) {
    await store.close()
    throw error
  }
}

/** As `openMetaStore`, also while a restore is under way: for that restore only. */
export async function openRestored(url: string, options: MetaOptions): Promise<MetaStore> {
  const migrations = options.migrations ?? MIGRATIONS
  if (!isPostgresUrl(url)) {
    const { writer } = openWriter(url, options, new SharedArrayBuffer(KEY_CHANGES_BYTES))
    const open = () => SqliteConnection.open(metaFileOf(url), { writes: false })
    return new SqliteLocalStore({ writer, reader: new SqliteReader(open()), clock: options.clock, open })
  }
  const store = new PostgresStore({ connectionsMax: META_CONNECTIONS_DEFAULT, ...options, url })
  try {
    await store.migrate(migrations)
    return store
  } catch (error) {
    await store.close()
    throw error
  }
}

/** What a backup is made from: any store, or one that changes nothing. */
export interface MetaSource {
  snapshot(): Promise<MetaSnapshot>
  close(): Promise<void>
}

/**
 * Metadata for reading all of it, also beside a server that uses it, of whatever version: the schema stays as it is. Throws
 * `io_error` (no such file), `conflict` (half restored), `corrupt`, `unavailable`, `unauthorized`, `not_found`.
 */
export async function openMetaSource(url: string, options: MetaOptions): Promise<MetaSource> {
  if (isPostgresUrl(url)) {
    const store = new PostgresStore({ ...options, connectionsMax: 1, url })
    try {
      await store.read(assertRestored, null)
      return store
    } catch (error) {
      await store.close()
      throw error
    }
  }
  const open = () => SqliteConnection.open(metaFileOf(url), { writes: false })
  const reader = new SqliteReader(open())
  try {
    reader.read(assertRestored, null)
  } finally {
    reader.close()
  }
  return { snapshot: async () => new SqliteSnapshot(open()), close: async () => {} }
}

export interface MetaWriterOptions extends MetaOptions {
  /** Those that clients may name. */
  scripts: readonly AnyScript[]
  /** Memory of the KeyChanges. */
  keyChanges?: SharedArrayBuffer
  /** Says what fails behind everybody's back. Default silentLog. */
  log?: Log
  /** Changes are kept for `ship`, which must follow. */
  journal?: boolean
  /** For scripts that name bytes of a volume. */
  syncs?: VolumeSyncs | undefined
}

/** The one writer of SQLite metadata, for a thread of its own. Throws as `openMetaStore` does. */
export function openMetaWriter(path: string, options: MetaWriterOptions): MetaWriter {
  const { clock, scripts, syncs } = options
  const { writer, state } = openWriter(path, options, options.keyChanges)
  const { connection } = writer
  try {
    const run = (query: Query) => connection.run(query)
    runSteps(assertRestored as unknown as AnyScript, null, run)
    const { log = silentLog } = options
    const parts = { writer, scripts, clock, log, ...(syncs && { syncs }) }
    if (options.journal !== true) return new MetaWriterHost(parts)
    const openReader = () => SqliteConnection.open(metaFileOf(path), { writes: false })
    const snapshot = new SqliteSnapshot(openReader())
    const { schema, tables } = snapshot
    const empty = tables.every(({ name }) => runSteps(countRows as unknown as AnyScript, name, run) === 0)
    snapshot.end()
    const journal = new Journal({ connection, state, schema, empty, openReader, clock, log })
    return new MetaWriterHost({ ...parts, journal })
  } catch (error) {
    connection.close()
    throw error
  }
}

/**
 * Brings back what open volumes lost in a crash and commits carried, of a store that nobody uses; what cannot be is logged. Throws as
 * `openMetaStore` does.
 */
export async function restoreCarriedBlobs(
  path: string,
  volumes: CarriedVolumes,
  options: MetaOptions & { log: Log },
): Promise<void> {
  const { writer } = openWriter(path, options, undefined)
  try {
    await new CarriedSyncs({ ...options, blobs: writer.carried, volumes }).restore()
  } finally {
    writer.close()
  }
}

/** Metadata for a thread beside the writer's. The writer must have been opened before. `keyChanges`: the same memory as its. */
export function openMetaClient(
  path: string,
  port: MessagePort,
  { clock, keyChanges: shared }: { clock: Clock; keyChanges?: SharedArrayBuffer | undefined },
): MetaStore {
  const open = () => SqliteConnection.open(metaFileOf(path), { writes: false })
  const keyChanges = shared && new KeyChanges(shared)
  return new SqliteClientStore({ port, reader: new SqliteReader(open()), clock, open, keyChanges })
}

function openWriter(
  path: string,
  options: MetaOptions,
  shared: SharedArrayBuffer | undefined,
): { writer: SqliteWriter; state: JournalState } {
  const connection = SqliteConnection.open(metaFileOf(path), { writes: true })
  try {
    migrateSqlite(connection, options.migrations ?? MIGRATIONS, options.clock.nowMs())
    const writer = new SqliteWriter(connection, shared && new KeyChanges(shared))
    return { writer, state: takeJournalState(connection, options.random) }
  } catch (error) {
    connection.close()
    throw error
  }
}
