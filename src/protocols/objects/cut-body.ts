/** A body in parts: bytes as they come, given out so many at a time. A client that breaks off ends the last part, and it is kept. */

export class CutBody {
  readonly #pieces: AsyncIterator<Buffer>
  /** Came already, and belongs to the next part. */
  #rest: Buffer | undefined
  /** The client broke off. */
  isCut = false

  constructor(pieces: AsyncIterable<Buffer>) {
    this.#pieces = pieces[Symbol.asyncIterator]()
  }

  /** Whether another part has bytes. Waits for the first of them. */
  async hasMore(): Promise<boolean> {
    this.#rest ??= await this.#next()
    return this.#rest !== undefined
  }

  /** The next bytes, at most so many. */
  async *take(bytesMax: number): AsyncGenerator<Buffer> {
    for (let left = bytesMax; left > 0 && (await this.hasMore()); ) {
      const piece = this.#rest!
      const taken = piece.subarray(0, left)
      this.#rest = taken.length < piece.length ? piece.subarray(taken.length) : undefined
      left -= taken.length
      yield taken
    }
  }

  async #next(): Promise<Buffer | undefined> {
    if (this.isCut) return undefined
    try {
      for (;;) {
        const { value, done } = await this.#pieces.next()
        if (done) return undefined
        if (value.length > 0) return value
      }
    } catch {
      this.isCut = true
      return undefined
    }
  }
}
