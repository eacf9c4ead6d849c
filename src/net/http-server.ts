/**
 * The life of an HTTP server: listening, deadlines, limits, early errors, graceful shutdown. What the requests mean is
 * the handler's business. Node's own timers cover heads and silence; a sweep over the connections covers what they do
 * not: bodies and readers that move, but too slowly, and bodies that nobody reads any more.
 */
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import https from 'node:https'
import net, { type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import * as limits from '../base/limits.ts'
import { drain } from './body.ts'
import { clientErrorStatus, slowError } from './client-errors.ts'
import { closeIdle } from './close-idle.ts'
import { FastLane, type FastLaneOptions } from './fast-lane.ts'
import type { Outcome } from './reply.ts'
import { Turns } from './turns.ts'

export interface HttpServerSettings {
  /** A whole request head must arrive within this time. */
  headerTimeoutMs: number
  /** A connection on which nothing moves for this long is closed. */
  idleTimeoutMs: number
  /** Request bodies and readers of replies must move at this rate, averaged since the request began, after `slowGraceMs`. */
  bytesPerSecondMin: number
  slowGraceMs: number
  /** How often connections are looked at for the two above. */
  sweepPeriodMs: number
  headerBytesMax: number
  connectionsMax: number
  /** After an early error at most this much of the body is read and dropped, for at most this long. */
  drainBytesMax: number
  drainMsMax: number
  shutdownGraceMs: number
}

const HTTP_SERVER_SETTINGS: Readonly<HttpServerSettings> = {
  headerTimeoutMs: limits.HEADER_TIMEOUT_MS,
  idleTimeoutMs: limits.IDLE_TIMEOUT_MS,
  bytesPerSecondMin: limits.BODY_BYTES_PER_SECOND_MIN,
  slowGraceMs: limits.SLOW_GRACE_MS,
  sweepPeriodMs: 1_000,
  headerBytesMax: limits.HEADER_BYTES_MAX,
  connectionsMax: limits.CONNECTIONS_MAX,
  drainBytesMax: limits.DRAIN_BODY_BYTES_MAX,
  drainMsMax: limits.DRAIN_BODY_MS_MAX,
  shutdownGraceMs: limits.SHUTDOWN_GRACE_MS,
}

export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>

/** An error that the server itself answers, in the protocol's form. */
export interface ErrorBody {
  contentType: string
  body: string
  /** Where the protocol has another one than HTTP. */
  status?: number
}

export interface HttpServerOptions {
  clock: Clock
  handler: HttpHandler
  /** Makes the body of the server's own errors: 400, 408, 417, 431, 500; else `{"error": …}`. `isCutOff`: a request's body never came whole. */
  errorBody?: (status: number, reason: string, isCutOff: boolean) => ErrorBody
  /** PEM texts; with them the server speaks HTTPS only. */
  tls?: { cert: string | Buffer; key: string | Buffer }
  settings?: Partial<HttpServerSettings>
  /**
   * Answers a request whose method the parser does not know, such as `get`, from its raw head (latin1, up to the empty
   * line). Undefined leaves it at 400. The connection closes afterwards.
   */
  answerUnknownMethod?: (head: string) => Promise<Outcome> | undefined
  /** Answers simple requests before the handler is asked; see `fast-lane.ts`. Not used with TLS. */
  fastLane?: Pick<FastLaneOptions, 'answer' | 'answerCutOff' | 'answerLong' | 'commonHead' | 'bodyBudget'>
  /** Expectations other than 100-continue are taken for none, in place of 417. */
  takesAnyExpectation?: boolean
  /** Told of each connection that comes (1) and goes (-1). */
  onConnection?: (change: 1 | -1) => void
  /** Told about handlers that threw: a bug, already answered with 500. */
  onHandlerError?: (error: unknown) => void
}

export interface ListenOptions {
  host: string
  /** 0 takes any free port. */
  port: number
  /** Lets several threads of this process listen on one port. Call `assertPortFree` first, once. */
  reusePort?: boolean
}

/** What the sweep knows of one connection. */
interface Connection {
  /** The request that is being answered. */
  request: IncomingMessage | undefined
  response: ServerResponse | undefined
  /** Of requests that came meanwhile, where there are any. */
  turns: Turns | undefined
  startedMs: number
  /** The client asked for no more after this one, or was told so: what still comes is no request, though Node reads on. */
  isLast: boolean
  /** Counters of the socket when the request began. */
  bytesReadBefore: number
  bytesFlushedBefore: number
}

const REASONS: Record<number, string> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  417: 'Expectation Failed',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
}

