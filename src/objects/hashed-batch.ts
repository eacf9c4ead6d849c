/** Items that shall be written to one volume by one write, each the only one of its key. */
import type { BlobKey, NewBlob } from '../blobs/keyed-blobs.ts'
import { encodeHashedItem, type HashedItem, hashedItemBytes } from './hashed-record.ts'

/** Where an item goes. */
export interface Place {
  key: BlobKey
  volumeId: number
}

/** Called with the errors of the sets that failed, at their numbers, or with undefined when none did. Does not throw. */
export type SetsDone = (failures: unknown[] | undefined) => void

/** Values that are set together: they are done when each of them is durable, or has failed. */
export class SetRun {
  readonly #done: SetsDone
  /** Of which it is not known yet what becomes of them. */
  #open: number
  #failures: unknown[] | undefined

  constructor(count: number, done: SetsDone) {
    this.#open = count
    this.#done = done
  }

  end(): void {
    if (--this.#open === 0) this.#done(this.#failures)
  }

  fail(at: number, error: unknown): void {
    this.#failures ??= []
    this.#failures[at] = error
    this.end()
  }
}

/** A blob with one item. */
export interface BatchEntry extends NewBlob {
  run: SetRun
  /** Its number in the run. */
  at: number
}

/** More than one packet brings. */
const BATCH_BYTES = 160 * 1024

export class HashedBatch {
  volumeId = 0
  #entries: BatchEntry[] = []
  #usedBytes = 0
  readonly #bytes = Buffer.allocUnsafeSlow(BATCH_BYTES)
  readonly #keys = new Set<number>()

  get isEmpty(): boolean {
    return this.#entries.length === 0
  }

  /** False: no key with this lower half is in it. */
  mayHave(keyLow: number): boolean {
    return this.#entries.length > 0 && this.#keys.has(keyLow)
  }

  /** False: not beside what is in it. */
  fits(item: Pick<HashedItem, 'name' | 'value'>, { volumeId }: Place): boolean {
    const end = this.#usedBytes + hashedItemBytes(item)
    return end <= BATCH_BYTES && (volumeId === this.volumeId || this.isEmpty)
  }

  /** One that fits, which is copied. It is one of a run, with that number. */
  add(item: HashedItem, { key, volumeId }: Place, run: SetRun, at: number): void {
    this.volumeId = volumeId
    const end = this.#usedBytes + hashedItemBytes(item)
    const data = this.#bytes.subarray(this.#usedBytes, end)
    encodeHashedItem(item, data)
    this.#usedBytes = end
    this.#keys.add(key.keyLow)
    this.#entries.push({ key, data, run, at })
  }

  /** Gives the entries, whose data is there until the next `add`, and is empty again. */
  take(): BatchEntry[] {
    const entries = this.#entries
    this.#entries = []
    this.#usedBytes = 0
    this.#keys.clear()
    return entries
  }
}
