/**
 * HTTP requests over connections that stay open. It adds to Node's client what a store needs to decide about
 * retries: every wait has a limit, and a failure says whether the request can have reached the server.
 */
import http from 'node:http'
import https from 'node:https'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { assert } from '../base/assert.ts'
import { type ErrorCode, StoreError } from '../base/errors.ts'
import {
  CLIENT_CONNECTIONS_PER_HOST_MAX,
  CLIENT_IDLE_CONNECTION_MS,
  CLIENT_TIMEOUT_MS_DEFAULT,
  HEADER_BYTES_MAX,
} from '../base/limits.ts'

export interface HttpClientOptions {
  /** No byte in either direction for this long ends the request. Default CLIENT_TIMEOUT_MS_DEFAULT. */
  timeoutMs?: number
  connectionsPerHostMax?: number
  /** PEM of the authorities to trust for https, beside the system's. */
  ca?: string | Buffer
}

export interface HttpRequest {
  method: string
  /** `http://host:port/path?query`; the path is sent as it is written. */
  url: string
  headers?: Record<string, string>
  /** Bytes, or pieces of a known total length `sizeBytes`, or pieces of an unknown one (sent chunked). */
  body?: Uint8Array | AsyncIterable<Uint8Array>
  sizeBytes?: number
  timeoutMs?: number
}

export interface HttpReply {
  status: number
  headers: http.IncomingHttpHeaders
  /** The body as it comes. Throws a ConnectionError when the server breaks off. */
  body: AsyncIterable<Buffer>
  /** Reads the whole body; throws `too_large` above `sizeBytesMax`. */
  bytes(sizeBytesMax: number): Promise<Buffer>
  /** Gives up the body; call it, or read the body, always once. */
  discard(): void
}

/** The request got no whole reply. `requestSent` is false when no byte of it can have reached the server. */
export class ConnectionError extends StoreError {
  readonly requestSent: boolean
  constructor(code: ErrorCode, message: string, options: { requestSent: boolean; cause?: unknown }) {
    super(code, message, { cause: options.cause })
    this.requestSent = options.requestSent
  }
}

export class HttpClient {
  readonly #timeoutMs: number
  readonly #httpAgent: http.Agent
  readonly #httpsAgent: https.Agent

  constructor(options: HttpClientOptions = {}) {
    this.#timeoutMs = options.timeoutMs ?? CLIENT_TIMEOUT_MS_DEFAULT
    const agentOptions = {
      keepAlive: true,
      maxSockets: options.connectionsPerHostMax ?? CLIENT_CONNECTIONS_PER_HOST_MAX,
      timeout: CLIENT_IDLE_CONNECTION_MS,
      scheduling: 'lifo' as const,
    }
    this.#httpAgent = new http.Agent(agentOptions)
    this.#httpsAgent = new https.Agent(
      options.ca === undefined ? agentOptions : { ...agentOptions, ca: options.ca },
    )
  }

  /**
   * Sends one request and resolves when the reply's head is there.
   * Throws a ConnectionError: `unavailable` (could not connect), `timeout`, `io_error` (broken off); `bad_request`
   * for a malformed URL or header; and whatever the body itself throws.
   */
  async request(request: HttpRequest): Promise<HttpReply> {
    const url = parseUrl(request.url)
    const secure = url.protocol === 'https:'
    const headers: Record<string, string | number> = { ...request.headers }
    const sizeBytes = request.body instanceof Uint8Array ? request.body.byteLength : request.sizeBytes
    if (request.body !== undefined && sizeBytes !== undefined) headers['content-length'] = sizeBytes
    const options: https.RequestOptions = {
      method: request.method,
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
      path: writtenPath(request.url) ?? url.pathname + url.search,
      headers,
      agent: secure ? this.#httpsAgent : this.#httpAgent,
      timeout: request.timeoutMs ?? this.#timeoutMs,
      maxHeaderSize: HEADER_BYTES_MAX,
    }
    let outgoing: http.ClientRequest
    try {
      outgoing = secure ? https.request(options) : http.request(options)
    } catch (error) {
      throw new StoreError('bad_request', `cannot form a request: ${(error as Error).message}`, {
        cause: error,
      })
    }
    return await exchange(outgoing, request, `${request.method} ${url.host}`)
  }

  /** Closes the idle connections, and those in use. */
  close(): void {
    this.#httpAgent.destroy()
    this.#httpsAgent.destroy()
  }
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new StoreError('bad_request', `not an http URL: ${text.slice(0, 200)}`)
  }
  return url
}

