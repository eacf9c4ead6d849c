/**
 * A storage node that speaks memcached's text protocol and keeps what it is given. One instance a process: changes that depend
 * on what is there are put in order by its thread.
 */
import type { Socket } from 'node:net'
import type { Clock } from '../../base/clock.ts'
import { toStoreError } from '../../base/errors.ts'
import { HASHED_SWEEP_PERIOD_MS } from '../../base/limits.ts'
import type { Log } from '../../base/log.ts'
import type { BodyBudget } from '../../net/body.ts'
import { READ_BUFFER_BYTES, readInto } from '../../net/shared-read-buffer.ts'
import { SocketServer } from '../../net/socket-server.ts'
import type { HashedStore } from '../../objects/hashed-store.ts'
import { AnswerBuffer } from './answer-buffer.ts'
import { Commands } from './commands.ts'
import { MemcachedConnection } from './connection.ts'
import type { MemcachedCounters } from './memcached-counters.ts'

export interface MemcachedServerOptions {
  store: HashedStore
  clock: Clock
  log: Log
  counters: MemcachedCounters
  /** The program's. */
  version: string
  valueBytesMax: number
  /** Take `flush_all`. */
  allowsFlush: boolean
  bodyBudget: BodyBudget
  idleTimeoutMs?: number | undefined
}

export class MemcachedServer {
  readonly #options: MemcachedServerOptions
  readonly #server: SocketServer
  /** All connections are read into it, one after another. */
  readonly #readBuffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES)
  /** All answers leave from it, one connection's after another's. */
  readonly #answers = new AnswerBuffer()
  readonly #connections = new Map<Socket, MemcachedConnection>()
  readonly #commands: Commands
  #stopSweeps: (() => void) | undefined

  constructor(options: MemcachedServerOptions) {
    this.#options = options
    const { clock, idleTimeoutMs } = options
    this.#server = new SocketServer({
      clock,
      idleTimeoutMs,
      takeOver: (accepted) => {
        const socket: Socket = readInto(this.#readBuffer, accepted, (bytes) => {
          this.#connections.get(socket)?.take(bytes)
        })
        return socket
      },
      onConnection: (socket) => this.#add(socket),
      onClosing: (socket) => this.#connections.get(socket)?.end(),
    })
    this.#commands = new Commands({
      ...options,
      connections: () => this.#server.connectionCount,
    })
  }

  /** Starts to serve; gives the port. Throws `in_use`, `bad_request`. */
  async listen(at: { host: string; port: number }): Promise<number> {
    const port = await this.#server.listen(at)
    this.#stopSweeps = this.#options.clock.every(HASHED_SWEEP_PERIOD_MS, () => void this.#sweep())
    return port
  }

  /** Stops accepting and answers what was begun, for a bounded time. */
  async close(): Promise<void> {
    this.#stopSweeps?.()
    await this.#server.close()
  }

  #add(socket: Socket): void {
    const { valueBytesMax, bodyBudget } = this.#options
    const connection = new MemcachedConnection({
      socket,
      answers: this.#answers,
      commands: this.#commands,
      valueBytesMax,
      reserve: (bytes) => bodyBudget.reserve(bytes),
      release: (bytes) => bodyBudget.release(bytes),
    })
    this.#connections.set(socket, connection)
    socket.once('close', () => this.#connections.delete(socket))
    socket.resume()
  }

  /** Gives back the bytes of what has expired or was flushed. */
  async #sweep(): Promise<void> {
    const { store, log } = this.#options
    try {
      const removed = await store.sweep((keys, { code, message }) => {
        log.warn(
          { keys, code, reason: message },
          'keys that cannot be looked at or removed are left for another time',
        )
      })
      if (removed > 0) log.info({ removed }, 'removed what had expired or was flushed')
    } catch (error) {
      const { code, message } = toStoreError(error)
      log.warn({ code, reason: message }, 'what has expired is removed another time')
    }
  }
}
