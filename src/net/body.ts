/**
 * Request bodies in memory: each under its own limit, all of the process together under one budget that its threads
 * share. A body that is refused is drained for a while, so that the client reads the answer instead of a reset.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import { DRAIN_BODY_BYTES_MAX, DRAIN_BODY_MS_MAX } from '../base/limits.ts'

/** Counts in units, so that 32-bit atomics reach 2 TiB. */
const UNIT_BYTES = 1024

/** Bytes of request bodies that are in memory, counted over all threads of the process. */
export class BodyBudget {
  readonly #used: Int32Array
  readonly #unitsMax: number

  /** `shared`: 4 bytes, the same for every thread, zero at the start. */
  constructor(shared: SharedArrayBuffer, bytesMax: number) {
    this.#used = new Int32Array(shared, 0, 1)
    this.#unitsMax = Math.floor(bytesMax / UNIT_BYTES)
  }

  /** Takes room for `bytes`, or says no. Give the same number back with `release`. */
  reserve(bytes: number): boolean {
    const units = unitsOf(bytes)
    if (Atomics.add(this.#used, 0, units) + units <= this.#unitsMax) return true
    Atomics.sub(this.#used, 0, units)
    return false
  }

  release(bytes: number): void {
    Atomics.sub(this.#used, 0, unitsOf(bytes))
  }

  /** Bytes in use, rounded up by body. */
  get usedBytes(): number {
    return Atomics.load(this.#used, 0) * UNIT_BYTES
  }
}

function unitsOf(bytes: number): number {
  return Math.ceil(bytes / UNIT_BYTES)
}

export interface BodyOptions {
  bytesMax: number
  budget?: BodyBudget
}

/** A collected body. Call `release` once when nothing refers to `bytes` any more. */
export interface Body {
  bytes: Buffer
  release(): void
}

type Done = (error: StoreError | undefined, body: Body | undefined) => void

/** The announced length of a body: 0 without one, undefined when it comes in chunks. */
export function announcedLength(request: IncomingMessage): number | undefined {
  if (request.headers['transfer-encoding'] !== undefined) return undefined
  return Number(request.headers['content-length'] ?? 0)
}

/**
 * A body while it comes, at its taker's pace; `onBytes` is told the length of each piece. Only now is a waiting client told to
 * go on. Throws `incomplete_body` when the client breaks off. Who stops early answers early: the connection is not cut here.
 */
export async function* arrivingPieces(
  request: IncomingMessage,
  response: ServerResponse,
  onBytes: (lengthBytes: number) => void,
): AsyncGenerator<Buffer> {
  if (request.headers.expect !== undefined && !response.headersSent) response.writeContinue()
  const pieces = request.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Buffer>
  try {
    for await (const piece of pieces) {
      onBytes(piece.length)
      yield piece
    }
  } catch (error) {
    throw new StoreError('incomplete_body', 'the body was cut off', { cause: error })
  }
}

/** Bodies of an announced length below this take their place in the budget at once, the others as they arrive. */
const RESERVE_AT_ONCE_BYTES = 64 * 1024

/**
 * Collects a whole body. Calls `done` once: with the body, or with `too_large`, `too_many_requests` or `bad_request`
 * (cut off). After an error the caller answers and calls `drain`.
 */
export function collectBody(
  request: IncomingMessage,
  response: ServerResponse,
  options: BodyOptions,
  done: Done,
): void {
  const length = announcedLength(request)
  if (length !== undefined && length > options.bytesMax) {
    done(tooLarge(options.bytesMax), undefined)
    return
  }
  new Collector({ request, response, length, done }, options).start()
}

/** `collectBody` as a promise, for where speed does not matter. */
export function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  options: BodyOptions,
): Promise<Body> {
  return new Promise((resolve, reject) => {
    collectBody(request, response, options, (error, body) => (error ? reject(error) : resolve(body!)))
  })
}

function tooLarge(bytesMax: number): StoreError {
  return new StoreError('too_large', `body over the limit of ${bytesMax} bytes`)
}

interface Source {
  request: IncomingMessage
  response: ServerResponse
  length: number | undefined
  done: Done
}

/** One body on its way. The first chunk of a small body usually is all of it, and is then kept as it is. */
class Collector {
  readonly #source: Source
  readonly #bytesMax: number
  readonly #budget: BodyBudget | undefined
  /** Chunks of a body of unknown length, or the one whole chunk. */
  #chunks: Buffer[] = []
  /** Place for a body of known length. Untouched pages of it cost no memory. */
  #whole: Buffer | undefined
  #received = 0
  readonly #reservations: number[] = []
  #isDone = false

  constructor(source: Source, options: BodyOptions) {
    this.#source = source
    this.#bytesMax = options.bytesMax
    this.#budget = options.budget
  }

  start(): void {
    const { request, response, length } = this.#source
    if (request.destroyed) {
      // The client has left while nobody asked for the body: none of its events comes any more.
      this.#onCut()
      return
    }
    const reserveNow = length !== undefined && length <= RESERVE_AT_ONCE_BYTES ? length : 0
    if (!this.#reserve(reserveNow)) return
    if (request.headers.expect !== undefined) response.writeContinue()
    request.on('data', this.#onData)
    request.on('end', this.#onEnd)
    request.on('error', this.#onCut)
    request.on('close', this.#onCut)
  }

  #reserve(bytes: number): boolean {
    if (bytes === 0 || this.#budget === undefined) return true
    if (this.#budget.reserve(bytes)) {
      this.#reservations.push(bytes)
      return true
    }
    this.#fail(new StoreError('too_many_requests', 'too many bytes of uploads in flight; try again'))
    return false
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#isDone) return
    const { length } = this.#source
    const received = this.#received + chunk.length
    if (received > this.#bytesMax) {
      this.#fail(tooLarge(this.#bytesMax))
      return
    }
    if ((length === undefined || length > RESERVE_AT_ONCE_BYTES) && !this.#reserve(chunk.length)) return
    if (length === undefined || chunk.length === length) {
      this.#chunks.push(chunk)
    } else {
      this.#whole ??= Buffer.allocUnsafeSlow(length)
      chunk.copy(this.#whole, this.#received)
    }
    this.#received = received
    if (received === length) this.#succeed()
  }

  readonly #onEnd = (): void => {
    if (this.#isDone) return
    const { length } = this.#source
    if (length !== undefined && this.#received < length) this.#onCut()
    else this.#succeed()
  }

  readonly #onCut = (): void => {
    if (!this.#isDone) this.#fail(new StoreError('bad_request', 'the body was cut off'))
  }

  #succeed(): void {
    this.#stop()
    const bytes = this.#whole ?? (this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks))
    this.#chunks = []
    this.#source.done(undefined, { bytes, release: this.#release })
  }

  #fail(error: StoreError): void {
    this.#stop()
    this.#chunks = []
    this.#whole = undefined
    this.#release()
    this.#source.done(error, undefined)
  }

  #stop(): void {
    this.#isDone = true
    const { request } = this.#source
    request.off('data', this.#onData)
    request.off('end', this.#onEnd)
    request.off('close', this.#onCut)
    // The error listener stays: an abort after this must not crash the process.
  }

  readonly #release = (): void => {
    for (const bytes of this.#reservations.splice(0)) this.#budget?.release(bytes)
  }
}

/**
 * Reads and drops the rest of a body that was answered early, then lets the connection be used again, or closes it where client
 * or server asked for that; cuts it when the rest is too long or too slow. Call it right after the reply was given to `end`.
 */
export function drain(
  request: IncomingMessage,
  options: { clock: Clock; bytesMax?: number; msMax?: number },
): void {
  if (request.complete || request.destroyed) return
  const { clock, bytesMax = DRAIN_BODY_BYTES_MAX, msMax = DRAIN_BODY_MS_MAX } = options
  const { socket } = request
  let dropped = 0
  const cut = () => socket.destroy()
  const stop = clock.after(msMax, cut)
  // Node closes behind the reply; before the rest has come that is a reset, which may take the reply from the client.
  let closes = false
  socket.destroySoon = () => {
    closes = true
  }
  request.on('data', (chunk: Buffer) => {
    dropped += chunk.length
    if (dropped > bytesMax) cut()
  })
  request.once('close', stop)
  request.once('end', () => {
    stop()
    delete (socket as Partial<typeof socket>).destroySoon
    if (closes) socket.destroySoon()
  })
  request.on('error', () => {})
  request.resume()
}
