/** SQLite with writer and reader in one thread, for command line tools and tests. */
import type { Clock } from '../../base/clock.ts'
import { StoreError } from '../../base/errors.ts'
import { META_BATCH_SCRIPTS_MAX, META_WRITES_WAITING_MAX } from '../../base/limits.ts'
import type { Unsynced } from '../../base/unsynced.ts'
import type { KeyChanges } from '../key-changes.ts'
import type { MetaSnapshot, MetaStore, Script } from '../meta-store.ts'
import { type AnyScript, ping } from '../run-steps.ts'
import type { SqliteConnection } from './connection.ts'
import type { SqliteReader } from './reader.ts'
import { SqliteSnapshot } from './snapshot.ts'
import type { Job, SqliteWriter } from './writer.ts'

interface Waiting extends Job {
  resolve: (result: unknown) => void
  reject: (error: StoreError) => void
}

export const SQLITE_CAPABILITIES = {
  synchronousReads: true,
  sharedBetweenProcesses: false,
  journal: true,
} as const

export class SqliteLocalStore implements MetaStore {
  readonly capabilities = SQLITE_CAPABILITIES
  readonly keyChanges: KeyChanges | undefined
  readonly #writer: SqliteWriter
  readonly #reader: SqliteReader
  readonly #clock: Clock
  readonly #open: () => SqliteConnection
  #waiting: Waiting[] = []
  #closed = false

  constructor(parts: {
    writer: SqliteWriter
    reader: SqliteReader
    clock: Clock
    open: () => SqliteConnection
  }) {
    this.keyChanges = parts.writer.keyChanges
    this.#writer = parts.writer
    this.#reader = parts.reader
    this.#clock = parts.clock
    this.#open = parts.open
  }

  async write<A, R>(script: Script<A, R>, args: A, unsynced?: Unsynced): Promise<R> {
    if (unsynced !== undefined) await unsynced.durable()
    return await new Promise<R>((resolve, reject) => {
      if (this.#closed) return reject(closedError())
      if (this.#waiting.length >= META_WRITES_WAITING_MAX) return reject(queueError())
      if (this.#waiting.length === 0) this.#clock.soon(() => this.#flush())
      const result = resolve as (value: unknown) => void
      this.#waiting.push({ script: script as unknown as AnyScript, args, resolve: result, reject })
    })
  }

  read<A, R>(script: Script<A, R>, args: A): R {
    if (this.#closed) throw closedError()
    return this.#reader.read(script, args)
  }

  async snapshot(): Promise<MetaSnapshot> {
    if (this.#closed) throw closedError()
    return new SqliteSnapshot(this.#open())
  }

  async check(): Promise<void> {
    this.read(ping, null)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    while (this.#waiting.length > 0) this.#flush()
    this.#closed = true
    this.#reader.close()
    this.#writer.close()
  }

  #flush(): void {
    const batch = this.#waiting.splice(0, META_BATCH_SCRIPTS_MAX)
    if (this.#waiting.length > 0) this.#clock.soon(() => this.#flush())
    if (batch.length === 0) return
    this.#writer.run(batch).forEach((outcome, at) => {
      if ('error' in outcome) batch[at]!.reject(outcome.error)
      else batch[at]!.resolve(outcome.result)
    })
  }
}

export const closedError = () => new StoreError('unavailable', 'the metadata is closed')
export const queueError = () => new StoreError('too_many_requests', 'too many metadata writes wait')
