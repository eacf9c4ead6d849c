/**
 * A short way for small, well-formed requests on plain connections: bytes to request to reply, without the machinery
 * that HTTP needs in general. Measured on a constant 1 KiB reply, the server's own work is 4 us this way and 10 us by
 * `node:http`. What is not plainly simple (any other method or version, chunked bodies, long ones where the server does
 * not take them, heads in pieces, Upgrade, Connection, malformed bytes) is not judged here: the connection, with all bytes of that request, is
 * handed to `node:http` and stays there. So there is one strict parser, and this lane only takes what both agree on.
 */
import type { Socket } from 'node:net'
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { PieceBuffers } from '../base/piece-buffers.ts'
import type { BodyBudget } from './body.ts'
import { closeIdle } from './close-idle.ts'
import { type Head, HeadParser, rejoin, replyHead } from './fast-head.ts'
import { LongBody } from './long-body.ts'
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

/** A request whose body is long, or waits to be asked for. */
export interface LongRequest extends Omit<FastRequest, 'body'> {
  body: LongBody
}

export interface FastLaneOptions {
  /** Undefined: this request is for the ordinary handler. Must not throw. */
  answer: (request: FastRequest) => FastReply | undefined
  /** Answers a request whose client stopped in the middle of its body. Without it 400 in JSON. Must not throw. */
  answerCutOff?: (request: Omit<FastRequest, 'body'>) => FastReply
  /** Answers a request with a long body. Without it such requests are for the ordinary handler. Must not throw. */
  answerLong?: (request: LongRequest) => FastReply
  /** Header lines of every reply, each with its line break. */
  commonHead: () => string
  /** Takes a connection over, with bytes that were read from it already. */
  handOver: (socket: Socket, bytes: Buffer) => void
  onError: (error: unknown) => void
  /** Tells a client whose body comes too slowly, and closes its connection, from which nothing more is taken. */
  refuseSlow: (socket: Socket) => void
  clock: Clock
  bodyBudget?: BodyBudget
  /** Of a body that was answered early so much is read and dropped, for so long. */
  drainBytesMax: number
  drainMsMax: number
}

/** Longer bodies are taken in pieces. */
const FAST_BODY_BYTES_MAX = 64 * 1024
/** What one read may bring at most: of a request's beginning, which has to be kept where a long body follows; of a long body. */
const FIRST_READ_BYTES = 16 * 1024
const LONG_READ_BYTES = 256 * 1024
/** Buffers of pieces that are kept when nobody uses them. */
const FREE_PIECES_MAX = 512
/** Bytes of further requests that are kept while one is answered. */
const PIPELINED_BYTES_MAX = 256 * 1024
/** Replies that a reader has not taken yet; above it no further request is looked at. */
const UNREAD_BYTES_MAX = 256 * 1024

const EMPTY = Buffer.alloc(0)

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
  readonly readBuffer = Buffer.allocUnsafeSlow(LONG_READ_BYTES)
  readonly firstBuffer = this.readBuffer.subarray(0, FIRST_READ_BYTES)
  readonly usualBuffer = this.readBuffer.subarray(0, READ_BUFFER_BYTES)
  readonly pieceBuffers = new PieceBuffers(READ_BUFFER_BYTES, FREE_PIECES_MAX)
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

