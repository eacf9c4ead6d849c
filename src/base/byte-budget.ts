/** Memory that many pieces of work share: what finds none free waits for its turn. */

interface Waiting {
  bytes: number
  begin: () => void
}

export class ByteBudget {
  readonly #bytesMax: number
  #freeBytes: number
  readonly #waiting: Waiting[] = []

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
    this.#freeBytes = bytesMax
  }

  /** Runs `work` when so many bytes are free, in the order of the calls. What wants more than there are runs alone. */
  async run<T>(wantedBytes: number, work: () => Promise<T>): Promise<T> {
    const bytes = Math.min(wantedBytes, this.#bytesMax)
    if (this.#waiting.length > 0 || bytes > this.#freeBytes)
      await new Promise<void>((begin) => this.#waiting.push({ bytes, begin }))
    else this.#freeBytes -= bytes
    try {
      return await work()
    } finally {
      this.#freeBytes += bytes
      this.#beginNext()
    }
  }

  #beginNext(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (first.bytes > this.#freeBytes) return
      this.#waiting.shift()
      this.#freeBytes -= first.bytes
      first.begin()
    }
  }
}
