/**
 * Requests that came on a connection before the one in front of them was answered. Node tells of each as soon as its head is there, and only
 * keeps the replies in order. Here each waits until the reply in front of it has left: so what was asked first is done first, and a connection
 * holds the memory of one reply, however many it asks for.
 */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** While so many requests wait, no more is read; those of a piece that was read already are added. */
const WAITING_MAX = 64

export interface TurnsOptions {
  socket: Socket
  /** The reply that is on its way. */
  before: ServerResponse
  /** Its turn has come. */
  begin: (response: ServerResponse) => void
  /** What is to be said of bytes that are no request: behind all replies, or in place of one whose request was not whole. */
  refuse: (failure: NodeJS.ErrnoException, response: ServerResponse | undefined) => void
  /** Nothing waits any more. Told before the last one begins. */
  onEmpty: () => void
}

/** Those that wait on one connection. When it ends, they are forgotten. */
export class Turns {
  readonly #options: TurnsOptions
  readonly #waiting: ServerResponse[] = []
  #failure: NodeJS.ErrnoException | undefined
  #isPaused = false

  constructor(options: TurnsOptions) {
    this.#options = options
    options.before.once('close', this.#next)
  }

  add(response: ServerResponse): void {
    // What stands behind something malformed is no request.
    if (this.#failure !== undefined) return
    this.#waiting.push(response)
    if (this.#waiting.length < WAITING_MAX) return
    this.#isPaused = true
    this.#options.socket.pause()
  }

  /** Behind all that wait came something that is no request. */
  fail(failure: NodeJS.ErrnoException): void {
    this.#failure ??= failure
  }

  readonly #next = (): void => {
    const { socket, begin, refuse, onEmpty } = this.#options
    if (!socket.writable) {
      this.#waiting.length = 0
      onEmpty()
      return
    }
    const response = this.#waiting.shift()
    const failure = this.#failure
    if (this.#isPaused && this.#waiting.length < WAITING_MAX) {
      this.#isPaused = false
      socket.resume()
    }
    const isNeverWhole = failure !== undefined && response?.req.complete !== true
    if (response === undefined || isNeverWhole) {
      onEmpty()
      if (failure !== undefined) refuse(failure, response)
      return
    }
    if (this.#waiting.length > 0 || failure !== undefined) response.once('close', this.#next)
    else onEmpty()
    begin(response)
  }
}