class FastConnection {
  readonly socket: Socket
  readonly #lane: FastLane
  /** What was received behind the request that is being answered. */
  #pending: Buffer[] = []
  #pendingBytes = 0
  readonly #heads = new HeadParser()
  #remoteAddress: string | undefined
  /** The request whose body is on its way. */
  #arriving: ArrivingBody | undefined
  /** A long body that is being taken by who answers. */
  #long: LongBody | undefined
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
    const socket = readInto(this.#nextBuffer, accepted, (bytes) => this.#onBytes(bytes))
    this.socket = socket
    socket.on('end', this.#onEnd)
    socket.on('error', this.#onError)
    socket.on('close', this.#onClose)
    socket.on('drain', this.#onDrain)
  }

  /** For the next read: all of it shall have a place. */
  readonly #nextBuffer = (): Buffer => {
    const { firstBuffer, usualBuffer, readBuffer } = this.#lane
    if (this.#long !== undefined) return readBuffer.subarray(0, this.#long.readBytesMax)
    return this.#arriving === undefined && !this.#isHandedOver ? firstBuffer : usualBuffer
  }

  /** `chunk` is the lane's again when this returns. */
  #onBytes(chunk: Buffer): void {
    if (this.#isGone) {
      if (this.#isHandedOver) this.socket.push(Buffer.from(chunk))
    } else if (this.#isBusy) {
      const rest = this.#long === undefined ? chunk : chunk.subarray(this.#long.push(chunk))
      if (rest.length === 0) return
      this.#pending.push(Buffer.from(rest))
      this.#pendingBytes += rest.length
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
      const head = this.#heads.parse(rest)
      if (head === undefined) {
        this.#handOver(rest)
        return
      }
      if (head.bodyBytes > FAST_BODY_BYTES_MAX || head.expectsContinue) {
        this.#answerLong(head, rest)
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

  /** `bytes`: all that has arrived of the request, from its head on. */
  #answerLong(head: Head, bytes: Buffer): void {
    const { answerLong } = this.#lane.options
    if (answerLong === undefined) {
      this.#handOver(bytes)
      return
    }
    const { method, target, rawHeaders, bodyBytes, expectsContinue } = head
    const { pieceBuffers: buffers } = this.#lane
    const body = new LongBody({ socket: this.socket, sizeBytes: bodyBytes, expectsContinue, buffers })
    this.#isBusy = true
    this.#long = body
    if (bytes.length > head.headBytes) this.#onBytes(bytes.subarray(head.headBytes))
    if (this.#hasEnded) body.cutOff()
    const remoteAddress = this.#address()
    void this.#answerLater(head, answerLong({ method, target, rawHeaders, remoteAddress, body }))
  }

  #address(): string {
    this.#remoteAddress ??= this.socket.remoteAddress ?? ''
    return this.#remoteAddress
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
    const remoteAddress = this.#address()
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
        if (this.#lane.isClosing || head.closes) this.#finish()
      }
      if (this.#long !== undefined) await this.#dropRest(this.#long)
    } catch (error) {
      this.#lane.options.onError(error)
      this.socket.destroy()
      return
    }
    if (this.socket.writableLength > UNREAD_BYTES_MAX) this.#waitForReader()
    else this.#continue()
  }

  /** After the reply: what nobody has taken of a long body is not the next request. */
  async #dropRest(body: LongBody): Promise<void> {
    const { clock, drainBytesMax: bytesMax, drainMsMax: msMax } = this.#lane.options
    if (!this.#isGone && !(await body.drop({ clock, bytesMax, msMax }))) this.socket.destroy()
    this.#long = undefined
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
    // Whether a client that was not told to go on sends its body after all is unknown: the connection cannot go on.
    const closes = this.#lane.isClosing || head.closes || this.#long?.isUnwanted === true
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
    this.#long?.cutOff()
    if (this.#isBusy) return
    if (this.#arriving !== undefined && !this.#isGone) this.#answerCutOff(this.#arriving.head)
    else this.socket.end()
  }

  #answerCutOff(head: Head): void {
    this.#dropArriving()
    this.#isBusy = true
    const { method, target, rawHeaders } = head
    const remoteAddress = this.#address()
    const reply = this.#lane.options.answerCutOff?.({ method, target, rawHeaders, remoteAddress })
    const outcome = errorOutcome(400, 'the body was cut off')
    void this.#answerLater(head, reply ?? { outcome, onSent: () => {} })
  }

  readonly #onError = (): void => {
    this.socket.destroy()
  }

  readonly #onClose = (): void => {
    this.#isGone = true
    this.#long?.cutOff()
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
    } else if (this.#isBusy && this.#long?.isWanting !== true && writableLength === 0) {
      // It is this server that takes its time.
      this.#stillSinceMs = nowMs
    } else if (nowMs - this.#stillSinceMs >= limits.idleTimeoutMs) {
      closeIdle(this.socket, this.#lane.options.clock)
      return
    }
    const isReceiving = this.#arriving !== undefined || this.#long?.isWanting === true
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
    const isUnanswered = isReceiving && !this.#isGone && this.#long?.isDropped !== true
    if (isSlow && isUnanswered) this.#refuseSlow()
    else if (isSlow) this.socket.destroy()
  }

  #refuseSlow(): void {
    this.#isGone = true
    this.#dropArriving()
    this.#long?.cutOff()
    this.#lane.options.refuseSlow(this.socket)
  }
}
