/** The one writer of a SQLite file: many scripts in a commit, each in a savepoint of its own. */
import { type StoreError, toStoreError } from '../../base/errors.ts'
import type { KeyChanges } from '../key-changes.ts'
import type { Query, Row } from '../meta-store.ts'
import { type AnyScript, runSteps } from '../run-steps.ts'
import { CarriedBlobs } from './carried-blobs.ts'
import { type SqliteConnection, toMetaError } from './connection.ts'
import { watchKeys } from './watch-keys.ts'

export interface Job {
  readonly script: AnyScript
  readonly args: unknown
  /** A blob that it names, to be kept with what it does. */
  readonly carried?: Uint8Array | undefined
}

export type Outcome = { readonly result: unknown } | { readonly error: StoreError }

/** After one of these from a statement nothing of the transaction is to be trusted. Scripts may throw them for reasons of their own. */
const FATAL = new Set(['io_error', 'disk_full', 'corrupt', 'unavailable'])

class Fatal extends Error {
  readonly failure: StoreError

  constructor(failure: StoreError) {
    super(failure.message, { cause: failure })
    this.failure = failure
  }
}

export class SqliteWriter {
  readonly connection: SqliteConnection
  /** Undefined: nobody is told which keys change. */
  readonly keyChanges: KeyChanges | undefined
  readonly carried: CarriedBlobs

  constructor(connection: SqliteConnection, keyChanges?: KeyChanges) {
    this.connection = connection
    this.carried = new CarriedBlobs(connection)
    if (keyChanges !== undefined && watchKeys(connection, keyChanges)) this.keyChanges = keyChanges
  }

  /**
   * Runs the jobs in their order in one transaction, which is on disk when this returns. A script that throws takes back
   * what it did; when the disk fails, or the commit, all have failed. Never throws.
   */
  run(jobs: readonly Job[]): Outcome[] {
    try {
      this.connection.command('begin immediate')
      const outcomes = jobs.length === 1 ? [this.#alone(jobs[0]!)] : jobs.map((job) => this.#among(job))
      if (this.connection.inTransaction) {
        this.#carry(jobs, outcomes)
        this.connection.command('commit')
      }
      return outcomes
    } catch (thrown) {
      const error = thrown instanceof Fatal ? thrown.failure : toStoreError(toMetaError(thrown))
      this.#rollback()
      return jobs.map(() => ({ error }))
    } finally {
      this.keyChanges?.end()
    }
  }

  /** What failed names nothing. */
  #carry(jobs: readonly Job[], outcomes: readonly Outcome[]): void {
    const packed: Uint8Array[] = []
    jobs.forEach(({ carried }, at) => {
      if (carried !== undefined && 'result' in outcomes[at]!) packed.push(carried)
    })
    if (packed.length > 0) this.carried.keep(packed)
  }

  close(): void {
    this.connection.close()
  }

  /** One job is the whole transaction. */
  #alone({ script, args }: Job): Outcome {
    try {
      return { result: runSteps(script, args, this.#query) }
    } catch (thrown) {
      if (thrown instanceof Fatal) throw thrown
      this.connection.command('rollback')
      return { error: toStoreError(thrown) }
    }
  }

  readonly #query = (query: Query): Row[] => {
    try {
      return this.connection.run(query)
    } catch (thrown) {
      const failure = toStoreError(thrown)
      throw FATAL.has(failure.code) ? new Fatal(failure) : failure
    }
  }

  #among({ script, args }: Job): Outcome {
    this.connection.command('savepoint script')
    try {
      const result = runSteps(script, args, this.#query)
      this.connection.command('release script')
      return { result }
    } catch (thrown) {
      // SQLite takes back everything by itself after some errors; then the savepoint is gone too.
      if (thrown instanceof Fatal || !this.connection.inTransaction) throw thrown
      const error = toStoreError(thrown)
      this.connection.command('rollback to script')
      this.connection.command('release script')
      return { error }
    }
  }

  #rollback(): void {
    try {
      if (this.connection.inTransaction) this.connection.command('rollback')
    } catch {
      // The next transaction meets the same trouble, and says so.
    }
  }
}