/** How often a closing server looks for connections that have become idle. */
const CLOSE_POLL_MS = 10

export class HttpServer {
  readonly settings: Readonly<HttpServerSettings>
  readonly #options: HttpServerOptions
  readonly #server: http.Server
  readonly #connections = new Map<Duplex, Connection>()
  readonly #fastLane: FastLane | undefined
  #stopSweep: (() => void) | undefined
  #closing: Promise<void> | undefined
  #isClosing = false

  constructor(options: HttpServerOptions) {
    this.#options = options
    this.settings = { ...HTTP_SERVER_SETTINGS, ...options.settings }
    const { headerTimeoutMs, idleTimeoutMs, headerBytesMax } = this.settings
    const shared: https.ServerOptions = {
      maxHeaderSize: headerBytesMax,
      headersTimeout: headerTimeoutMs,
      requestTimeout: 0,
      keepAliveTimeout: idleTimeoutMs,
      connectionsCheckingInterval: Math.max(10, Math.min(1_000, headerTimeoutMs / 4)),
      insecureHTTPParser: false,
      // Looked at in #onRequest, which answers in the protocol's form and refuses two of them as well.
      requireHostHeader: false,
      noDelay: true,
    }
    const { tls } = options
    this.#server = tls
      ? https.createServer({ ...shared, cert: tls.cert, key: tls.key, handshakeTimeout: headerTimeoutMs })
      : http.createServer(shared)
    // The head's size bounds the count of headers; Node would drop those above its own count in silence.
    this.#server.maxHeadersCount = 0
    this.#server.maxConnections = this.settings.connectionsMax
    this.#server.setTimeout(idleTimeoutMs)
    this.#server.on('request', this.#onRequest)
    this.#server.on('checkContinue', this.#onRequest)
    const meetsAny = options.takesAnyExpectation === true
    this.#server.on('checkExpectation', meetsAny ? this.#onRequest : this.#onExpectation)
    this.#server.on('clientError', this.#onClientError)
    this.#server.on('timeout', this.#onStill)
    this.#fastLane =
      tls === undefined && options.fastLane !== undefined ? this.#openFastLane(options.fastLane) : undefined
    if (this.#fastLane === undefined)
      this.#server.on(tls ? 'secureConnection' : 'connection', this.#onConnection)
  }

  /** Puts the lane between the listening socket and Node's own way of serving a connection. */
  #openFastLane(options: NonNullable<HttpServerOptions['fastLane']>): FastLane {
    const server = this.#server
    const serveFully = server.listeners('connection') as ((socket: Socket) => void)[]
    server.removeAllListeners('connection')
    const lane = new FastLane({
      ...options,
      drainBytesMax: this.settings.drainBytesMax,
      drainMsMax: this.settings.drainMsMax,
      clock: this.#options.clock,
      onError: (error) => this.#options.onHandlerError?.(error),
      refuseSlow: (socket) => this.#refuse(slowError(), socket),
      handOver(socket, bytes) {
        socket.on('error', () => {})
        socket.pause()
        socket.unshift(bytes)
        for (const serve of serveFully) serve.call(server, socket)
        process.nextTick(() => socket.resume())
      },
    })
    server.on('connection', (accepted: Socket) => this.#onConnection(lane.add(accepted)))
    return lane
  }

  /** Starts to listen; gives the port. Throws `in_use`, or `bad_request` for an address that is not this machine's. */
  async listen(options: ListenOptions): Promise<number> {
    await listen(this.#server, options)
    // Errors after this are of single accepts (no more file handles): the next accept may work.
    this.#server.on('error', () => {})
    const { sweepPeriodMs } = this.settings
    this.#stopSweep = this.#options.clock.every(sweepPeriodMs, () => this.#sweep())
    return (this.#server.address() as net.AddressInfo).port
  }

  get connectionCount(): number {
    return this.#connections.size
  }

  /** Stops accepting, lets requests in flight finish for `shutdownGraceMs`, then cuts what is left. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#isClosing = true
    this.#stopSweep?.()
    if (!this.#server.listening) return
    const { clock } = this.#options
    const deadlineMs = clock.monotonicMs() + this.settings.shutdownGraceMs
    const closed = new Promise<void>((resolve) => void this.#server.close(() => resolve()))
    this.#fastLane?.beginClose()
    while (this.#connections.size > 0 && clock.monotonicMs() < deadlineMs) {
      this.#server.closeIdleConnections()
      this.#closeFresh()
      await clock.sleep(CLOSE_POLL_MS)
    }
    this.#server.closeAllConnections()
    for (const socket of this.#connections.keys()) socket.destroy()
    await closed
  }

  /** Connections that never sent a byte are idle too, though Node does not count them so. */
  #closeFresh(): void {
    for (const [socket, connection] of this.#connections) {
      const isFresh = connection.request === undefined && (socket as Socket).bytesRead === 0
      if (isFresh) socket.destroy()
    }
  }

  readonly #onConnection = (socket: Socket): void => {
    this.#connections.set(socket, {
      request: undefined,
      response: undefined,
      turns: undefined,
      startedMs: 0,
      isLast: false,
      bytesReadBefore: 0,
      bytesFlushedBefore: 0,
    })
    this.#options.onConnection?.(1)
    socket.once('close', () => {
      this.#connections.delete(socket)
      this.#options.onConnection?.(-1)
    })
  }

  /** Nothing has moved for long: closed, unless it is this server that takes its time. */
  readonly #onStill = (socket: Socket): void => {
    const { request, response } = this.#connections.get(socket) ?? {}
    const isBusy = request?.complete === true && response?.writableEnded === false
    if (isBusy && socket.writableLength === 0) {
      socket.setTimeout(this.settings.idleTimeoutMs)
      return
    }
    closeIdle(socket, this.#options.clock)
  }

  readonly #onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const connection = this.#connections.get(request.socket)
    if (connection?.isLast) return
    const before = connection?.response
    if (connection !== undefined && (connection.turns !== undefined || before?.writableFinished === false))
      this.#turnsOf(connection, request.socket).add(response)
    else this.#begin(connection, response)
  }

  #turnsOf(connection: Connection, socket: Socket): Turns {
    connection.turns ??= new Turns({
      socket,
      before: connection.response!,
      begin: (response) => {
        if (!connection.isLast) this.#begin(connection, response)
      },
      refuse: (failure, response) => {
        if (connection.isLast) return
        if (response !== undefined) present(connection, response)
        this.#refuse(failure, socket)
      },
      onEmpty() {
        connection.turns = undefined
      },
    })
    return connection.turns
  }

  #begin(connection: Connection | undefined, response: ServerResponse): void {
    const request = response.req
    if (connection !== undefined) present(connection, response)
    if (request.httpVersionMajor !== 1) {
      this.#refuse(new Error('HTTP/0.9'), request.socket)
      return
    }
    const hasHost = request.httpVersionMinor === 0 || countOf(request.rawHeaders, 'host') === 1
    // Go clients see no Connection header from SeaweedFS either; HTTP/1.0 needs it said.
    if (this.#isClosing || !hasHost) response.shouldKeepAlive = false
    else if (request.httpVersionMinor === 1) response.removeHeader('Connection')
    if (connection !== undefined) connection.isLast = !response.shouldKeepAlive
    if (!hasHost) {
      this.#replyWithError(response, 400, 'a request has one Host header')
      return
    }
    try {
      const pending = this.#options.handler(request, response)
      if (pending !== undefined) pending.catch((error: unknown) => this.#handlerFailed(error, response))
    } catch (error) {
      this.#handlerFailed(error, response)
    }
  }

  #handlerFailed(error: unknown, response: ServerResponse): void {
    this.#options.onHandlerError?.(error)
    if (response.headersSent) {
      // Half a reply cannot be taken back; a reset tells the client that it is not whole.
      response.destroy()
      return
    }
    this.#replyWithError(response, 500, 'internal error')
  }

  readonly #onExpectation = (_request: IncomingMessage, response: ServerResponse): void => {
    this.#replyWithError(response, 417, 'the only expectation known is 100-continue')
  }

  #replyWithError(response: ServerResponse, status: number, reason: string): void {
    const { contentType, body, status: told = status } = this.#errorBody(status, reason)
    response.writeHead(told, { 'Content-Type': contentType, 'Content-Length': Buffer.byteLength(body) })
    response.end(body)
    const { drainBytesMax, drainMsMax } = this.settings
    drain(response.req, { clock: this.#options.clock, bytesMax: drainBytesMax, msMax: drainMsMax })
  }

  readonly #onClientError = (error: NodeJS.ErrnoException, duplex: Duplex): void => {
    // What stands behind the last request of a connection. The reply to that one ends it.
    if (error.code === 'HPE_CLOSED_CONNECTION') return
    const connection = this.#connections.get(duplex)
    const isBehind =
      connection?.turns !== undefined ||
      (connection?.request?.complete === true && connection.response?.writableFinished === false)
    // The client would take what is said now for the answer to a request before.
    if (isBehind && duplex.writable && error.code !== 'ECONNRESET')
      this.#turnsOf(connection!, duplex as Socket).fail(error)
    else this.#refuse(error, duplex as Socket)
  }

  /** What the parser refused: there is no request to answer through, so the reply is written by hand. */
  #refuse(error: NodeJS.ErrnoException, socket: Socket): void {
    const { request, response } = this.#connections.get(socket) ?? {}
    const midReply = response?.headersSent === true && !response.writableEnded
    if (response?.writableEnded === true && request?.complete === false) {
      // Answered before its body came, which never will: a second answer would belong to no request.
      socket.end()
      return
    }
    if (!socket.writable || midReply || error.code === 'ECONNRESET') {
      socket.destroy()
      return
    }
    const answered = this.#answerUnknownMethod(error)
    if (answered === undefined) this.#endWithError(socket, error)
    else answered.then((reply) => socket.end(reply)).catch(() => this.#endWithError(socket, error))
    // What the client still sends is dropped, so that the close does not reset the connection under the answer.
    const { drainBytesMax, drainMsMax } = this.settings
    const limit = socket.bytesRead + drainBytesMax
    const stop = this.#options.clock.after(drainMsMax, () => socket.destroy())
    socket.removeAllListeners('data')
    socket.on('data', () => {
      if (socket.bytesRead > limit) socket.destroy()
    })
    socket.once('end', () => socket.destroy())
    socket.once('close', stop)
    socket.resume()
  }

  #endWithError(socket: Socket, error: NodeJS.ErrnoException): void {
    const isCutOff =
      error.code === 'HPE_INVALID_EOF_STATE' && this.#connections.get(socket)?.request?.complete === false
    const [status, reason] = clientErrorStatus(error, isCutOff)
    const { contentType, body, status: told = status } = this.#errorBody(status, reason, isCutOff)
    const head = `HTTP/1.1 ${told} ${REASONS[told]}\r\nContent-Type: ${contentType}\r\n`
    socket.end(`${head}Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`)
  }

  #answerUnknownMethod(error: NodeJS.ErrnoException): Promise<Buffer> | undefined {
    const { rawPacket } = error as { rawPacket?: Buffer }
    if (error.code !== 'HPE_INVALID_METHOD' || rawPacket === undefined) return undefined
    const headEnd = rawPacket.indexOf('\r\n\r\n')
    if (headEnd < 0) return undefined
    return this.#options.answerUnknownMethod?.(rawPacket.toString('latin1', 0, headEnd))?.then(closingReply)
  }

  #errorBody(status: number, reason: string, isCutOff = false): ErrorBody {
    const make = this.#options.errorBody
    if (make !== undefined) return make(status, reason, isCutOff)
    return { contentType: 'application/json', body: JSON.stringify({ error: reason }) }
  }

  /** Cuts requests whose body arrives, or whose reply is taken, at less than the smallest rate. */
  #sweep(): void {
    this.#fastLane?.sweep(this.settings)
    const nowMs = this.#options.clock.monotonicMs()
    const { bytesPerSecondMin, slowGraceMs } = this.settings
    for (const [duplex, connection] of this.#connections) {
      const { request, response } = connection
      const socket = duplex as Socket
      if (request === undefined || response === undefined) continue
      if (request.complete && response.writableFinished) {
        connection.request = undefined
        connection.response = undefined
        continue
      }
      if (connection.startedMs === 0) {
        connection.startedMs = nowMs
        connection.bytesReadBefore = socket.bytesRead
        connection.bytesFlushedBefore = bytesFlushed(socket)
        continue
      }
      const elapsedMs = nowMs - connection.startedMs
      if (elapsedMs < slowGraceMs) continue
      const bytesWanted = (elapsedMs / 1_000) * bytesPerSecondMin
      const readSlowly = !request.complete && socket.bytesRead - connection.bytesReadBefore < bytesWanted
      const takenSlowly =
        socket.writableLength > 0 && bytesFlushed(socket) - connection.bytesFlushedBefore < bytesWanted
      if (takenSlowly) socket.destroy()
      else if (readSlowly) this.#refuse(slowError(), socket)
    }
  }
}

