/**
 * Metadata in PostgreSQL: pooled connections, serializable transactions that run again when they collide, and commits
 * whose outcome is always found out.
 *
 * Each writing transaction inserts a mark that is its own. When the connection is lost at the commit, the transaction
 * runs again with the same mark: the server makes the second wait until the first has ended, and refuses the mark if it
 * was committed. So nothing is applied twice, and the result of the first run counts.
 */
import { Pool, type PoolClient } from 'pg'
import type { Clock } from '../../base/clock.ts'
import { StoreError, toStoreError } from '../../base/errors.ts'
import {
  META_COLLIDING_MS_MAX,
  META_COLLISION_WAIT_MS_MAX,
  META_CONNECT_MS_MAX,
  META_DUPLICATES_MAX,
  META_MARK_MS,
  META_MARKS_PER_SWEEP,
  META_OUTCOME_MS_MAX,
  META_RETRY_MS,
  META_RETRY_MS_MAX,
  META_STATEMENT_MS_MAX,
  META_UNAVAILABLE_MS_MAX,
  META_WRITES_WAITING_MAX,
} from '../../base/limits.ts'
import type { Random } from '../../base/random.ts'
import type { Unsynced } from '../../base/unsynced.ts'
import type { MetaSnapshot, MetaStore, Query, Row, Script, Steps } from '../meta-store.ts'
import { ping } from '../run-steps.ts'
import type { Migration } from '../schema-text.ts'
import { isDuplicate, isTakenBack, troubleOf } from './errors.ts'
import { migratePostgres } from './schema.ts'
import { PostgresSnapshot } from './snapshot.ts'
import { Statements, VALUE_TYPES } from './statements.ts'
import { WriteWindow } from './write-window.ts'

export interface PostgresOptions {
  url: string
  clock: Clock
  random: Random
  connectionsMax: number
  /** How long a call waits for a server that is gone. */
  unavailableMsMax?: number
}

/** One call's way through its attempts. */
interface Attempts {
  startedMs: number
  count: number
  /** Those of them that met a key which was there already. */
  duplicates: number
  /** The server may have committed, and this is what the script gave then. */
  uncertain: { result: unknown } | undefined
}

export class PostgresStore implements MetaStore {
  readonly capabilities = { synchronousReads: false, sharedBetweenProcesses: true, journal: false }
  readonly #pool: Pool
  readonly #window: WriteWindow
  readonly #clock: Clock
  readonly #random: Random
  readonly #statements = new Statements()
  readonly #unavailableMsMax: number
  /** Read scripts that were seen to ask more than once. */
  readonly #manySteps = new Set<string>()
  #writesSinceSweep = 0
  #closed = false

