/**
 * What the operations on one volume so far allow a reader to see. Each operation has a begin and, when it was acknowledged,
 * an end. A state is allowed for a key when no acknowledged operation began after its own ended.
 */
import type { NewNeedle } from '../../src/disk/needle.ts'

export type KeyState = NewNeedle | undefined

interface Operation {
  key: number
  /** Undefined is a deletion. */
  state: KeyState
  begin: number
  /** When it returned, well or not; Infinity before. */
  end: number
  acknowledged: boolean
}

export class History {
  readonly #operations: Operation[] = []
  #time = 0

  begin(key: number, state: KeyState): Operation {
    const operation = { key, state, begin: ++this.#time, end: Number.POSITIVE_INFINITY, acknowledged: false }
    this.#operations.push(operation)
    return operation
  }

  /** The operation is durable: from now on it may not be lost. */
  acknowledge(operation: Operation): void {
    operation.end = ++this.#time
    operation.acknowledged = true
  }

  /** It ended in an error: it may be there or not, but nothing of it comes up after a later one was acknowledged. */
  fail(operation: Operation): void {
    operation.end = ++this.#time
  }

  get keys(): number[] {
    return [...new Set(this.#operations.map((operation) => operation.key))]
  }

  /** As it is now; later operations do not change it. */
  snapshot(): History {
    const copy = new History()
    copy.#time = this.#time
    for (const operation of this.#operations) copy.#operations.push({ ...operation })
    return copy
  }

  /** Every state in which the key may be found now. Undefined is "not there". */
  allowed(key: number): KeyState[] {
    const mine = this.#operations.filter((operation) => operation.key === key)
    const acknowledged = mine.filter((operation) => operation.acknowledged)
    const states: KeyState[] = acknowledged.length === 0 ? [undefined] : []
    for (const operation of mine) {
      if (!acknowledged.some((later) => later.begin > operation.end)) states.push(operation.state)
    }
    return states
  }

  /** The key's last operation counts as not acknowledged after all. */
  doubtLast(key: number): void {
    const last = this.#operations.findLast((operation) => operation.key === key)
    if (last !== undefined) last.acknowledged = false
  }

  /** Nothing is expected of the key any more. */
  forget(key: number): void {
    for (let i = this.#operations.length - 1; i >= 0; i--) {
      if (this.#operations[i]!.key === key) this.#operations.splice(i, 1)
    }
  }

  /** What was found is what is there: after a restart no other state may come up. */
  settle(key: number, state: KeyState): void {
    this.forget(key)
    this.acknowledge(this.begin(key, state))
  }
}
