/**
 * A short way for small, well-formed requests on plain connections: bytes to request to reply, without the machinery
 * that HTTP needs in general. Measured on a constant 1 KiB reply, the server's own work is 4 us this way and 10 us by
 * `node:http`. What is not plainly simple (any other method or version, chunked or long bodies, heads in pieces,
 * Expect, Upgrade, Connection, malformed bytes) is not judged here: the connection, with all bytes of that request, is
 * handed to `node:http` and stays there. So there is one strict parser, and this lane only takes what both agree on.
 */
import type { Socket } from 'node:net'
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import type { BodyBudget } from './body.ts'
import { bodyLength, errorOutcome, isStream, type Outcome, streamTo } from './reply.ts'
import { READ_BUFFER_BYTES, readInto } from './shared-read-buffer.ts'

/** One request with its whole body. */
export interface FastRequest {
  method: string
  /** Path and query as received. */
  target: string
  /** Name, value, … */
  rawHeaders: readonly string[]
  /** Empty without a body. Valid for as long as the reply takes. */
  body: Buffer
  /** The client's IP address. */
  remoteAddress: string
}

export interface FastReply {
  outcome: Outcome | Promise<Outcome>
  /** Told when the reply was given to the socket, with the length of its body. */
  onSent: (outcome: Outcome, sentBytes: number) => void
}

export interface FastLaneOptions {
  /** Undefined: this request is for the ordinary handler. Must not throw. */
  answer: (request: FastRequest) => FastReply | undefined
  /** Answers a request whose client stopped in the middle of its body. Without it 400 in JSON. Must not throw. */
  answerCutOff?: (request: Omit<FastRequest, 'body'>) => FastReply
  /** Header lines of every reply, each with its line break. */
  commonHead: () => string
  /** Takes a connection over, with bytes that were read from it already. */
  handOver: (socket: Socket, bytes: Buffer) => void
  onError: (error: unknown) => void
  clock: Clock
  bodyBudget?: BodyBudget
}

/** Longer bodies have better uses for streams. */
const FAST_BODY_BYTES_MAX = 64 * 1024
/** A head that fits here and comes in one piece. */
const FAST_HEAD_BYTES_MAX = 8 * 1024
/** Bytes of further requests that are kept while one is answered. */
const PIPELINED_BYTES_MAX = 256 * 1024
/** Replies that a reader has not taken yet; above it no further request is looked at. */
const UNREAD_BYTES_MAX = 256 * 1024

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE'])
const TARGET = /^\/[!-~]*$/
const VERSION = ' HTTP/1.1'
const HEADER_LINES = /^\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)+\r\n$/
/** Longer header lines are not kept for the next request. */
const KEPT_HEADERS_BYTES_MAX = 1024
const HEAD_END = Buffer.from('\r\n\r\n')
const EMPTY = Buffer.alloc(0)

/** What a parsed head says. */
interface Head {
  method: string
  target: string
  rawHeaders: readonly string[]
  /** Length of the head itself. */
  headBytes: number
  bodyBytes: number
}

/** All of a head behind its first line. Clients repeat theirs word for word, and then need no second look. */
interface HeaderLines {
  /** From the line break of the first line to the end of the head. */
  text: string
  rawHeaders: readonly string[]
  bodyBytes: number
}

interface ArrivingBody {
  head: Head
  /** Of the body's length, and counted in the budget. */
  body: Buffer
  filledBytes: number
}

/** The lane of one server. */
export class FastLane {
  readonly options: FastLaneOptions
  readonly connections = new Set<FastConnection>()
  /** All connections are read into it, one after another. */
  readonly readBuffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES)
  isClosing = false

  constructor(options: FastLaneOptions) {
    this.options = options
  }

  /** Serves a new connection for as long as its requests are simple. Gives the socket that stands for it from now on. */
  add(accepted: Socket): Socket {
    const connection = new FastConnection(this, accepted)
    this.connections.add(connection)
    return connection.socket
  }

  /** From now on replies close their connections; idle ones close now. */
  beginClose(): void {
    this.isClosing = true
    for (const connection of this.connections) connection.closeIfIdle()
  }

  /** Looks for connections that are idle or too slow. */
  sweep(limits: { idleTimeoutMs: number; slowGraceMs: number; bytesPerSecondMin: number }): void {
    const nowMs = this.options.clock.monotonicMs()
    for (const connection of this.connections) connection.sweep(nowMs, limits)
  }
}