  constructor(options: PostgresOptions) {
    this.#clock = options.clock
    this.#random = options.random
    this.#unavailableMsMax = options.unavailableMsMax ?? META_UNAVAILABLE_MS_MAX
    this.#pool = new Pool({
      connectionString: options.url,
      max: options.connectionsMax,
      types: VALUE_TYPES as never,
      keepAlive: true,
      connectionTimeoutMillis: META_CONNECT_MS_MAX,
      statement_timeout: META_STATEMENT_MS_MAX,
      query_timeout: 2 * META_STATEMENT_MS_MAX,
      idle_in_transaction_session_timeout: 2 * META_STATEMENT_MS_MAX,
      application_name: 'cairn',
    })
    const { connectionsMax } = options
    this.#window = new WriteWindow(connectionsMax, (thrown) => troubleOf(thrown).kind === 'retry')
    // An idle connection that breaks is replaced by the pool; the next call meets the server's state by itself.
    this.#pool.on('error', () => {})
  }

  /** Throws `unsupported` when the schema is newer than the program, `unavailable`, `unauthorized`. */
  migrate(migrations: readonly Migration[]): Promise<void> {
    return this.#retrying(async () => {
      await this.#withClient((client) => migratePostgres(client, migrations, this.#clock.nowMs()))
    })
  }

  async write<A, R>(script: Script<A, R>, args: A, unsynced?: Unsynced): Promise<R> {
    if (unsynced !== undefined) await unsynced.durable()
    const mark = this.#random.bytes(16)
    return await this.#retrying((attempts) =>
      this.#window.run(() => this.#writeOnce(script, args, { mark, attempts }), {
        isRepeated: attempts.count > 0,
      }),
    )
  }

  read<A, R>(script: Script<A, R>, args: A): Promise<R> {
    return this.#retrying(() => this.#withClient((client) => this.#readOnce(client, script, args)))
  }

  snapshot(): Promise<MetaSnapshot> {
    return this.#retrying(async () => PostgresSnapshot.open(await this.#pool.connect(), this.#statements))
  }

  async check(): Promise<void> {
    await this.#withClient((client) => this.#readOnce(client, ping, null)).catch((thrown) => {
      const trouble = troubleOf(thrown)
      throw trouble.kind === 'failed' ? trouble.error : gone(trouble.cause)
    })
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#pool.end()
  }

  /** Runs `once` until it settles for good: collisions are repeated at once, a server that is gone is waited for. */
  async #retrying<R>(once: (attempts: Attempts) => Promise<R>): Promise<R> {
    if (this.#pool.waitingCount + this.#window.waitingCount >= META_WRITES_WAITING_MAX)
      throw new StoreError('too_many_requests', 'too many metadata transactions wait')
    const startedMs = this.#clock.monotonicMs()
    const attempts: Attempts = { startedMs, count: 0, duplicates: 0, uncertain: undefined }
    for (;;) {
      if (this.#closed && attempts.uncertain === undefined)
        throw new StoreError('unavailable', 'the metadata is closed')
      try {
        return await once(attempts)
      } catch (thrown) {
        const trouble = troubleOf(thrown)
        // Two that run at the same time may find a key free and both insert it; when it happens again and again, it is a bug.
        const mayCollide = isDuplicate(thrown) && attempts.duplicates++ < META_DUPLICATES_MAX
        if (trouble.kind === 'failed' && attempts.uncertain === undefined && !mayCollide) throw trouble.error
        await this.#beforeAnother(
          attempts,
          trouble.kind === 'failed' ? trouble.error : trouble.cause,
          trouble.kind,
        )
      }
    }
  }

  /** Waits, or gives up; never after the first attempt, as a process that stood still itself finds its connections broken. */
  async #beforeAnother(attempts: Attempts, cause: Error, kind: string): Promise<void> {
    attempts.count++
    const passedMs = this.#clock.monotonicMs() - attempts.startedMs
    if (attempts.uncertain !== undefined) {
      if (passedMs > META_OUTCOME_MS_MAX || this.#closed)
        throw new StoreError('timeout', 'whether the transaction was committed is not known', { cause })
    } else if (kind === 'retry') {
      if (passedMs > META_COLLIDING_MS_MAX && attempts.count > 1)
        throw new StoreError('unavailable', `too many metadata transactions collide: ${cause.message}`, {
          cause,
        })
    } else if (passedMs > this.#unavailableMsMax && attempts.count > 1) throw gone(cause)
    // Those that collided must not meet again.
    const waitMsMax = kind === 'retry' ? META_COLLISION_WAIT_MS_MAX : META_RETRY_MS_MAX
    const limitMs = Math.min(waitMsMax, META_RETRY_MS * 2 ** Math.min(attempts.count, 16))
    await this.#clock.sleep(1 + this.#random.below(limitMs))
  }

  async #writeOnce<A, R>(
    script: Script<A, R>,
    args: A,
    { mark, attempts }: { mark: Buffer; attempts: Attempts },
  ): Promise<R> {
    return await this.#withClient(async (client) => {
      try {
        const text = `'\\x${mark.toString('hex')}', ${this.#clock.nowMs()}`
        // Two statements in one message; neither holds anything that came from outside.
        await client.query(`begin isolation level serializable; insert into commit_mark values (${text})`)
      } catch (thrown) {
        await client.query('rollback')
        // The mark is there: the commit whose outcome was unknown has happened.
        if (attempts.uncertain !== undefined && isDuplicate(thrown)) return attempts.uncertain.result as R
        throw thrown
      }
      // The mark was free: an earlier commit has not happened, and cannot any more.
      attempts.uncertain = undefined
      const result = await this.#runIn(client, script, args)
      try {
        await client.query('commit')
      } catch (thrown) {
        if (!isTakenBack(thrown)) attempts.uncertain = { result }
        throw thrown
      }
      this.#sweepMarks(client)
      return result
    })
  }

  async #readOnce<A, R>(client: PoolClient, script: Script<A, R>, args: A): Promise<R> {
    if (!this.#manySteps.has(script.name)) {
      const steps = script.steps(args)
      const first = advance(steps)
      if (first.done) return first.value
      const second = advance(steps, await this.#ask(client, first.value))
      if (second.done) return second.value
      // It needs one state for all that it asks: it begins anew, in a transaction.
      this.#manySteps.add(script.name)
    }
    await client.query('begin isolation level repeatable read read only')
    const result = await this.#runIn(client, script, args)
    await client.query('commit')
    return result
  }

  /** Runs a script in the transaction that is open; takes the transaction back when it throws. */
  async #runIn<A, R>(client: PoolClient, script: Script<A, R>, args: A): Promise<R> {
    try {
      const steps = script.steps(args)
      let step = advance(steps)
      while (!step.done) step = advance(steps, await this.#ask(client, step.value))
      return step.value
    } catch (thrown) {
      if (troubleOf(thrown).kind !== 'lost') await client.query('rollback')
      throw thrown
    }
  }

  async #ask(client: PoolClient, query: Query): Promise<Row[]> {
    return (await client.query(this.#statements.of(query))).rows
  }

  /** Lends a connection; one that met trouble of its own is not used again. */
  async #withClient<R>(use: (client: PoolClient) => Promise<R>): Promise<R> {
    const client = await this.#pool.connect()
    // Without a listener an error of a connection that is lent would end the process.
    const ignore = () => {}
    client.on('error', ignore)
    let broken = false
    try {
      return await use(client)
    } catch (thrown) {
      broken = troubleOf(thrown).kind === 'lost'
      throw thrown
    } finally {
      client.off('error', ignore)
      client.release(broken)
    }
  }

  /** Removes marks that nobody can ask for any more, once in a while. */
  #sweepMarks(client: PoolClient): void {
    if (++this.#writesSinceSweep < META_MARKS_PER_SWEEP) return
    this.#writesSinceSweep = 0
    const before = this.#clock.nowMs() - META_MARK_MS
    // It goes before whatever the connection is lent for next, and when it fails the next sweep does the rest.
    client.query('delete from commit_mark where made_ms < $1', [before]).catch(() => {})
  }
}

/** The next step of a script. Whatever it throws must not look like a lost connection. */
function advance<R>(steps: Steps<R>, rows?: Row[]): IteratorResult<Query, R> {
  try {
    return rows === undefined ? steps.next() : steps.next(rows)
  } catch (thrown) {
    throw toStoreError(thrown)
  }
}

const gone = (cause: Error) =>
  new StoreError('unavailable', `the metadata server does not answer: ${cause.message}`, { cause })
