/** Entries for a `.idx` that is to be written. */
import { encodeIdxEntry, IDX_ENTRY_BYTES, type IdxEntry } from './idx-entry.ts'

/** Index entries in their file form, millions if need be. */
export class EntryBuffer {
  readonly #full: Buffer[] = []
  #current = Buffer.allocUnsafe(64 * 1024)
  #used = 0
  count = 0

  add(entry: IdxEntry): void {
    if (this.#used === this.#current.length) {
      this.#full.push(this.#current)
      this.#current = Buffer.allocUnsafe(1024 * 1024)
      this.#used = 0
    }
    encodeIdxEntry(entry, this.#current, this.#used)
    this.#used += IDX_ENTRY_BYTES
    this.count++
  }

  bytes(): Buffer {
    return Buffer.concat([...this.#full, this.#current.subarray(0, this.#used)])
  }
}
