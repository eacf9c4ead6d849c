/**
 * Ships what the writer commits to a sink: changes about twice a second, snapshots daily, and whenever changes are missing.
 *
 * The session extension of SQLite notes which rows change. A cut, between two transactions, turns that into a changeset
 * and begins a new session; a snapshot is a read transaction that begins in the same instant as a cut, so that it stands
 * exactly between two numbers. All of this runs in the writer's thread; only compressing and storing are awaited.
 */
import type { Session } from 'node:sqlite'
import type { Clock } from '../../base/clock.ts'
import { StoreError } from '../../base/errors.ts'
import {
  META_CHANGES_BYTES_MAX,
  META_JOURNAL_PENDING_BYTES_MAX,
  META_JOURNAL_PERIOD_MS,
  META_JOURNAL_RETRY_MS,
  META_JOURNAL_ROWS_PER_CUT,
  META_JOURNAL_STOP_MS_MAX,
  META_SNAPSHOT_JOURNAL_BYTES_MIN,
  META_SNAPSHOT_PERIOD_MS,
} from '../../base/limits.ts'
import type { Log } from '../../base/log.ts'
import { writeDump } from '../dump/write-dump.ts'
import type { JournalEntry, JournalSink } from '../journal-sink.ts'
import { packChanges } from './changes.ts'
import type { SqliteConnection } from './connection.ts'
import { type JournalState, saveJournalState } from './journal-state.ts'
import { SqliteSnapshot } from './snapshot.ts'

const ROWS_CHANGED = { sql: 'select total_changes() as rows', params: [] }

export interface JournalParts {
  /** The writer's. */
  connection: SqliteConnection
  state: JournalState
  schema: number
  /** Nothing is in the metadata. */
  empty: boolean
  openReader: () => SqliteConnection
  clock: Clock
  log: Log
}

export class Journal {
  readonly #parts: JournalParts
  #session: Session | undefined
  #sink: JournalSink | undefined
  #stopTicking = () => {}
  /** Number of the last cut. */
  #sequence: number
  /** Something was committed since the last cut, and rows that the connection had changed until then. */
  #hasChanges = false
  #rowsAtCut = 0
  /** Changes that are cut and not stored yet, in their order. */
  #pending: { sequence: number; changeset: Uint8Array }[] = []
  #pendingBytes = 0
  /** Changes are missing in the sink: only a snapshot makes it whole. */
  #broken = true
  /** Metadata without anything in them need no copy. */
  #empty: boolean
  #snapshotMs = 0
  #snapshotBytes = 0
  #bytesSinceSnapshot = 0
  #notBeforeMs = 0
  #pumping: Promise<void> | undefined
  #snapshotting: Promise<void> | undefined
  #failing = false

  constructor(parts: JournalParts) {
    this.#parts = parts
    this.#sequence = parts.state.sequence
    this.#empty = parts.empty
    this.#session = parts.connection.database.createSession()
  }

  /**
   * Begins to ship; until then changes are kept. Throws `conflict` when the sink has copies of another database, none of this
   * one, and this one is empty: those may be all that is left of the names; and what the sink throws. Beside metadata that were
   * restored from a backup, the copies of those before stay as they are.
   */
  async ship(sink: JournalSink): Promise<void> {
    const { state, schema, clock } = this.#parts
    const entries = await sink.list()
    const own = entries.filter(({ databaseId }) => databaseId === state.databaseId)
    if (own.length === 0 && entries.length > 0 && this.#parts.empty) {
      const text = 'there are safety copies of other metadata: rebuild from them, or remove their collection'
      throw new StoreError('conflict', text)
    }
    const chain = newestChain(own)
    const last = Math.max(0, ...own.map(({ sequence }) => sequence))
    const whole = chain !== undefined && chain.last === state.sequence && last === state.sequence
    if (whole && state.clean && state.schema === schema) {
      this.#broken = this.#session === undefined
      this.#snapshotMs = chain.snapshot.madeMs
      this.#snapshotBytes = chain.snapshot.bytes
      this.#bytesSinceSnapshot = chain.changesBytes
    } else this.#sequence = Math.max(last, this.#sequence)
    this.#sink = sink
    this.#stopTicking = clock.every(META_JOURNAL_PERIOD_MS, () => this.#tick())
    this.#tick()
  }

