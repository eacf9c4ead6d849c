/**
 * Small answers on a socket, past the account that Node's streams keep of each write and the turn of the loop that they take to
 * close it: most writes are with the system when they return, and then there is nothing to keep account of.
 */
import type { Socket } from 'node:net'

export class DirectWriter {
  readonly #socket: Socket
  readonly #onDrain: () => void
  /** Of the write that the system has not taken as a whole. */
  #waitingBytes = 0
  #isWritten = true

  /** `onDrain`: called when the reader has taken of what waited for it, and more may be written. */
  constructor(socket: Socket, onDrain: () => void) {
    this.#socket = socket
    this.#onDrain = onDrain
    socket.on('drain', onDrain)
  }

  /** Bytes that the reader has not taken yet. */
  get waitingBytes(): number {
    return this.#waitingBytes + this.#socket.writableLength
  }

  /** Writes behind what was written before. False: the memory of `bytes` is in use from now on. */
  write(bytes: Buffer): boolean {
    const socket = this.#socket
    if (!socket.writable) return true
    if (this.waitingBytes > 0) {
      socket.write(Buffer.from(bytes))
      return true
    }
    this.#isWritten = false
    // What the stream itself calls: the system has the bytes when it calls back, which is mostly before it returns.
    socket._write(bytes, 'buffer' as BufferEncoding, this.#onWritten)
    if (this.#isWritten) return true
    this.#waitingBytes = bytes.length
    return false
  }

  readonly #onWritten = (error?: Error | null): void => {
    this.#isWritten = true
    if (error) this.#socket.destroy(error)
    if (this.#waitingBytes === 0) return
    this.#waitingBytes = 0
    if (!error) this.#onDrain()
  }
}
