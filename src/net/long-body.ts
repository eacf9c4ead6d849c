/**
 * A long request body on the short way of `fast-lane.ts`: pieces in memory that is used again, one at a time. While a piece
 * waits to be taken the connection is not read, so a body costs its server little memory, whatever its length.
 */
import type { Socket } from 'node:net'
import { assert } from '../base/assert.ts'
import type { ByteSink } from '../base/byte-sink.ts'
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import type { LentPiece, PieceBuffers } from '../base/piece-buffers.ts'
import { READ_BUFFER_BYTES } from './shared-read-buffer.ts'

export interface LongBodyParts {
  socket: Socket
  /** What Content-Length says. */
  sizeBytes: number
  /** The client waits to be told that it may go on. */
  expectsContinue: boolean
  /** Of READ_BUFFER_BYTES. */
  buffers: PieceBuffers
}

export class LongBody {
  readonly sizeBytes: number
  readonly #parts: LongBodyParts
  /** The piece that waits, in a whole buffer of its own. */
  #waiting: { buffer: Buffer; length: number } | undefined
  #receivedBytes = 0
  #isCutOff = false
  /** Nobody wants what still comes. */
  #isDropped = false
  #mustContinue: boolean
  /** Takes what comes, as long as it has room and nothing waits. */
  #sink: ByteSink | undefined
  #sinkFailure: unknown
  #isFull = false
  /** Wakes who waits for the next piece, or for the end of a body that is dropped. */
  #wake: (() => void) | undefined

  constructor(parts: LongBodyParts) {
    this.#parts = parts
    this.sizeBytes = parts.sizeBytes
    this.#mustContinue = parts.expectsContinue
  }

  get isComplete(): boolean {
    return this.#receivedBytes === this.sizeBytes
  }

  /** The client was not told to go on, and may never send its body. */
  get isUnwanted(): boolean {
    return this.#mustContinue && this.#receivedBytes === 0 && !this.isComplete
  }

  /** It is answered already. */
  get isDropped(): boolean {
    return this.#isDropped
  }

  /** Whether the client is the one that is waited for. */
  get isWanting(): boolean {
    return (
      this.#waiting === undefined && !this.#isFull && !this.isComplete && !this.#isCutOff && !this.isUnwanted
    )
  }

  /** What the next read may bring, so that all of it has a place. */
  get readBytesMax(): number {
    if (this.#sink === undefined || this.isComplete) return READ_BUFFER_BYTES
    return this.#sink.roomBytes() || READ_BUFFER_BYTES
  }

  /** Takes what arrived, which is the caller's again when this returns; gives how many bytes were the body's. */
  push(bytes: Buffer): number {
    const length = Math.min(bytes.length, this.sizeBytes - this.#receivedBytes)
    if (length === 0) return 0
    this.#receivedBytes += length
    if (!this.#isDropped) this.#pass(bytes.subarray(0, length))
    if (this.#waiting !== undefined || this.isComplete || this.#sink === undefined) {
      this.#wakeUp()
    } else if (this.#sink.roomBytes() === 0) {
      this.#parts.socket.pause()
      this.#wakeUp()
    }
    return length
  }

  #pass(bytes: Buffer): void {
    assert(this.#waiting === undefined, 'a connection is not read while a piece waits')
    const takenBytes = this.#sink === undefined ? 0 : this.#give(this.#sink, bytes)
    if (takenBytes === bytes.length) return
    const buffer = this.#parts.buffers.take()
    const length = bytes.copy(buffer, 0, takenBytes)
    this.#waiting = { buffer, length }
    this.#parts.socket.pause()
  }

  /** A sink that fails has taken all: nobody wants it any more. */
  #give(sink: ByteSink, bytes: Buffer): number {
    try {
      return sink.take(bytes)
    } catch (error) {
      this.#sink = undefined
      this.#sinkFailure = error
      return bytes.length
    }
  }

  /** The client broke off. */
  cutOff(): void {
    this.#isCutOff = true
    this.#wakeUp()
  }

  /**
   * The pieces in order, which their taker may give back. Asked for once. Throws `incomplete_body` when the client breaks
   * off.
   */
  async *pieces(): AsyncGenerator<LentPiece> {
    this.#continue()
    for (let givenBytes = 0; givenBytes < this.sizeBytes; ) {
      const piece = this.#waiting
      if (piece === undefined) {
        if (this.#isCutOff) throw new StoreError('incomplete_body', 'the client broke off')
        await this.#more()
        continue
      }
      this.#waiting = undefined
      givenBytes += piece.length
      yield this.#parts.buffers.lend(piece.buffer, 0, piece.length)
    }
  }

  /**
   * All of it, in place of `pieces`: what comes while the sink has room is given to it out of the connection's own buffer.
   * Throws `incomplete_body` when the client breaks off, and what the sink throws.
   */
  async pour(sink: ByteSink): Promise<void> {
    this.#continue()
    this.#sink = sink
    try {
      while (this.#sink !== undefined) {
        if (this.#waiting !== undefined) await this.#pourPiece(sink, this.#waiting)
        else if (this.isComplete) return
        else await this.#pourMore(sink)
      }
    } finally {
      this.#sink = undefined
    }
    throw this.#sinkFailure
  }

  async #pourMore(sink: ByteSink): Promise<void> {
    if (this.#isCutOff) throw new StoreError('incomplete_body', 'the client broke off')
    this.#isFull = sink.roomBytes() === 0
    await (this.#isFull ? sink.room() : this.#more())
    this.#isFull = false
  }

  async #pourPiece(sink: ByteSink, { buffer, length }: { buffer: Buffer; length: number }): Promise<void> {
    for (let at = 0; ; await sink.room()) {
      at += this.#give(sink, buffer.subarray(at, length))
      if (at === length) break
    }
    this.#waiting = undefined
    this.#parts.buffers.giveBack(buffer)
  }

  /** Reads and drops what is left. False when that is too much, or takes too long. */
  async drop({
    clock,
    bytesMax,
    msMax,
  }: {
    clock: Clock
    bytesMax: number
    msMax: number
  }): Promise<boolean> {
    if (this.isComplete) return true
    this.#isDropped = true
    this.#sink = undefined
    this.#waiting = undefined
    const enough = this.#receivedBytes + bytesMax
    let isLate = false
    const stop = clock.after(msMax, () => {
      isLate = true
      this.#wakeUp()
    })
    while (!this.isComplete && !this.#isCutOff && !isLate && this.#receivedBytes <= enough) await this.#more()
    stop()
    return this.isComplete || this.#isCutOff
  }

  #more(): Promise<void> {
    if (this.#parts.socket.isPaused()) this.#parts.socket.resume()
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  #wakeUp(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  #continue(): void {
    if (this.#mustContinue && this.#receivedBytes === 0)
      this.#parts.socket.write('HTTP/1.1 100 Continue\r\n\r\n')
    this.#mustContinue = false
  }
}
