/** A server of plain connections, for protocols that are not HTTP: listening, a limit on their number, idle ones, and the end. */
import net, { type Socket } from 'node:net'
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import { CONNECTIONS_MAX, IDLE_TIMEOUT_MS, SHUTDOWN_GRACE_MS } from '../base/limits.ts'
import { resetSocket } from './byte-stream.ts'
import { closeIdle } from './close-idle.ts'

export interface SocketServerOptions {
  clock: Clock
  /** A new connection. It is closed for good when it is destroyed or both sides have ended. */
  onConnection: (socket: Socket) => void
  /** Asked before: gives the socket that has taken an accepted connection over, of which nothing was read yet. */
  takeOver?: (accepted: Socket) => Socket
  /** The server closes: no more is read; what is under way is answered, and then the connection ended. */
  onClosing: (socket: Socket) => void
  /** A connection on which nothing moves for this long is closed. */
  idleTimeoutMs?: number | undefined
}

const CLOSE_POLL_MS = 10

export class SocketServer {
  readonly #options: SocketServerOptions
  readonly #server: net.Server
  readonly #sockets = new Set<Socket>()

  constructor(options: SocketServerOptions) {
    this.#options = options
    this.#server = net.createServer({
      noDelay: true,
      allowHalfOpen: true,
      pauseOnConnect: options.takeOver !== undefined,
    })
    this.#server.maxConnections = CONNECTIONS_MAX
    this.#server.on('connection', (socket) => this.#add(socket))
  }

  get connectionCount(): number {
    return this.#sockets.size
  }

  /** Starts to serve; gives the port. `reusePort`: with other threads of this process. Throws `in_use`, `bad_request`. */
  async listen(at: { host: string; port: number; reusePort?: boolean }): Promise<number> {
    const { host, port } = at
    await new Promise<void>((resolve, reject) => {
      const onError = (error: NodeJS.ErrnoException) => {
        const code = error.code === 'EADDRINUSE' ? 'in_use' : 'bad_request'
        reject(new StoreError(code, `cannot listen on ${host}:${port}: ${error.message}`, { cause: error }))
      }
      this.#server.once('error', onError)
      this.#server.listen(at, () => {
        this.#server.off('error', onError)
        resolve()
      })
    })
    // Errors after this are of single accepts: the next one may work.
    this.#server.on('error', () => {})
    return (this.#server.address() as net.AddressInfo).port
  }

  /** Stops accepting, lets what is under way finish for a bounded time, then cuts what is left. */
  async close(): Promise<void> {
    if (!this.#server.listening) return
    const { clock, onClosing } = this.#options
    const closed = new Promise<void>((resolve) => void this.#server.close(() => resolve()))
    const deadlineMs = clock.monotonicMs() + SHUTDOWN_GRACE_MS
    for (const socket of this.#sockets) onClosing(socket)
    while (this.#sockets.size > 0 && clock.monotonicMs() < deadlineMs) await clock.sleep(CLOSE_POLL_MS)
    for (const socket of this.#sockets) resetSocket(socket)
    await closed
  }

  #add(accepted: Socket): void {
    const { takeOver, onConnection, idleTimeoutMs = IDLE_TIMEOUT_MS } = this.#options
    const socket = takeOver === undefined ? accepted : takeOver(accepted)
    this.#sockets.add(socket)
    socket.setTimeout(idleTimeoutMs, () => closeIdle(socket, this.#options.clock))
    socket.on('error', () => socket.destroy())
    socket.once('close', () => this.#sockets.delete(socket))
    onConnection(socket)
  }
}
