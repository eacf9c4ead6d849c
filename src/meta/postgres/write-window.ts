/**
 * How many transactions of one store write at once: fewer where they collide, more where they do not. Transactions that write keys
 * beside each other fail each other, and what runs for nothing only slows the rest down.
 */
export class WriteWindow {
  readonly #sizeMax: number
  /** A fraction counts up to the next whole one. */
  #size: number
  #running = 0
  /** First those that have collided before. */
  readonly #waiting: (() => void)[] = []
  readonly #isCollision: (thrown: unknown) => boolean

  constructor(sizeMax: number, isCollision: (thrown: unknown) => boolean) {
    this.#sizeMax = sizeMax
    this.#size = sizeMax
    this.#isCollision = isCollision
  }

  get waitingCount(): number {
    return this.#waiting.length
  }

  /** Runs `work` when its turn has come. */
  async run<R>(work: () => Promise<R>, options: { isRepeated: boolean }): Promise<R> {
    if (this.#running < Math.floor(this.#size)) this.#running++
    else await this.#turn(options.isRepeated)
    try {
      const result = await work()
      this.#size = Math.min(this.#sizeMax, this.#size + 1 / this.#size)
      return result
    } catch (thrown) {
      if (this.#isCollision(thrown)) this.#size = Math.max(1, this.#size / 2)
      throw thrown
    } finally {
      this.#running--
      this.#admit()
    }
  }

  #turn(isRepeated: boolean): Promise<void> {
    return new Promise((resolve) => {
      if (isRepeated) this.#waiting.unshift(resolve)
      else this.#waiting.push(resolve)
    })
  }

  #admit(): void {
    while (this.#waiting.length > 0 && this.#running < Math.floor(this.#size)) {
      this.#running++
      this.#waiting.shift()!()
    }
  }
}