export class FastConnection {
  readonly socket: Socket
  readonly #lane: FastLane
  /** What was received behind the request that is being answered. */
  #pending: Buffer[] = []
  #pendingBytes = 0
  /** Of the last request. */
  #headers: HeaderLines | undefined
  #remoteAddress: string | undefined
  /** The request whose body is on its way. */
  #arriving: ArrivingBody | undefined
  #isBusy = false
  #hasEnded = false
  /** Destroyed, handed over, or told to close: nothing more is read from it. */
  #isGone = false
  #isHandedOver = false
  #waitsForReader = false
  /** What the last sweep saw, to tell a connection that rests from one that moves. */
  #sweptReadBytes = -1
  #sweptWrittenBytes = -1
  #stillSinceMs = 0
  #workSinceMs = 0
  #workBytesBefore = 0

  constructor(lane: FastLane, accepted: Socket) {
    this.#lane = lane
    const socket = readInto(lane.readBuffer, accepted, (bytes) => this.#onBytes(bytes))
    this.socket = socket
    socket.on('end', this.#onEnd)
    socket.on('error', this.#onError)
    socket.on('close', this.#onClose)
    socket.on('drain', this.#onDrain)
  }

  /** `chunk` is the lane's again when this returns. */
  #onBytes(chunk: Buffer): void {
    if (this.#isGone) {
      if (this.#isHandedOver) this.socket.push(Buffer.from(chunk))
    } else if (this.#isBusy) {
      this.#pending.push(Buffer.from(chunk))
      this.#pendingBytes += chunk.length
      if (this.#pendingBytes > PIPELINED_BYTES_MAX) this.socket.pause()
    } else if (this.#arriving !== undefined) {
      this.#addToBody(this.#arriving, chunk)
    } else {
      this.#work(chunk)
    }
  }

  /** Answers the requests in `bytes`, one after another, until one needs time or more bytes. */
  #work(bytes: Buffer): void {
    let rest = bytes
    while (rest.length > 0) {
      const head = this.#parseHead(rest)
      if (head === undefined) {
        this.#handOver(rest)
        return
      }
      const end = head.headBytes + head.bodyBytes
      if (rest.length < end) {
        this.#awaitBody(head, rest.subarray(head.headBytes))
        return
      }
      const body = head.bodyBytes === 0 ? EMPTY : Buffer.from(rest.subarray(head.headBytes, end))
      rest = end === rest.length ? EMPTY : rest.subarray(end)
      const goesOn = this.#answer(head, body, rest)
      if (!goesOn) return
    }
  }

  /** Undefined for everything that is not whole and simple. */
  #parseHead(bytes: Buffer): Head | undefined {
    const end = bytes.indexOf(HEAD_END)
    if (end < 0 || end > FAST_HEAD_BYTES_MAX) return undefined
    const headBytes = end + HEAD_END.length
    const text = bytes.toString('latin1', 0, headBytes)
    const space = text.indexOf(' ')
    const lineEnd = text.indexOf('\r\n')
    const targetEnd = lineEnd - VERSION.length
    if (targetEnd <= space || !text.startsWith(VERSION, targetEnd)) return undefined
    const method = text.slice(0, space)
    const target = text.slice(space + 1, targetEnd)
    if (!METHODS.has(method) || !TARGET.test(target)) return undefined
    const headersText = text.slice(lineEnd)
    const isRepeated = this.#headers !== undefined && this.#headers.text === headersText
    const headers = isRepeated ? this.#headers! : parseHeaders(headersText)
    if (headers === undefined) return undefined
    if (!isRepeated && headersText.length <= KEPT_HEADERS_BYTES_MAX) this.#headers = headers
    const { rawHeaders, bodyBytes } = headers
    const takesBody = method === 'POST' || method === 'PUT'
    if (bodyBytes > FAST_BODY_BYTES_MAX || (bodyBytes > 0 && !takesBody)) return undefined
    return { method, target, rawHeaders, headBytes, bodyBytes }
  }

  #awaitBody(head: Head, received: Buffer): void {
    const { bodyBudget } = this.#lane.options
    if (bodyBudget !== undefined && !bodyBudget.reserve(head.bodyBytes)) {
      // Rare, and answered with care by the ordinary way.
      this.#handOver(rejoin(head, received, EMPTY))
      return
    }
    const body = Buffer.allocUnsafeSlow(head.bodyBytes)
    this.#arriving = { head, body, filledBytes: received.copy(body) }
  }

  /** Copies what comes into its place: a list of many small chunks would take many times their memory. */
  #addToBody(arriving: ArrivingBody, chunk: Buffer): void {
    const { head, body } = arriving
    const takenBytes = chunk.copy(body, arriving.filledBytes)
    arriving.filledBytes += takenBytes
    if (arriving.filledBytes < body.length) return
    this.#dropArriving()
    const next = takenBytes === chunk.length ? EMPTY : chunk.subarray(takenBytes)
    if (this.#answer(head, body, next)) this.#work(next)
  }

  #dropArriving(): void {
    if (this.#arriving === undefined) return
    this.#lane.options.bodyBudget?.release(this.#arriving.body.length)
    this.#arriving = undefined
  }

  /** True when the reply is out and the next request may be looked at now; otherwise `next` is taken care of. */
  #answer(head: Head, body: Buffer, next: Buffer): boolean {
    const { method, target, rawHeaders } = head
    this.#remoteAddress ??= this.socket.remoteAddress ?? ''
    const remoteAddress = this.#remoteAddress
    const reply = this.#lane.options.answer({ method, target, rawHeaders, body, remoteAddress })
    if (reply === undefined) {
      this.#handOver(rejoin(head, body, next))
      return false
    }
    const { outcome } = reply
    if (!(outcome instanceof Promise) && !isStream(outcome.body)) {
      this.#send(head, outcome, reply)
      if (this.#isGone) return false
      if (this.socket.writableLength <= UNREAD_BYTES_MAX) return true
      this.#isBusy = true
      this.#keep(next)
      this.#waitForReader()
      return false
    }
    this.#isBusy = true
    this.#keep(next)
    void this.#answerLater(head, reply)
    return false
  }

  async #answerLater(head: Head, reply: FastReply): Promise<void> {
    try {
      const outcome = await reply.outcome
      if (this.#isGone) {
        if (isStream(outcome.body)) outcome.body.close()
        return
      }
      const { body } = outcome
      this.#send(head, outcome, reply)
      if (isStream(body)) {
        await streamTo(this.socket, body)
        if (this.#lane.isClosing) this.#finish()
      }
    } catch (error) {
      this.#lane.options.onError(error)
      this.socket.destroy()
      return
    }
    if (this.socket.writableLength > UNREAD_BYTES_MAX) this.#waitForReader()
    else this.#continue()
  }

  #waitForReader(): void {
    this.#waitsForReader = true
    this.socket.pause()
  }

  /** After a reply that took time: on with what came meanwhile. */
  #continue(): void {
    if (this.#isGone) return
    this.#isBusy = false
    if (this.socket.isPaused()) this.socket.resume()
    if (this.#pendingBytes > 0) this.#work(this.#takePending())
    if (this.#hasEnded && !this.#isBusy && !this.#isGone) this.socket.end()
  }

  readonly #onDrain = (): void => {
    if (!this.#waitsForReader) return
    this.#waitsForReader = false
    this.#continue()
  }

  #send(head: Head, outcome: Outcome, reply: FastReply): void {
    const { body, status } = outcome
    const socket = this.socket
    const isHead = head.method === 'HEAD'
    const closes = this.#lane.isClosing
    const text = replyHead(outcome, this.#lane.options.commonHead(), closes)
    const length = isHead || status === 204 || status === 304 ? 0 : (outcome.sizeBytes ?? bodyLength(body))
    if (length === 0 || body === undefined) {
      socket.write(text, 'latin1')
    } else if (typeof body === 'string') {
      socket.write(text + body, 'latin1')
    } else if (isStream(body)) {
      socket.write(text, 'latin1')
    } else {
      socket.cork()
      socket.write(text, 'latin1')
      socket.write(body)
      socket.uncork()
      if (outcome.borrowed !== undefined && socket.writableLength > 0) outcome.borrowed.keep()
    }
    reply.onSent(outcome, length)
    if (closes && !isStream(body)) this.#finish()
  }

  /** The last reply is out: no more requests. */
  #finish(): void {
    this.#isGone = true
    this.socket.end()
  }

  #keep(bytes: Buffer): void {
    if (bytes.length === 0) return
    this.#pending.unshift(Buffer.from(bytes))
    this.#pendingBytes += bytes.length
  }

  #takePending(): Buffer {
    const bytes =
      this.#pending.length === 1 ? this.#pending[0]! : Buffer.concat(this.#pending, this.#pendingBytes)
    this.#pending = []
    this.#pendingBytes = 0
    return bytes
  }

  #handOver(bytes: Buffer): void {
    assert(!this.#isBusy && this.#pendingBytes === 0, 'a connection is handed over between requests')
    if (this.#hasEnded) {
      // A stream that has ended takes no bytes back. Who pipelines, half-closes and asks for more than is simple must ask again.
      this.#finish()
      return
    }
    this.#leave()
    this.#lane.options.handOver(this.socket, Buffer.from(bytes))
  }

  /** This connection is no longer the lane's. */
  #leave(): void {
    this.#isGone = true
    this.#isHandedOver = true
    this.#dropArriving()
    this.#lane.connections.delete(this)
    const socket = this.socket
    socket.off('end', this.#onEnd)
    socket.off('error', this.#onError)
    socket.off('close', this.#onClose)
    socket.off('drain', this.#onDrain)
  }

  readonly #onEnd = (): void => {
    this.#hasEnded = true
    if (this.#isBusy) return
    if (this.#arriving !== undefined && !this.#isGone) this.#answerCutOff(this.#arriving.head)
    else this.socket.end()
  }

  #answerCutOff(head: Head): void {
    this.#dropArriving()
    this.#isBusy = true
    const { method, target, rawHeaders } = head
    const remoteAddress = this.socket.remoteAddress ?? ''
    const reply = this.#lane.options.answerCutOff?.({ method, target, rawHeaders, remoteAddress })
    const outcome = errorOutcome(400, 'the body was cut off')
    void this.#answerLater(head, reply ?? { outcome, onSent: () => {} })
  }

  readonly #onError = (): void => {
    this.socket.destroy()
  }

  readonly #onClose = (): void => {
    this.#isGone = true
    this.#dropArriving()
    this.#pending = []
    this.#lane.connections.delete(this)
  }

  closeIfIdle(): void {
    if (!this.#isBusy && this.#arriving === undefined && this.socket.writableLength === 0) {
      this.socket.destroy()
    }
  }

  sweep(
    nowMs: number,
    limits: { idleTimeoutMs: number; slowGraceMs: number; bytesPerSecondMin: number },
  ): void {
    const { bytesRead, bytesWritten, writableLength } = this.socket
    const writtenBytes = bytesWritten - writableLength
    if (bytesRead !== this.#sweptReadBytes || writtenBytes !== this.#sweptWrittenBytes) {
      this.#sweptReadBytes = bytesRead
      this.#sweptWrittenBytes = writtenBytes
      this.#stillSinceMs = nowMs
    } else if (nowMs - this.#stillSinceMs >= limits.idleTimeoutMs) {
      this.socket.destroy()
      return
    }
    const isReceiving = this.#arriving !== undefined
    if (!isReceiving && writableLength === 0) {
      this.#workSinceMs = 0
      return
    }
    const movedBytes = isReceiving ? bytesRead : writtenBytes
    if (this.#workSinceMs === 0) {
      this.#workSinceMs = nowMs
      this.#workBytesBefore = movedBytes
      return
    }
    const elapsedMs = nowMs - this.#workSinceMs
    if (elapsedMs < limits.slowGraceMs) return
    const isSlow = movedBytes - this.#workBytesBefore < (elapsedMs / 1_000) * limits.bytesPerSecondMin
    if (isSlow) this.socket.destroy()
  }
}

/** Undefined when they are malformed, or ask for more than the lane does. */
function parseHeaders(text: string): HeaderLines | undefined {
  if (!HEADER_LINES.test(text)) return undefined
  const rawHeaders: string[] = []
  const bodyBytes = readHeaders(text, '\r\n'.length, rawHeaders)
  return bodyBytes < 0 ? undefined : { text, rawHeaders, bodyBytes }
}

/** Fills `rawHeaders`; returns the body's length, or -1 when a header asks for more than the lane does. */
function readHeaders(text: string, from: number, rawHeaders: string[]): number {
  let bodyBytes = 0
  let hosts = 0
  let lengths = 0
  let at = from
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at)
    if (lineEnd === at) break
    const colon = text.indexOf(':', at)
    const name = text.slice(at, colon)
    const value = text.slice(colon + 1, lineEnd).trim()
    switch (name.length) {
      case 4:
        if (name.toLowerCase() === 'host') hosts++
        break
      case 6:
        if (name.toLowerCase() === 'expect') return -1
        break
      case 7:
        if (name.toLowerCase() === 'upgrade' || name.toLowerCase() === 'trailer') return -1
        break
      case 10:
        if (name.toLowerCase() === 'connection' && value.toLowerCase() !== 'keep-alive') return -1
        break
      case 14:
        if (name.toLowerCase() === 'content-length') {
          if (++lengths > 1 || !/^[0-9]{1,9}$/.test(value)) return -1
          bodyBytes = Number(value)
        }
        break
      case 17:
        if (name.toLowerCase() === 'transfer-encoding') return -1
        break
    }
    rawHeaders.push(name, value)
    at = lineEnd + 2
  }
  return hosts === 1 ? bodyBytes : -1
}

