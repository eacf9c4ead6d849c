/**
 * Which keys of buckets have changed, as numbers in memory that the threads of a process share: so a thread may remember what it
 * read of a key until that key changes. A number counts for every key that has its slot, and for a bucket's own row. That there is
 * nothing at a key is not to be remembered: of what comes there nobody is told.
 *
 * The one thread that writes makes a number odd before a change can be seen by anybody, and even again when it can be seen by
 * all, which is before whoever asked for the change is told of it. Who finds a number odd asks the metadata.
 */
import { fnv1a } from '../base/fnv1a.ts'
import { KEY_CHANGE_SLOTS } from '../base/limits.ts'

export const KEY_CHANGES_BYTES = KEY_CHANGE_SLOTS * Int32Array.BYTES_PER_ELEMENT

const NO_KEY = new Uint8Array(0)

/** What the numbers were when something was read of a key. */
export interface SeenKey {
  readonly slot: number
  readonly at: number
  readonly bucketSlot: number
  readonly bucketAt: number
}

export class KeyChanges {
  readonly #numbers: Int32Array
  /** Slots of changes that are not committed. */
  readonly #changing: number[] = []

  /** `shared`: KEY_CHANGES_BYTES, zero at the start, the same for all threads. */
  constructor(shared: SharedArrayBuffer) {
    this.#numbers = new Int32Array(shared)
  }

  /** To be asked before the key is read; undefined: it is being changed, and what is read must not be remembered. */
  see(bucketId: number, key: Uint8Array): SeenKey | undefined {
    const slot = slotOf(bucketId, key)
    const bucketSlot = slotOf(bucketId, NO_KEY)
    const at = Atomics.load(this.#numbers, slot)
    const bucketAt = Atomics.load(this.#numbers, bucketSlot)
    return ((at | bucketAt) & 1) === 0 ? { slot, at, bucketSlot, bucketAt } : undefined
  }

  /** Whether what was read after `see` is what a look at the metadata would give. */
  isCurrent(seen: SeenKey): boolean {
    return (
      Atomics.load(this.#numbers, seen.slot) === seen.at &&
      Atomics.load(this.#numbers, seen.bucketSlot) === seen.bucketAt
    )
  }

  /** For the writer: a key is changed in the transaction that is open; without a key, the bucket's own row. */
  begin(bucketId: number, key: Uint8Array = NO_KEY): void {
    const slot = slotOf(bucketId, key)
    // A number that is odd already is of this transaction: nobody else writes.
    if ((Atomics.load(this.#numbers, slot) & 1) === 1) return
    Atomics.add(this.#numbers, slot, 1)
    this.#changing.push(slot)
  }

  /** For the writer: the transaction has ended, either way. */
  end(): void {
    for (const slot of this.#changing) Atomics.add(this.#numbers, slot, 1)
    this.#changing.length = 0
  }
}

/** FNV-1a over the bucket's number and the key, mixed so that the low bits depend on all of it. */
function slotOf(bucketId: number, key: Uint8Array): number {
  let hash = fnv1a(key, Math.imul(bucketId | 0, 0x01000193) ^ Math.floor(bucketId / 2 ** 32))
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  return (hash ^ (hash >>> 13)) & (KEY_CHANGE_SLOTS - 1)
}
