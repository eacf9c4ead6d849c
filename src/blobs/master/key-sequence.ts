/** File keys in rising order, from blocks that were made durable before their first key is used. */
import { assert } from '../../base/assert.ts'
import { KEY_LEASE_COUNT } from '../../base/limits.ts'
import type { MasterState } from '../master-state.ts'

export class KeySequence {
  readonly #state: Pick<MasterState, 'leaseKeys'>
  readonly #leaseCount: number
  #next = 1n
  #end = 1n
  #leasing: Promise<void> | undefined

  constructor(state: Pick<MasterState, 'leaseKeys'>, leaseCount = KEY_LEASE_COUNT) {
    this.#state = state
    this.#leaseCount = leaseCount
  }

  /** Keys from now on are above `key`: a volume that was opened, or a client, has used it. */
  raiseAbove(key: bigint): void {
    if (key >= this.#next) this.#next = key + 1n
  }

  /** The first of `count` keys in a row. A promise only when a new block must be leased; throws what that throws. */
  take(count: number): bigint | Promise<bigint> {
    assert(Number.isSafeInteger(count) && count > 0, 'keys are taken one or more at a time')
    const [first, next] = [this.#next, this.#next + BigInt(count)]
    if (next > this.#end) return this.#takeLater(count)
    this.#next = next
    return first
  }

  async #takeLater(count: number): Promise<bigint> {
    for (;;) {
      this.#leasing ??= this.#lease(count).finally(() => {
        this.#leasing = undefined
      })
      await this.#leasing
      const first = this.#next
      if (first + BigInt(count) <= this.#end) {
        this.#next = first + BigInt(count)
        return first
      }
    }
  }

  async #lease(count: number): Promise<void> {
    const above = this.#next
    const { first, end } = await this.#state.leaseKeys(Math.max(count, this.#leaseCount), above)
    assert(first >= above && end > first, 'a lease is above what is used')
    // What is left of the old block is skipped, unless the new one continues it.
    if (first !== this.#end && first > this.#next) this.#next = first
    this.#end = end
  }
}
