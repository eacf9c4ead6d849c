/**
 * HTTP/1.1 over one socket, one request at a time, with as little work per request as possible: so that a load
 * generator measures the server and not itself. It takes only replies with a Content-Length (or none by their status),
 * and anything else is an error, never a guess.
 */
import net from 'node:net'
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'

const READ_BUFFER_BYTES = 64 * 1024
const HEAD_BYTES_MAX = 16 * 1024

export interface RawReply {
  status: number
  /** The status line and the headers, as they came. */
  head: string
  /** Valid until the next request on this connection. */
  body: Buffer
}

export interface RawConnectionOptions {
  /** `host:port`. */
  address: string
  clock: Clock
  timeoutMs: number
  bodyBytesMax: number
}

interface Waiter {
  resolve: (reply: RawReply) => void
  reject: (error: StoreError) => void
  startedMs: number
}

export class RawConnection {
  readonly #options: RawConnectionOptions
  readonly #host: string
  readonly #port: number
  readonly #readBuffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES)
  #socket: net.Socket | undefined
  #waiter: Waiter | undefined
  /** Bytes of an unfinished head. */
  #headBytes = Buffer.alloc(0)
  #reply: { status: number; head: string; body: Buffer; filled: number } | undefined
  #bodyBuffer = Buffer.alloc(0)
  #closeAfterReply = false

  constructor(options: RawConnectionOptions) {
    this.#options = options
    const colon = options.address.lastIndexOf(':')
    this.#host = options.address.slice(0, colon).replace(/^\[|\]$/g, '')
    this.#port = Number(options.address.slice(colon + 1))
    if (colon <= 0 || !(this.#port > 0 && this.#port < 65_536)) {
      throw new StoreError('bad_request', `not a host:port: ${options.address}`)
    }
  }

  /**
   * Sends one whole request and gives its reply. The caller must not change `request` before that.
   * Throws `unavailable` (no connection), `timeout`, `io_error` (broken off, or not a reply that this can read).
   */
  send(request: Buffer | string): Promise<RawReply> {
    assert(this.#waiter === undefined, 'one request at a time')
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject, startedMs: this.#options.clock.monotonicMs() }
      const socket = this.#socket ?? this.#connect()
      if (typeof request === 'string') socket.write(request, 'latin1')
      else socket.write(request)
    })
  }

  /** Fails the request in flight when it waits for too long. To be called every now and then. */
  checkTimeout(): void {
    if (this.#waiter === undefined) return
    if (this.#options.clock.monotonicMs() - this.#waiter.startedMs < this.#options.timeoutMs) return
    this.#fail(
      new StoreError('timeout', `${this.#options.address}: no reply in ${this.#options.timeoutMs} ms`),
    )
  }

  close(): void {
    const socket = this.#socket
    this.#socket = undefined
    socket?.destroy()
  }

  #connect(): net.Socket {
    const socket = net.connect({
      host: this.#host,
      port: this.#port,
      noDelay: true,
      onread: {
        buffer: this.#readBuffer,
        callback: (count, buffer) => {
          if (socket === this.#socket) this.#onBytes((buffer as Buffer).subarray(0, count))
          return true
        },
      },
    })
    this.#socket = socket
    this.#headBytes = Buffer.alloc(0)
    this.#reply = undefined
    this.#closeAfterReply = false
    let connected = false
    let cause: Error | undefined
    socket.once('connect', () => {
      connected = true
    })
    socket.on('error', (error) => {
      cause = error
    })
    socket.once('close', () => {
      if (socket !== this.#socket) return
      const reason = cause?.message ?? 'closed by the server'
      const code = connected ? 'io_error' : 'unavailable'
      this.#fail(new StoreError(code, `${this.#options.address}: ${reason}`, { cause }))
    })
    return socket
  }

  #fail(error: StoreError): void {
    this.close()
    const waiter = this.#waiter
    this.#waiter = undefined
    waiter?.reject(error)
  }

  #onBytes(bytes: Buffer): void {
    if (this.#waiter === undefined) return this.#fail(new StoreError('io_error', 'bytes without a request'))
    const reply = this.#reply
    if (reply !== undefined) {
      if (reply.filled + bytes.length > reply.body.length)
        return this.#malformed('a body longer than announced')
      bytes.copy(reply.body, reply.filled)
      reply.filled += bytes.length
      if (reply.filled === reply.body.length) this.#finish(reply.status, reply.head, reply.body)
      return
    }
    if (this.#headBytes.length > 0) bytes = Buffer.concat([this.#headBytes, bytes])
    const headEnd = bytes.indexOf('\r\n\r\n', 0, 'latin1')
    if (headEnd < 0) {
      if (bytes.length > HEAD_BYTES_MAX) return this.#malformed('a head without an end')
      this.#headBytes = Buffer.from(bytes)
      return
    }
    this.#onHead(bytes.toString('latin1', 0, headEnd + 2), bytes.subarray(headEnd + 4))
  }

  #onHead(head: string, rest: Buffer): void {
    this.#headBytes = EMPTY
    const status = head.startsWith('HTTP/1.1 ') ? Number(head.slice(9, 12)) : Number.NaN
    if (!(status >= 200 && status <= 599)) return this.#malformed(`not a reply: ${head.slice(0, 40)}`)
    const lower = head.toLowerCase()
    this.#closeAfterReply = lower.includes('\r\nconnection: close\r\n')
    if (lower.includes('\r\ntransfer-encoding:')) return this.#malformed('a reply without Content-Length')
    const length = status === 204 || status === 304 ? 0 : contentLengthOf(lower)
    if (!(length <= this.#options.bodyBytesMax))
      return this.#malformed('a reply without a usable Content-Length')
    if (rest.length > length) return this.#malformed('a body longer than announced')
    if (rest.length === length) return this.#finish(status, head, rest)
    if (this.#bodyBuffer.length < length) this.#bodyBuffer = Buffer.allocUnsafeSlow(length)
    const body = this.#bodyBuffer.subarray(0, length)
    rest.copy(body)
    this.#reply = { status, head, body, filled: rest.length }
  }

  #finish(status: number, head: string, body: Buffer): void {
    const waiter = this.#waiter
    this.#waiter = undefined
    this.#reply = undefined
    // A reply before the end of the request leaves the connection in no state for another one.
    if (this.#closeAfterReply || (this.#socket?.writableLength ?? 0) > 0) this.close()
    waiter?.resolve({ status, head, body })
  }

  #malformed(reason: string): void {
    this.#fail(new StoreError('io_error', `${this.#options.address}: ${reason}`))
  }
}

const EMPTY = Buffer.alloc(0)

function contentLengthOf(lowerHead: string): number {
  const at = lowerHead.indexOf('\r\ncontent-length:')
  if (at < 0) return Number.NaN
  const text = lowerHead.slice(at + 17, lowerHead.indexOf('\r\n', at + 17)).trim()
  return /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
}

/** The value of a header of a reply, or undefined. */
export function headerOf(reply: RawReply, name: string): string | undefined {
  const at = reply.head.toLowerCase().indexOf(`\r\n${name}:`)
  if (at < 0) return undefined
  const start = at + 3 + name.length
  return reply.head.slice(start, reply.head.indexOf('\r\n', start)).trim()
}