/** Path and query as they stand in a URL, dots and all; undefined where they cannot be sent like that. */
function writtenPath(url: string): string | undefined {
  return /^https?:\/\/[^/?#]+(\/[!"$-~]*)$/.exec(url)?.[1]
}

async function exchange(
  outgoing: http.ClientRequest,
  request: HttpRequest,
  what: string,
): Promise<HttpReply> {
  const state = { connected: false, timedOut: false }
  outgoing.on('socket', (socket) => {
    state.connected = !socket.connecting
    if (!state.connected) {
      socket.once('connect', () => {
        state.connected = true
      })
    }
  })
  outgoing.on('timeout', () => {
    state.timedOut = true
    outgoing.destroy()
  })
  const replied = new Promise<http.IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve)
    outgoing.on('error', reject)
    outgoing.once('close', () => reject(new Error('closed before a reply')))
  })
  // Whoever waits for the reply sees its failure; this keeps it from counting as unhandled while the body is sent.
  replied.catch(() => undefined)
  try {
    let bodyFailure: { error: unknown } | undefined
    const sent = sendBody(outgoing, request).catch((error: unknown) => {
      bodyFailure = { error }
    })
    // A reply may come before the body is through: then what is left of the body is not waited for.
    const first = await Promise.race([replied, sent.then(() => undefined)])
    if (bodyFailure !== undefined && !isBroken(bodyFailure.error)) {
      outgoing.destroy()
      throw new BodySourceError(bodyFailure.error)
    }
    return toReply(first ?? (await replied), what, state)
  } catch (error) {
    if (error instanceof BodySourceError) throw error.cause
    throw toConnectionError(error, what, state)
  }
}

/** What the caller's own body threw, as opposed to what the connection did. */
class BodySourceError extends Error {
  constructor(cause: unknown) {
    super('the body could not be read', { cause })
  }
}

function isBroken(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  return (
    code === 'EPIPE' ||
    code === 'ECONNRESET' ||
    code?.startsWith('ERR_STREAM') === true ||
    isConnectFailure(code)
  )
}

async function sendBody(outgoing: http.ClientRequest, request: HttpRequest): Promise<void> {
  if (request.body === undefined) return void outgoing.end()
  if (request.body instanceof Uint8Array) return void outgoing.end(request.body)
  await pipeline(Readable.from(request.body, { objectMode: false, highWaterMark: 1 << 16 }), outgoing)
}

function toReply(message: http.IncomingMessage, what: string, state: { timedOut: boolean }): HttpReply {
  const iterate = async function* (): AsyncGenerator<Buffer, void, undefined> {
    try {
      for await (const piece of message) yield piece as Buffer
    } catch (error) {
      throw toConnectionError(error, what, { connected: true, timedOut: state.timedOut })
    }
  }
  const body = iterate()
  assert(message.statusCode !== undefined, 'a reply has a status')
  return {
    status: message.statusCode,
    headers: message.headers,
    body,
    async bytes(sizeBytesMax) {
      const pieces: Buffer[] = []
      let sizeBytes = 0
      for await (const piece of body) {
        sizeBytes += piece.length
        if (sizeBytes > sizeBytesMax) {
          message.destroy()
          throw new StoreError('too_large', `${what}: the reply is over ${sizeBytesMax} bytes`)
        }
        pieces.push(piece)
      }
      return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces, sizeBytes)
    },
    discard() {
      // A short rest is read, so that the connection can serve the next request; a long one is not worth it.
      const left = Number(message.headers['content-length'] ?? Number.POSITIVE_INFINITY)
      message.on('error', () => undefined)
      if (left <= DISCARD_BYTES_MAX) message.resume()
      else message.destroy()
    },
  }
}

const DISCARD_BYTES_MAX = 64 * 1024

function isConnectFailure(code: string | undefined): boolean {
  return (
    code === 'ECONNREFUSED' ||
    code === 'ENOTFOUND' ||
    code === 'EAI_AGAIN' ||
    code === 'EHOSTUNREACH' ||
    code === 'ENETUNREACH' ||
    code === 'EADDRNOTAVAIL'
  )
}

function toConnectionError(
  error: unknown,
  what: string,
  state: { connected: boolean; timedOut: boolean },
): StoreError {
  if (error instanceof StoreError) return error
  const errno = (error as NodeJS.ErrnoException | undefined)?.code
  const options = { requestSent: state.connected, cause: error }
  if (state.timedOut) return new ConnectionError('timeout', `${what}: no answer in time`, options)
  const reason = error instanceof Error && error.message !== '' ? error.message : String(errno ?? error)
  if (!state.connected || isConnectFailure(errno)) {
    return new ConnectionError('unavailable', `${what}: cannot connect: ${reason}`, options)
  }
  return new ConnectionError('io_error', `${what}: the connection broke: ${reason}`, options)
}
