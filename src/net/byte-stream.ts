/**
 * A connection as bytes that are asked for: so many, or what there is, or all up to the orderly end. What nobody asks for
 * stays with the system, so that a sender cannot fill the memory.
 */
import { connect, type OnReadOpts, type Socket } from 'node:net'
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import { givingBack, type LentPiece, PieceBuffers } from '../base/piece-buffers.ts'
import { takeOver } from './shared-read-buffer.ts'

const SMALL_READ_BYTES = 64 * 1024
const BULK_READ_BYTES = 256 * 1024
const BULK_BUFFERS_FREE_MAX = 16
const NO_BYTES = Buffer.alloc(0)

/**
 * Memory that the system reads into, for all connections of a thread. Left to itself the runtime gets new memory for every
 * 64 KiB, and its collector then takes more time than all else.
 */
export class ReadBuffers {
  /** Copied from before anybody else reads. */
  readonly small: Buffer = Buffer.allocUnsafeSlow(SMALL_READ_BYTES)
  /** Given out as pieces. */
  readonly bulk: PieceBuffers = new PieceBuffers(BULK_READ_BYTES, BULK_BUFFERS_FREE_MAX)
}

export interface ByteStreamOptions {
  buffers: ReadBuffers
  /** Bytes that are read ahead of what is asked for. */
  unreadBytesMax: number
}

export class ByteStream {
  readonly socket: Socket
  /** Many bytes are to come: they are read in large pieces, which whoever asks for them should give back. */
  isBulk = false
  readonly #options: ByteStreamOptions
  readonly #pieces: LentPiece[] = []
  /** What the system reads into next, when it is of the large ones. */
  #next: Buffer | undefined
  /** Bytes that are to come in whole buffers, and how many are in the next of them already. */
  #wholeLeft = 0
  #filled = 0
  #unreadBytes = 0
  #hasEnded = false
  #drops = false
  #wake: (() => void) | undefined

