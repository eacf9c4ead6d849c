/**
 * A connection as bytes that are asked for: so many, or what there is, or all up to the orderly end. What nobody asks for
 * stays with the system, so that a sender cannot fill the memory.
 */
import { connect, type Socket } from 'node:net'
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import { givingBack, type LentPiece } from '../base/piece-buffers.ts'

export interface ByteStreamOptions {
  /** Bytes that are read ahead of what is asked for. */
  unreadBytesMax: number
}

const NO_BYTES = Buffer.alloc(0)

export class ByteStream {
  readonly socket: Socket
  readonly #unreadBytesMax: number
  readonly #pieces: Buffer[] = []
  #unreadBytes = 0
  #hasEnded = false
  #wake: (() => void) | undefined

  constructor(socket: Socket, { unreadBytesMax }: ByteStreamOptions) {
    this.socket = socket
    this.#unreadBytesMax = unreadBytesMax
    socket.on('data', (piece: Buffer) => {
      this.#pieces.push(piece)
      this.#unreadBytes += piece.length
      if (this.#unreadBytes >= unreadBytesMax) socket.pause()
      this.#wake?.()
    })
    socket.once('end', () => {
      this.#hasEnded = true
      this.#wake?.()
    })
    socket.on('error', () => socket.destroy())
    socket.once('close', () => this.#wake?.())
  }

  /** Nothing more comes. */
  get isOver(): boolean {
    return this.#hasEnded || this.socket.destroyed
  }

  /** Some bytes, at least one; undefined at the orderly end. Throws `incomplete_body` where the connection was cut. */
  async some(bytesMax = Number.POSITIVE_INFINITY): Promise<Buffer | undefined> {
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
    else {
      this.#pieces[0] = piece.subarray(bytesMax)
      piece = piece.subarray(0, bytesMax)
    }
    this.#unreadBytes -= piece.length
    if (this.socket.isPaused() && this.#unreadBytes < this.#unreadBytesMax) this.socket.resume()
    return piece
  }

  /** Exactly so many bytes. Throws `incomplete_body` where the stream ends or is cut before. */
  async take(sizeBytes: number): Promise<Buffer> {
    if (sizeBytes === 0) return NO_BYTES
    const first = await this.some(sizeBytes)
    if (first?.length === sizeBytes) return first
    const whole = Buffer.allocUnsafe(sizeBytes)
    let filled = 0
    for (let piece = first; ; piece = await this.some(sizeBytes - filled)) {
      if (piece === undefined) throw cut()
      filled += piece.copy(whole, filled)
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

  /** Sends the orderly end; what still comes is dropped, so that a reset does not overtake what was sent. */
  end(): void {
    this.#drop()
    this.socket.end()
  }

  /** Breaks the connection, so that the other side learns that something went wrong. */
  reset(): void {
    this.#drop()
    this.socket.resetAndDestroy()
  }

  #drop(): void {
    this.#pieces.length = 0
    this.#unreadBytes = 0
    this.socket.removeAllListeners('data')
    this.socket.resume()
  }
}

/** Throws `timeout` and breaks the connection when `work`, which waits for the other side, takes longer. */
export async function inTime<T>(
  work: Promise<T>,
  { stream, clock, timeoutMs }: { stream: ByteStream; clock: Clock; timeoutMs: number },
): Promise<T> {
  let isLate = false
  const stop = clock.after(timeoutMs, () => {
    isLate = true
    stream.reset()
  })
  try {
    return await work
  } catch (error) {
    throw isLate ? new StoreError('timeout', 'the other side took too long', { cause: error }) : error
  } finally {
    stop()
  }
}

/** Opens a connection. Throws `unavailable`, `timeout`. A connection on which nothing moves for `timeoutMs` is cut. */
export async function dial(
  { host, port }: { host: string; port: number },
  { timeoutMs, unreadBytesMax }: ByteStreamOptions & { timeoutMs: number },
): Promise<ByteStream> {
  const socket = connect({ host, port, noDelay: true })
  socket.setTimeout(timeoutMs, () => socket.destroy(new StoreError('timeout', 'no answer in time')))
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', () => resolve())
    socket.once('error', (error) => {
      const code = error instanceof StoreError ? error.code : 'unavailable'
      reject(new StoreError(code, `cannot reach ${host}:${port}: ${error.message}`, { cause: error }))
    })
  })
  socket.removeAllListeners('error')
  return new ByteStream(socket, { unreadBytesMax })
}

const cut = () => new StoreError('incomplete_body', 'the connection was cut')
const gone = () => new StoreError('unavailable', 'the other side has gone')
