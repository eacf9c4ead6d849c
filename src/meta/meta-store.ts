/**
 * The metadata layer's face: transactions as scripts that two engines run.
 *
 * A script is a generator: it yields queries, is given their rows, and returns a result. All of it is one transaction.
 * SQLite runs it synchronously on the one thread that writes, many scripts in one commit; PostgreSQL runs it over a
 * pooled connection, and again from the start when the transaction could not be serialized. So a script does nothing
 * but query: time, random ids and whatever else must be the same in a second run come in by its arguments.
 */
import { StoreError } from '../base/errors.ts'
import type { Unsynced } from '../base/unsynced.ts'
import type { KeyChanges } from './key-changes.ts'

/**
 * What columns hold. Integers are safe ones (below 2^53) by the schema; 64-bit ids are bytes. Bytes come back as Buffers.
 * There are no booleans, dates or fractions: 0 and 1, milliseconds, and thousandths.
 */
export type SqlValue = null | number | string | Uint8Array

export type Row = Record<string, SqlValue>

/** One statement with `?` for each parameter. The text is the key of the prepared statement: never build it from input. */
export interface Query {
  sql: string
  params: readonly SqlValue[]
}

/** The steps of a transaction. */
export type Steps<R> = Generator<Query, R, Row[]>

/**
 * A named transaction. Arguments and result can be posted to a thread (structured clone). A StoreError that it throws
 * takes back all that it did, and reaches the caller.
 */
export interface Script<A, R> {
  /** The same on all threads, by which the writing thread finds it. */
  readonly name: string
  readonly steps: (args: A) => Steps<R>
}

/** Differences between engines that callers may ask for. */
export interface MetaCapabilities {
  /** `read` answers at once, not by a promise. */
  synchronousReads: boolean
  /** Several processes may use the same metadata. */
  sharedBetweenProcesses: boolean
  /** Changes are shipped to volumes, from which `cairn fsck --rebuild` restores them. */
  journal: boolean
}

export interface TableShape {
  name: string
  columns: readonly { name: string; type: 'int' | 'text' | 'bytes' }[]
  /** Columns of the primary key. */
  key: readonly string[]
}

/**
 * One consistent state. On PostgreSQL it ends when nothing is asked for a minute; on SQLite the write-ahead log grows as
 * long as it is open.
 */
export interface MetaSnapshot {
  /** Version of the schema. */
  readonly schema: number
  /** All tables but the engine's own, by name. */
  readonly tables: readonly TableShape[]
  /** At once on SQLite. Throws `unavailable` when the server has gone. */
  ask(query: Query): Row[] | Promise<Row[]>
  close(): Promise<void>
}

export interface MetaStore {
  readonly capabilities: MetaCapabilities
  /** Tells when what was read of a key is no longer so; undefined: that must be read again. */
  readonly keyChanges?: KeyChanges | undefined
  /**
   * Runs a script that writes; resolves when its transaction is on disk. Throws what the script throws, and
   * `unavailable` (the engine cannot be reached; nothing was done), `too_many_requests` (the queue is full), `io_error`,
   * `disk_full`. A lost connection whose commit may or may not have happened is resolved before this settles; only when
   * the server stays away for META_OUTCOME_MS_MAX it is `timeout`: the transaction may have happened.
   * `unsynced`: bytes that must be on disk before the transaction is; throws why they could not be, and then nothing was done.
   */
  write<A, R>(script: Script<A, R>, args: A, unsynced?: Unsynced): Promise<R>
  /** Runs a script that only reads, on one consistent state that has every write that was acknowledged before. */
  read<A, R>(script: Script<A, R>, args: A): R | Promise<R>
  /** All of the present state, to be read in pieces while others write. Throws `unavailable`. */
  snapshot(): Promise<MetaSnapshot>
  /** Throws `unavailable` when the engine does not answer; for health checks. */
  check(): Promise<void>
  close(): Promise<void>
}

/** What an engine throws for a constraint that a script did not look at: a bug of the script. */
export type ScriptFailure = StoreError & { code: 'internal' }

/**
 * Whether `MetaStore.write` may have done all that it was asked for, though it threw this: nobody knows after `timeout`, and a disk
 * that fails at a commit may show it after a crash.
 */
export const mayHaveHappened = (error: unknown) =>
  error instanceof StoreError && (error.code === 'timeout' || error.code === 'io_error')

/** A query, in the place where it is asked: `const rows = yield query('select …', id)`. */
export function query(sql: string, ...params: SqlValue[]): Query {
  return { sql, params }
}
