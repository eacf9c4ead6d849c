/** Reading while what was read before is used: one piece is on its way while another is sent. */

/** The same pieces in the same order. Who leaves before the end ends their source, as with the pieces themselves. */
export async function* oneAhead<T>(pieces: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = pieces[Symbol.asyncIterator]()
  let next = iterator.next()
  try {
    for (;;) {
      const { value, done } = await next
      if (done === true) return
      next = iterator.next()
      // A failure is heard when its turn comes.
      next.catch(() => {})
      yield value
    }
  } finally {
    await next.catch(() => {})
    await iterator.return?.()
  }
}
