/**
 * Hash-placed data servers: files over plain connections, by WRITFILE and FETCFILE and by an extended protocol. Clients choose the
 * server by the hash of a file's path; a server knows nothing of the others. One instance a thread; all of them listen on one
 * port. `docs/hashstore.md` says what it does.
 */
import type { Socket } from 'node:net'
import type { Clock } from '../../base/clock.ts'
import { toStoreError } from '../../base/errors.ts'
import { HASHSTORE_UNREAD_BYTES_MAX, HEADER_TIMEOUT_MS } from '../../base/limits.ts'
import type { Log } from '../../base/log.ts'
import { ByteStream, inTime, ReadBuffers } from '../../net/byte-stream.ts'
import { SocketServer } from '../../net/socket-server.ts'
import type { ObjectStore } from '../../objects/object-store.ts'
import { ExtendedSession } from './extended-protocol.ts'
import { HashstoreFiles } from './files.ts'
import type { HashstoreCounters } from './hashstore-counters.ts'
import { serveOldClient } from './old-protocol.ts'
import type { SessionParts } from './session.ts'
import { HashstoreTree } from './tree.ts'
import { OPENING_BYTES, parseOpening } from './wire.ts'
import type { WritesUnderWay } from './writes-under-way.ts'

export interface HashstoreServerOptions {
  objects: ObjectStore
  /** A name server: the directory tree, and no files. */
  namesOnly: boolean
  counters: HashstoreCounters
  /** Of all threads of the process. */
  writes: WritesUnderWay
  clock: Clock
  log: Log
  /** Account that owns the buckets. */
  owner: string
  headerTimeoutMs?: number | undefined
  idleTimeoutMs?: number | undefined
}

export class HashstoreServer {
  readonly #parts: SessionParts
  readonly #server: SocketServer
  readonly #buffers = new ReadBuffers()
  /** With what ends them at once, or when nothing is under way any more. */
  readonly #connections = new Map<Socket, { stream: ByteStream; end?: () => void }>()

  constructor(options: HashstoreServerOptions) {
    const {
      clock,
      log,
      counters,
      writes,
      namesOnly,
      headerTimeoutMs = HEADER_TIMEOUT_MS,
      idleTimeoutMs,
    } = options
    this.#parts = {
      ...{ counters, writes, clock, log, headerTimeoutMs },
      files: namesOnly ? undefined : new HashstoreFiles(options),
      tree: new HashstoreTree(options),
    }
    this.#server = new SocketServer({
      clock,
      idleTimeoutMs,
      takeOver: (accepted) => this.#accept(accepted).socket,
      onConnection: (socket) => void this.#serve(this.#connections.get(socket)!.stream),
      onClosing: (socket) => this.#connections.get(socket)?.end?.(),
    })
  }

  /** Starts to serve; gives the port. Throws `in_use`, `bad_request`. */
  listen(at: { host: string; port: number; reusePort?: boolean }): Promise<number> {
    return this.#server.listen(at)
  }

  /** Stops accepting and lets the transfers under way finish, for a bounded time. */
  close(): Promise<void> {
    return this.#server.close()
  }

  #accept(accepted: Socket): ByteStream {
    const options = { buffers: this.#buffers, unreadBytesMax: HASHSTORE_UNREAD_BYTES_MAX }
    const stream = ByteStream.takeOver(accepted, options)
    const { socket } = stream
    this.#connections.set(socket, { stream, end: () => stream.end() })
    socket.once('close', () => this.#connections.delete(socket))
    // An orderly end would say that a file is stored, or has been sent.
    socket.once('timeout', () => stream.reset())
    return stream
  }

  async #serve(stream: ByteStream): Promise<void> {
    try {
      await this.#serveStream(stream)
    } catch (error) {
      stream.reset()
      const { code, message } = toStoreError(error)
      if (code === 'internal')
        this.#parts.log.error({ error }, 'a connection of the hash store failed by a bug')
      else this.#parts.log.debug({ code, reason: message }, 'a connection of the hash store was cut')
      this.#parts.counters.add('cut')
    }
  }

  async #serveStream(stream: ByteStream): Promise<void> {
    const { clock, counters, headerTimeoutMs: timeoutMs } = this.#parts
    const opening = parseOpening(await inTime(stream.take(OPENING_BYTES), { stream, clock, timeoutMs }))
    if (opening === undefined) {
      // As the first servers do: not a word.
      counters.add('refused')
      stream.end()
      return
    }
    if (opening.kind === 'extended') {
      const session = new ExtendedSession(stream, this.#parts)
      this.#connections.set(stream.socket, { stream, end: () => session.end() })
      await session.serve()
      return
    }
    // It has one request, which may finish.
    this.#connections.set(stream.socket, { stream })
    await serveOldClient(stream, opening, this.#parts)
  }
}
