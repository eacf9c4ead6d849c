/** The writing thread's side: takes scripts from the ports of serving threads, and commits what waits in one transaction. */
import type { MessagePort } from 'node:worker_threads'
import type { Clock } from '../../base/clock.ts'
import { StoreError } from '../../base/errors.ts'
import { META_BATCH_SCRIPTS_MAX } from '../../base/limits.ts'
import type { Log } from '../../base/log.ts'
import { notSynced } from '../../base/unsynced.ts'
import type { JournalSink } from '../journal-sink.ts'
import { type AnyScript, ping, scriptTable } from '../run-steps.ts'
import { CarriedSyncs, type CarriedVolumes } from './carried-syncs.ts'
import type { Journal } from './journal.ts'
import { postBatch, readBatch, type WriteCall, type WriteReply } from './messages.ts'
import type { Job, Outcome, SqliteWriter } from './writer.ts'

interface Waiting extends Job {
  port: MessagePort
  id: number
  /** Is synced before the commit, unless that carries its bytes; 0: none. */
  volumeId: number
}

/** Brings all that is in a volume by now to disk. */
export interface VolumeSyncs extends CarriedVolumes {
  /**
   * Its disk is that of the metadata. A commit waits for that disk in any case, and where it waits for both syncs in turn, more
   * scripts share them than where some wait apart. Another disk that hangs must not hold up what does not concern it.
   */
  isNear(volumeId: number): boolean
  /** For a near one, while the thread waits. Throws when it cannot be. */
  now(volumeId: number): void
  /** For the others. */
  later(volumeId: number): Promise<void>
}

export class MetaWriterHost {
  readonly #writer: SqliteWriter
  readonly #clock: Clock
  readonly #scripts: ReadonlyMap<string, AnyScript>
  readonly #journal: Journal | undefined
  readonly #syncs: VolumeSyncs | undefined
  readonly #carried: CarriedSyncs | undefined
  readonly #ports = new Set<MessagePort>()
  readonly #syncing = new Set<Promise<void>>()
  #waiting: Waiting[] = []
  #closed = false

  constructor(parts: {
    writer: SqliteWriter
    scripts: readonly AnyScript[]
    clock: Clock
    journal?: Journal
    syncs?: VolumeSyncs
    log: Log
  }) {
    this.#writer = parts.writer
    this.#clock = parts.clock
    this.#journal = parts.journal
    this.#syncs = parts.syncs
    this.#carried =
      parts.syncs && new CarriedSyncs({ ...parts, blobs: parts.writer.carried, volumes: parts.syncs })
    this.#scripts = scriptTable([ping as unknown as AnyScript, ...parts.scripts])
  }