  /** The writer has committed; called between two transactions. */
  committed(): void {
    this.#empty = false
    this.#hasChanges = true
    if (this.#rowsChanged() - this.#rowsAtCut < META_JOURNAL_ROWS_PER_CUT) return
    this.#cut()
    this.#pump()
  }

  /** Stores what is left, by a snapshot where one is due, and notes whether the journal is whole. Nothing is committed any more. */
  async stop(): Promise<void> {
    this.#stopTicking()
    if (this.#sink !== undefined) {
      this.#tick()
      const { clock } = this.#parts
      let cancel = () => {}
      const late = new Promise<void>((resolve) => {
        cancel = clock.after(META_JOURNAL_STOP_MS_MAX, resolve)
      })
      await Promise.race([Promise.all([this.#pumping, this.#snapshotting]), late])
      cancel()
    }
    this.#session?.close()
    this.#session = undefined
    if (this.#sink === undefined || this.#broken || this.#pending.length > 0) return
    const { connection, state, schema } = this.#parts
    saveJournalState(connection, { ...state, schema, sequence: this.#sequence, clean: true })
  }

  #tick(): void {
    this.#cut()
    this.#pump()
    if (this.#snapshotting === undefined && this.#snapshotIsDue()) {
      this.#snapshotting = this.#snapshot().finally(() => {
        this.#snapshotting = undefined
      })
    }
  }

  #snapshotIsDue(): boolean {
    const nowMs = this.#parts.clock.nowMs()
    if (this.#empty || nowMs < this.#notBeforeMs) return false
    if (this.#broken) return true
    if (this.#bytesSinceSnapshot > Math.max(this.#snapshotBytes, META_SNAPSHOT_JOURNAL_BYTES_MIN)) return true
    return this.#bytesSinceSnapshot > 0 && nowMs - this.#snapshotMs >= META_SNAPSHOT_PERIOD_MS
  }

  /** Turns what was committed since the last cut into changes that wait to be stored. */
  #cut(): void {
    if (!this.#hasChanges) return
    this.#hasChanges = false
    this.#rowsAtCut = this.#rowsChanged()
    if (this.#session === undefined) return
    const changeset = this.#session.changeset()
    this.#session.close()
    this.#session = this.#parts.connection.database.createSession()
    if (changeset.length === 0) return
    this.#pending.push({ sequence: ++this.#sequence, changeset })
    this.#pendingBytes += changeset.length
    if (this.#pendingBytes > META_JOURNAL_PENDING_BYTES_MAX || changeset.length > META_CHANGES_BYTES_MAX)
      this.#giveUp()
  }

  /** By this connection, since it was opened. */
  #rowsChanged(): number {
    const [row] = this.#parts.connection.run(ROWS_CHANGED)
    return Number(row!.rows)
  }

  /** More waits than may be kept, because the sink does not take it: a snapshot must bring it all. */
  #giveUp(): void {
    this.#broken = true
    this.#pending = []
    this.#pendingBytes = 0
    this.#session?.close()
    this.#session = undefined
  }

  #pump(): void {
    if (this.#sink === undefined || this.#pumping !== undefined || this.#pending.length === 0) return
    this.#pumping = this.#storePending(this.#sink).finally(() => {
      this.#pumping = undefined
    })
  }

  async #storePending(sink: JournalSink): Promise<void> {
    const { state, clock } = this.#parts
    for (let first = this.#pending[0]; first !== undefined; first = this.#pending[0]) {
      try {
        const packed = await packChanges(first.changeset)
        const entry = { kind: 'changes', sequence: first.sequence, madeMs: clock.nowMs() } as const
        await sink.append({ ...entry, databaseId: state.databaseId }, onePiece(packed))
        this.#bytesSinceSnapshot += packed.length
        this.#say(undefined)
      } catch (error) {
        // They stay first, and the next tick tries again.
        return this.#say(error)
      }
      if (this.#pending[0] !== first) continue
      this.#pending.shift()
      this.#pendingBytes -= first.changeset.length
    }
  }

  async #snapshot(): Promise<void> {
    const { state, clock, connection, openReader } = this.#parts
    const sink = this.#sink!
    this.#cut()
    const mends = this.#broken
    if (mends) {
      // What came before is in the snapshot, and of no use without what is missing.
      this.#giveUp()
      this.#sequence++
    }
    const sequence = this.#sequence
    const storedBefore = this.#bytesSinceSnapshot
    const madeMs = clock.nowMs()
    try {
      const snapshot = new SqliteSnapshot(openReader())
      this.#session ??= connection.database.createSession()
      if (mends) this.#broken = false
      try {
        const entry = { kind: 'snapshot', databaseId: state.databaseId, sequence, madeMs } as const
        this.#snapshotBytes = await sink.append(entry, writeDump(snapshot, clock))
      } finally {
        await snapshot.close()
      }
      this.#snapshotMs = madeMs
      this.#bytesSinceSnapshot -= storedBefore
      this.#say(undefined)
    } catch (error) {
      if (mends) this.#giveUp()
      this.#notBeforeMs = clock.nowMs() + META_JOURNAL_RETRY_MS
      return this.#say(error)
    }
    try {
      await sink.removeBefore(state.databaseId, sequence)
    } catch (error) {
      // The next snapshot removes them too.
      this.#say(error)
    }
  }

  /** One line when it begins to fail, one when that is over. */
  #say(error: unknown): void {
    const { log } = this.#parts
    if (error !== undefined && !this.#failing)
      log.warn({ error }, 'safety copies of the metadata cannot be stored')
    if (error === undefined && this.#failing) log.info({}, 'safety copies of the metadata are stored again')
    this.#failing = error !== undefined
  }
}

async function* onePiece(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

export interface Chain {
  snapshot: JournalEntry
  /** Those after the snapshot without a gap, in their order. */
  changes: JournalEntry[]
  changesBytes: number
  /** Number of the last one, or of the snapshot. */
  last: number
}

/** The newest snapshot, and the changes that follow it. */
function newestChain(entries: readonly JournalEntry[]): Chain | undefined {
  const snapshots = entries.filter(({ kind }) => kind === 'snapshot').sort(newestFirst)
  return snapshots[0] === undefined ? undefined : chainOf(snapshots[0], entries)
}

export function chainOf(snapshot: JournalEntry, entries: readonly JournalEntry[]): Chain {
  const own = entries.filter(
    ({ kind, databaseId }) => kind === 'changes' && databaseId === snapshot.databaseId,
  )
  const bySequence = new Map(own.map((entry) => [entry.sequence, entry]))
  const chain: Chain = { snapshot, changes: [], changesBytes: 0, last: snapshot.sequence }
  for (;;) {
    const next = bySequence.get(chain.last + 1)
    if (next === undefined) return chain
    chain.changes.push(next)
    chain.changesBytes += next.bytes
    chain.last++
  }
}

export const newestFirst = (a: JournalEntry, b: JournalEntry) =>
  b.sequence - a.sequence || b.madeMs - a.madeMs
