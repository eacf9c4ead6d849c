/** Parts one after the other, as one: the first piece of the next part is on its way while those of one are given out. */

export async function* partsAhead<Piece>(
  parts: readonly (() => AsyncGenerator<Piece, void, undefined>)[],
): AsyncGenerator<Piece, void, undefined> {
  let next = parts[0] && new BegunPart(parts[0]())
  try {
    for (let at = 1; next !== undefined; at++) {
      const part: BegunPart<Piece> = next
      const following = parts[at]
      next = following && new BegunPart(following())
      yield* part.pieces()
    }
  } finally {
    await next?.close()
  }
}

class BegunPart<Piece> {
  readonly #part: AsyncGenerator<Piece, void, undefined>
  readonly #first: Promise<IteratorResult<Piece, void>>

  constructor(part: AsyncGenerator<Piece, void, undefined>) {
    this.#part = part
    this.#first = part.next()
    // Its failure is heard when its turn comes.
    this.#first.catch(() => {})
  }

  async *pieces(): AsyncGenerator<Piece, void, undefined> {
    try {
      const first = await this.#first
      if (first.done) return
      yield first.value
      yield* this.#part
    } finally {
      await this.close()
    }
  }

  /** Also when nothing of it was wanted. Never throws. */
  async close(): Promise<void> {
    try {
      await this.#part.return()
    } catch {
      // Whoever wanted it has heard.
    }
  }
}