  /** Answers a client on the other end of `port` until it is closed. */
  serve(port: MessagePort): void {
    this.#ports.add(port)
    port.on('message', (message: unknown) => this.#take(port, readBatch<WriteCall>(message)))
    port.on('close', () => this.#ports.delete(port))
  }

  async ship(sink: JournalSink): Promise<void> {
    if (this.#journal === undefined) throw new StoreError('unsupported', 'this metadata keeps no journal')
    await this.#journal.ship(sink)
  }

  /** Brings back what volumes have lost in a crash; nobody uses the metadata yet. */
  async restore(): Promise<void> {
    await this.#carried?.restore()
  }

  /** Commits what waits, then ends: clients are told `unavailable` from now on. */
  async close(): Promise<void> {
    if (this.#closed) return
    await Promise.all(this.#syncing)
    while (this.#waiting.length > 0) this.#commit()
    this.#closed = true
    for (const port of this.#ports) port.close()
    await this.#carried?.sync()
    await this.#journal?.stop()
    this.#writer.close()
  }

  #take(port: MessagePort, calls: readonly WriteCall[]): void {
    if (this.#closed) return
    const unsynced = new Map<number, Waiting[]>()
    for (const [id, name, args, volumeId, carried] of calls) {
      const script = this.#scripts.get(name)
      const waiting = { port, id, script: script!, args, volumeId, carried: this.#syncs && carried }
      if (script === undefined) postBatch(port, [[id, 'internal', `no script named ${name}`]])
      else if (waiting.carried !== undefined || !this.#isSyncedBefore(volumeId)) this.#queue([waiting])
      else if (unsynced.has(volumeId)) unsynced.get(volumeId)!.push(waiting)
      else unsynced.set(volumeId, [waiting])
    }
    for (const [volumeId, waiting] of unsynced) {
      const synced = this.#queueSynced(volumeId, waiting).finally(() => this.#syncing.delete(synced))
      this.#syncing.add(synced)
    }
  }

  /** Beside other commits, by itself. */
  #isSyncedBefore(volumeId: number): boolean {
    return volumeId !== 0 && this.#syncs !== undefined && !this.#syncs.isNear(volumeId)
  }

  #queue(waiting: readonly Waiting[]): void {
    // Other ports have messages too: the commit waits until all that has arrived by now is taken.
    if (this.#waiting.length === 0) this.#clock.soon(() => this.#commit())
    this.#waiting.push(...waiting)
  }

  /** While what they name goes to disk, others are committed. */
  async #queueSynced(volumeId: number, waiting: readonly Waiting[]): Promise<void> {
    try {
      await this.#syncs!.later(volumeId)
      this.#queue(waiting.map((each) => ({ ...each, volumeId: 0 })))
    } catch (thrown) {
      const error = notSynced(thrown)
      this.#answer(waiting, () => ({ error }))
    }
  }

  #commit(): void {
    const batch = this.#waiting.splice(0, META_BATCH_SCRIPTS_MAX)
    if (this.#waiting.length > 0) this.#clock.soon(() => this.#commit())
    if (batch.length === 0) return
    const failures = this.#syncNear(batch)
    const synced = failures.size === 0 ? batch : batch.filter(({ volumeId }) => !failures.has(volumeId))
    if (synced.length > 0) {
      const outcomes = this.#writer.run(synced)
      for (const { carried, volumeId } of synced) if (carried !== undefined) this.#carried?.note(volumeId)
      this.#journal?.committed()
      this.#answer(synced, (_, at) => outcomes[at]!)
    }
    const failed = batch.filter(({ volumeId }) => failures.has(volumeId))
    this.#answer(failed, ({ volumeId }) => ({ error: failures.get(volumeId)! }))
  }

  /** Why volumes could not be synced, by their ids. */
  #syncNear(batch: readonly Waiting[]): ReadonlyMap<number, StoreError> {
    const failures = new Map<number, StoreError>()
    const tried = new Set([0])
    for (const { volumeId, carried } of batch) {
      if (carried !== undefined || tried.has(volumeId)) continue
      tried.add(volumeId)
      try {
        this.#syncs?.now(volumeId)
      } catch (thrown) {
        failures.set(volumeId, notSynced(thrown))
      }
    }
    return failures
  }

  #answer(batch: readonly Waiting[], outcomeOf: (waiting: Waiting, at: number) => Outcome): void {
    const replies = new Map<MessagePort, WriteReply[]>()
    batch.forEach((waiting, at) => {
      const list = replies.get(waiting.port)
      const reply = toReply(waiting.id, outcomeOf(waiting, at))
      if (list === undefined) replies.set(waiting.port, [reply])
      else list.push(reply)
    })
    for (const [port, list] of replies) postReplies(port, list)
  }
}

function toReply(id: number, outcome: Outcome): WriteReply {
  return 'error' in outcome ? [id, outcome.error.code, outcome.error.message] : [id, outcome.result]
}

/** A result that cannot be posted is a bug of its script, and must not cost the others their answers. */
function postReplies(port: MessagePort, replies: readonly WriteReply[]): void {
  try {
    postBatch(port, replies)
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'DataCloneError') throw error
    if (replies.length > 1) for (const reply of replies) postReplies(port, [reply])
    else postBatch(port, [[replies[0]![0], 'internal', new StoreError('internal', error.message).message]])
  }
}
