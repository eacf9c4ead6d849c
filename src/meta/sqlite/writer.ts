/** The one writer of a SQLite file: many scripts in a commit, each in a savepoint of its own. */
import { type StoreError, toStoreError } from '../../base/errors.ts'
import { type AnyScript, runSteps } from '../run-steps.ts'
import { type SqliteConnection, toMetaError } from './connection.ts'

export interface Job {
  readonly script: AnyScript
  readonly args: unknown
}

export type Outcome = { readonly result: unknown } | { readonly error: StoreError }

/** After one of these nothing of the transaction is to be trusted. */
const FATAL = new Set(['io_error', 'disk_full', 'corrupt', 'unavailable'])

export class SqliteWriter {
  readonly connection: SqliteConnection

  constructor(connection: SqliteConnection) {
    this.connection = connection
  }

  /**
   * Runs the jobs in their order in one transaction, which is on disk when this returns. A script that throws takes back
   * what it did; when the disk fails, or the commit, all have failed. Never throws.
   */
  run(jobs: readonly Job[]): Outcome[] {
    try {
      this.connection.command('begin immediate')
      const outcomes = jobs.length === 1 ? [this.#alone(jobs[0]!)] : jobs.map((job) => this.#among(job))
      if (this.connection.inTransaction) this.connection.command('commit')
      return outcomes
    } catch (thrown) {
      const error = toStoreError(toMetaError(thrown))
      this.#rollback()
      return jobs.map(() => ({ error }))
    }
  }

  close(): void {
    this.connection.close()
  }

  /** One job is the whole transaction. */
  #alone({ script, args }: Job): Outcome {
    try {
      return { result: runSteps(script, args, (query) => this.connection.run(query)) }
    } catch (thrown) {
      const error = toStoreError(thrown)
      if (FATAL.has(error.code)) throw error
      this.connection.command('rollback')
      return { error }
    }
  }

  #among({ script, args }: Job): Outcome {
    this.connection.command('savepoint script')
    try {
      const result = runSteps(script, args, (query) => this.connection.run(query))
      this.connection.command('release script')
      return { result }
    } catch (thrown) {
      const error = toStoreError(thrown)
      // SQLite takes back everything by itself after some errors; then the savepoint is gone too.
      if (FATAL.has(error.code) || !this.connection.inTransaction) throw error
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
