/** What names of a hashed store have, in memory, up to a number of bytes. What was asked for since it came stays longer. */
import type { BlobKey } from '../blobs/keyed-blobs.ts'
import type { HashedItem } from './hashed-record.ts'

/** A name that is alone with its key, in one blob. */
export interface KeptItem {
  item: HashedItem
  key: BlobKey
  keyText: string
  volumeId: number
  /** Since it was last considered for leaving. */
  isUsed: boolean
}

/** Of one entry, beside name and value: objects, and its place in the map. */
const ENTRY_BYTES = 400

export class HashedCache {
  readonly #bytesMax: number
  readonly #kept = new Map<string, KeptItem>()
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get(name: string): KeptItem | undefined {
    const kept = this.#kept.get(name)
    if (kept !== undefined) kept.isUsed = true
    return kept
  }

  put(name: string, kept: KeptItem): void {
    const before = this.#kept.get(name)
    if (before !== undefined) this.#bytes -= sizeOf(before)
    this.#kept.set(name, kept)
    this.#bytes += sizeOf(kept)
    if (this.#bytes > this.#bytesMax) this.#makeRoom()
  }

  delete(name: string): void {
    const kept = this.#kept.get(name)
    if (kept === undefined) return
    this.#bytes -= sizeOf(kept)
    this.#kept.delete(name)
  }

  /** The oldest go, but those that were used get another round. */
  #makeRoom(): void {
    for (const [name, kept] of this.#kept) {
      this.#kept.delete(name)
      if (kept.isUsed) {
        kept.isUsed = false
        this.#kept.set(name, kept)
      } else this.#bytes -= sizeOf(kept)
      if (this.#bytes <= this.#bytesMax) return
    }
  }
}

function sizeOf({ item }: KeptItem): number {
  return ENTRY_BYTES + item.name.length + item.value.length
}