  private constructor(options: ByteStreamOptions, open: (onread: OnReadOpts) => Socket) {
    this.#options = options
    const socket = open({
      buffer: () => this.#nextBuffer(),
      callback: (sizeBytes, buffer) => this.#read(buffer as Buffer, sizeBytes),
    })
    this.socket = socket
    socket.once('end', () => {
      this.#hasEnded = true
      this.#wake?.()
    })
    socket.on('error', () => socket.destroy())
    socket.once('close', () => this.#wake?.())
    socket.resume()
  }

  /** Takes over a connection that a server has accepted, and of which nothing was read. */
  static takeOver(accepted: Socket, options: ByteStreamOptions): ByteStream {
    return new ByteStream(options, (onread) => takeOver(accepted, onread))
  }

  /** Opens a connection. Throws `unavailable`, `timeout`. One on which nothing moves for `timeoutMs` is cut. */
  static async dial(
    { host, port }: { host: string; port: number },
    { timeoutMs, ...options }: ByteStreamOptions & { timeoutMs: number },
  ): Promise<ByteStream> {
    const stream = new ByteStream(options, (onread) => connect({ host, port, onread, noDelay: true }))
    const { socket } = stream
    socket.setTimeout(timeoutMs, () => socket.destroy(new StoreError('timeout', 'no answer in time')))
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', () => resolve())
      socket.once('error', (error) => {
        const code = error instanceof StoreError ? error.code : 'unavailable'
        reject(new StoreError(code, `cannot reach ${host}:${port}: ${error.message}`, { cause: error }))
      })
    })
    return stream
  }

  /**
   * The next `sizeBytes` come in pieces that are all of the same length but the last, where pieces else are as long as what
   * arrives: so they can be written to a file in blocks. Not while `isBulk`.
   */
  readWhole(sizeBytes: number): void {
    assert(!this.isBulk && this.#wholeLeft === 0, 'pieces are read in one way at a time')
    const arrived = this.#pieces.splice(0)
    this.#unreadBytes = 0
    this.#wholeLeft = sizeBytes
    for (const piece of arrived) this.#gather(piece)
    this.#resume()
  }

  /** Where the next bytes go that are to come in whole buffers. */
  #room(): Buffer {
    this.#next ??= this.#options.buffers.bulk.take()
    return this.#next.subarray(this.#filled, this.#filled + this.#wholeLeft)
  }

  /** So many bytes are in `#room` now. */
  #fill(sizeBytes: number): void {
    const buffer = this.#next!
    this.#filled += sizeBytes
    this.#wholeLeft -= sizeBytes
    if (this.#filled < buffer.length && this.#wholeLeft > 0) return
    this.#push(this.#options.buffers.bulk.lend(buffer, 0, this.#filled))
    this.#next = undefined
    this.#filled = 0
  }

  /** Takes what came elsewhere, of which only a part may be meant for whole buffers. */
  #gather(bytes: Buffer): void {
    let at = 0
    while (at < bytes.length && this.#wholeLeft > 0) {
      const count = bytes.copy(this.#room(), 0, at)
      at += count
      this.#fill(count)
    }
    if (at < bytes.length) this.#push(Buffer.from(bytes.subarray(at)))
  }

  #push(piece: LentPiece): void {
    this.#pieces.push(piece)
    this.#unreadBytes += piece.length
  }

  #nextBuffer(): Buffer {
    const { small, bulk } = this.#options.buffers
    if (this.#wholeLeft > 0) return this.#room()
    if (this.isBulk) {
      this.#next ??= bulk.take()
      return this.#next
    }
    if (this.#next !== undefined) bulk.lend(this.#next, 0, 0).giveBack?.()
    this.#next = undefined
    return small
  }

  /** False: read no more for now. */
  #read(buffer: Buffer, sizeBytes: number): boolean {
    if (this.#drops) return true
    if (this.#wholeLeft > 0 && buffer.buffer === this.#next?.buffer) {
      this.#fill(sizeBytes)
      if (this.#pieces.length === 0) return true
    } else if (buffer === this.#next && sizeBytes * 2 > buffer.length) {
      this.#next = undefined
      this.#push(this.#options.buffers.bulk.lend(buffer, 0, sizeBytes))
    } else this.#gather(buffer.subarray(0, sizeBytes))
    this.#wake?.()
    if (this.#unreadBytes < this.#options.unreadBytesMax) return true
    this.socket.pause()
    return false
  }

  /** Nothing more comes. */
  get isOver(): boolean {
    return this.#hasEnded || this.socket.destroyed
  }

  /** Some bytes, at least one; undefined at the orderly end. Throws `incomplete_body` where the connection was cut. */
  async some(bytesMax = Number.POSITIVE_INFINITY): Promise<LentPiece | undefined> {
    while (this.#pieces.length === 0) {
      if (this.#hasEnded) return undefined
      if (this.socket.destroyed) throw cut()
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
    let piece = this.#pieces[0]!
    if (piece.length <= bytesMax) this.#pieces.shift()
    else piece = this.#split(piece, bytesMax)
    this.#unreadBytes -= piece.length
    this.#resume()
    return piece
  }

  #resume(): void {
    if (this.socket.isPaused() && this.#unreadBytes < this.#options.unreadBytesMax) this.socket.resume()
  }

  /** The front of the first piece. A copy, where the rest is what will be given back. */
  #split(whole: LentPiece, sizeBytes: number): Buffer {
    const front = whole.subarray(0, sizeBytes)
    const rest: LentPiece = whole.subarray(sizeBytes)
    rest.giveBack = whole.giveBack
    this.#pieces[0] = rest
    return rest.giveBack === undefined ? front : Buffer.from(front)
  }

  /** Exactly so many bytes, the caller's to keep. Throws `incomplete_body` where the stream ends or is cut before. */
  async take(sizeBytes: number): Promise<Buffer> {
    if (sizeBytes === 0) return NO_BYTES
    const first = await this.some(sizeBytes)
    if (first?.length === sizeBytes && first.giveBack === undefined) return first
    const whole = Buffer.allocUnsafe(sizeBytes)
    let filled = 0
    for (let piece = first; ; piece = await this.some(sizeBytes - filled)) {
      if (piece === undefined) throw cut()
      filled += piece.copy(whole, filled)
      piece.giveBack?.()
      if (filled === sizeBytes) return whole
    }
  }

  /** Sends a piece, and waits while the other side does not read. Throws `unavailable` where it has gone. */
  async write(piece: LentPiece): Promise<void> {
    const { socket } = this
    if (!socket.writable) throw gone()
    if (socket.write(piece, givingBack(piece))) return
    await new Promise<void>((resolve, reject) => {
      const settle = () => {
        socket.off('drain', settle)
        socket.off('close', settle)
        if (socket.destroyed) reject(gone())
        else resolve()
      }
      socket.on('drain', settle)
      socket.on('close', settle)
    })
  }

  /** Resolves when the system has taken over all that was written. Throws `unavailable` where the other side has gone. */
  async flush(): Promise<void> {
    const { socket } = this
    if (!socket.writable) throw gone()
    await new Promise<void>((resolve, reject) => {
      const settle = () => {
        socket.off('close', settle)
        if (socket.destroyed) reject(gone())
        else resolve()
      }
      socket.on('close', settle)
      socket.write(NO_BYTES, settle)
    })
  }

  /** The other side waits for this one meanwhile: that nothing moves is not its fault. */
  async unhurried<T>(work: Promise<T>): Promise<T> {
    const { socket } = this
    const idleMs = socket.timeout ?? 0
    socket.setTimeout(0)
    try {
      return await work
    } finally {
      socket.setTimeout(idleMs)
    }
  }

  /** Sends the orderly end; what still comes is dropped, so that a reset does not overtake what was sent. */
  end(): void {
    this.#drop()
    this.socket.end()
  }

  /** Breaks the connection, so that the other side learns that something went wrong. */
  reset(): void {
    this.#drop()
    resetSocket(this.socket)
  }

  #drop(): void {
    this.#drops = true
    this.#pieces.length = 0
    this.#unreadBytes = 0
    this.socket.resume()
  }
}

/**
 * Breaks a connection. One whose end was sent already cannot be reset any more: trying leaves it open for good. What was written
 * then and is not the system's yet is lost, behind which the end looks orderly: where that matters, `flush` comes before `end`.
 */
export function resetSocket(socket: Socket): void {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}

/** Throws `timeout` and breaks the connection when `work`, which waits for the other side, takes longer. */
export async function inTime<T>(
  work: Promise<T>,
  { stream, clock, timeoutMs }: { stream: ByteStream; clock: Clock; timeoutMs: number },
): Promise<T> {
  let [isOver, isLate] = [false, false]
  const stop = clock.after(timeoutMs, () => {
    // What has arrived while this process itself stood still is read first.
    clock.soon(() => {
      if (isOver) return
      isLate = true
      stream.reset()
    })
  })
  try {
    return await work
  } catch (error) {
    throw isLate ? new StoreError('timeout', 'the other side took too long', { cause: error }) : error
  } finally {
    isOver = true
    stop()
  }
}

const cut = () => new StoreError('incomplete_body', 'the connection was cut')
const gone = () => new StoreError('unavailable', 'the other side has gone')
