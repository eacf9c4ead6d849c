/** Items that shall be written to one volume by one write, each the only one of its key. */
import type { BlobKey, NewBlob } from '../blobs/keyed-blobs.ts'
import { encodeHashedItem, type HashedItem, hashedItemBytes } from './hashed-record.ts'

/** Where an item goes. */
export interface Place {
  key: BlobKey
  keyText: string
  volumeId: number
}

export interface BatchEntry extends NewBlob, Place {
  /** The caller's number of it. */
  at: number
  item: HashedItem
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

  /** False: that of an item with that key is not in it. */
  mayHave({ keyLow }: BlobKey): boolean {
    return this.#keys.has(keyLow)
  }

  /** False when it does not go with those that are there. */
  add(at: number, item: HashedItem, { key, keyText, volumeId }: Place): boolean {
    const end = this.#usedBytes + hashedItemBytes(item)
    if (end > BATCH_BYTES || (volumeId !== this.volumeId && !this.isEmpty)) return false
    this.volumeId = volumeId
    const data = this.#bytes.subarray(this.#usedBytes, end)
    encodeHashedItem(item, data)
    this.#usedBytes = end
    this.#keys.add(key.keyLow)
    this.#entries.push({ at, item, key, keyText, volumeId, data })
    return true
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