/** Makes a request the one that is answered. */
function present(connection: Connection, response: ServerResponse): void {
  connection.request = response.req
  connection.response = response
  connection.startedMs = 0
}

function countOf(rawHeaders: readonly string[], lowerName: string): number {
  let count = 0
  for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i]!.toLowerCase() === lowerName) count++
  return count
}

/** A whole reply as bytes, for where there is no ServerResponse. */
function closingReply(outcome: Outcome): Buffer {
  const { status, headers, body } = outcome
  let head = `HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ''}\r\n`
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`
  const bytes =
    typeof body === 'string' ? Buffer.from(body, 'latin1') : Buffer.isBuffer(body) ? body : Buffer.alloc(0)
  head += `Content-Length: ${bytes.length}\r\nConnection: close\r\n\r\n`
  return Buffer.concat([Buffer.from(head, 'latin1'), bytes])
}

/** Bytes that left for the network. Node counts what it took over; what the kernel has not taken yet is subtracted. */
function bytesFlushed(socket: Socket): number {
  const inner = socket as unknown as { _bytesDispatched?: number; _handle?: { writeQueueSize?: number } }
  if (inner._bytesDispatched === undefined) return socket.bytesWritten - socket.writableLength
  return inner._bytesDispatched - (inner._handle?.writeQueueSize ?? 0)
}

function listen(server: net.Server, options: ListenOptions): Promise<void> {
  const { host, port, reusePort = false } = options
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException) => reject(listenError(error, options))
    server.once('error', onError)
    server.listen({ host, port, reusePort, backlog: LISTEN_BACKLOG }, () => {
      server.off('error', onError)
      resolve()
    })
  })
}

/** Connections that the kernel holds until they are accepted. */
const LISTEN_BACKLOG = 4096

function listenError(error: NodeJS.ErrnoException, { host, port }: ListenOptions): StoreError {
  const cause = { cause: error }
  if (error.code === 'EADDRINUSE')
    return new StoreError('in_use', `${host}:${port} is in use by another process`, cause)
  return new StoreError('bad_request', `cannot listen on ${host}:${port}: ${error.message}`, cause)
}

/**
 * Throws `in_use` when anyone listens there. With `reusePort` two processes would both start, and share the
 * connections without a word; so the main thread asks once without it before its workers listen.
 */
export async function assertPortFree(host: string, port: number): Promise<void> {
  if (port === 0) return
  const probe = net.createServer()
  await listen(probe, { host, port })
  await new Promise<void>((resolve) => void probe.close(() => resolve()))
}
