/** A serving thread's metadata on SQLite: reads on a connection of its own, writes by message to the writing thread. */
import type { MessagePort } from 'node:worker_threads'
import type { Clock } from '../../base/clock.ts'
import { StoreError } from '../../base/errors.ts'
import { META_CHECK_MS_MAX, META_WRITES_WAITING_MAX } from '../../base/limits.ts'
import type { Unsynced } from '../../base/unsynced.ts'
import type { KeyChanges } from '../key-changes.ts'
import type { MetaSnapshot, MetaStore, Script } from '../meta-store.ts'
import { ping } from '../run-steps.ts'
import type { SqliteConnection } from './connection.ts'
import { closedError, queueError, SQLITE_CAPABILITIES } from './local-store.ts'
import { postBatch, readBatch, type WriteCall, type WriteReply } from './messages.ts'
import type { SqliteReader } from './reader.ts'
import { SqliteSnapshot } from './snapshot.ts'

interface Waiting {
  resolve: (result: unknown) => void
  reject: (error: StoreError) => void
}

export class SqliteClientStore implements MetaStore {
  readonly capabilities = SQLITE_CAPABILITIES
  readonly keyChanges: KeyChanges | undefined
  readonly #port: MessagePort
  readonly #reader: SqliteReader
  readonly #clock: Clock
  readonly #open: () => SqliteConnection
  readonly #waiting = new Map<number, Waiting>()
  #unsent: WriteCall[] = []
  #nextId = 1
  #closed = false
  #gone = false

  constructor(parts: {
    port: MessagePort
    reader: SqliteReader
    clock: Clock
    open: () => SqliteConnection
    keyChanges?: KeyChanges | undefined
  }) {
    this.keyChanges = parts.keyChanges
    this.#port = parts.port
    this.#reader = parts.reader
    this.#clock = parts.clock
    this.#open = parts.open
    this.#port.on('message', (message: unknown) => this.#settle(readBatch<WriteReply>(message)))
    this.#port.on('close', () => this.#abandon())
    this.#port.unref()
  }

  write<A, R>(script: Script<A, R>, args: A, unsynced?: Unsynced): Promise<R> {
    if (unsynced === undefined) return this.#ask(script, args, 0)
    if (unsynced.isCovered) return this.#ask(script, args, unsynced.volumeId, unsynced.carried)
    // The writing thread looks at the volume all the same, and covers it from then on.
    return unsynced.durable().then(() => this.#ask(script, args, unsynced.volumeId))
  }

  #ask<A, R>(script: Script<A, R>, args: A, volumeId: number, carried?: Buffer): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      if (this.#closed) return reject(closedError())
      if (this.#gone) return reject(goneError())
      if (this.#waiting.size >= META_WRITES_WAITING_MAX) return reject(queueError())
      // What is asked in one turn of the loop goes in one message.
      if (this.#unsent.length === 0) this.#clock.soon(() => this.#send())
      if (this.#waiting.size === 0) this.#port.ref()
      const id = this.#nextId++
      this.#waiting.set(id, { resolve: resolve as (result: unknown) => void, reject })
      this.#unsent.push([id, script.name, args, volumeId, carried])
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
    let cancel = () => {}
    const late = new Promise<never>((_, reject) => {
      const error = new StoreError('unavailable', 'the thread that writes metadata does not answer')
      cancel = this.#clock.after(META_CHECK_MS_MAX, () => reject(error))
    })
    try {
      await Promise.race([this.write(ping, null), late])
    } finally {
      cancel()
    }
  }

  /** Waits for what was asked. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#send()
    while (this.#waiting.size > 0) await this.#oneSettled()
    this.#port.close()
    this.#reader.close()
  }

  #oneSettled(): Promise<void> {
    const [id, waiting] = this.#waiting.entries().next().value!
    return new Promise((resolve) => {
      this.#waiting.set(id, {
        resolve: (result) => resolve(waiting.resolve(result)),
        reject: (error) => resolve(waiting.reject(error)),
      })
    })
  }

  #send(): void {
    const calls = this.#unsent
    this.#unsent = []
    if (calls.length === 0 || this.#gone) return
    postBatch(this.#port, calls)
  }

  #settle(replies: readonly WriteReply[]): void {
    for (const reply of replies) {
      const waiting = this.#waiting.get(reply[0])
      this.#waiting.delete(reply[0])
      if (reply.length === 2) waiting?.resolve(reply[1])
      else waiting?.reject(new StoreError(reply[1], reply[2]))
    }
    if (this.#waiting.size === 0) this.#port.unref()
  }

  #abandon(): void {
    this.#gone = true
    for (const { reject } of this.#waiting.values()) reject(goneError())
    this.#waiting.clear()
  }
}

const goneError = () => new StoreError('unavailable', 'the thread that writes metadata has ended')