/** The bytes of a request that was parsed already, and what came behind it. */
function rejoin(head: Head, body: Buffer, next: Buffer): Buffer {
  const { method, target, rawHeaders } = head
  let text = `${method} ${target} HTTP/1.1\r\n`
  for (let i = 0; i < rawHeaders.length; i += 2) text += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`
  return Buffer.concat([Buffer.from(`${text}\r\n`, 'latin1'), body, next])
}

const STATUS_LINES = statusLines()

function statusLines(): Map<number, string> {
  const reasons: [number, string][] = [
    [200, 'OK'],
    [201, 'Created'],
    [202, 'Accepted'],
    [204, 'No Content'],
    [206, 'Partial Content'],
    [304, 'Not Modified'],
    [400, 'Bad Request'],
    [401, 'Unauthorized'],
    [403, 'Forbidden'],
    [404, 'Not Found'],
    [405, 'Method Not Allowed'],
    [409, 'Conflict'],
    [411, 'Length Required'],
    [412, 'Precondition Failed'],
    [416, 'Range Not Satisfiable'],
    [500, 'Internal Server Error'],
    [501, 'Not Implemented'],
    [503, 'Service Unavailable'],
    [507, 'Insufficient Storage'],
  ]
  return new Map(reasons.map(([status, reason]) => [status, `HTTP/1.1 ${status} ${reason}\r\n`]))
}

/** The whole head of a reply. */
function replyHead(outcome: Outcome, common: string, closes: boolean): string {
  const { status, headers, body } = outcome
  let text = (STATUS_LINES.get(status) ?? `HTTP/1.1 ${status} Status\r\n`) + common
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`
  if (closes) text += 'Connection: close\r\n'
  if (status === 204 || status === 304) return `${text}\r\n`
  return `${text}Content-Length: ${outcome.sizeBytes ?? bodyLength(body)}\r\n\r\n`
}
