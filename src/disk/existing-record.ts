/** What a key has when it is written or removed: whether who asks may, and whether it is there already. All under the volume's lock. */
import { StoreError } from '../base/errors.ts'
import { SMALL_RECORD_BYTES_MAX } from '../base/limits.ts'
import { readIfReadable } from './dead-sectors.ts'
import type { EncodedNeedle, NewNeedle, RecordHeader } from './needle.ts'
import * as codec from './needle.ts'
import type { NeedleIndex } from './needle-index.ts'
import { sameData, sameFields } from './same-needle.ts'
import type { ThreadContext } from './thread-context.ts'
import { type VolumeSlot, WORD } from './volume-table.ts'

export class ExistingRecord {
  readonly #context: ThreadContext
  readonly #slot: VolumeSlot
  readonly #index: NeedleIndex

  constructor(context: ThreadContext, slot: VolumeSlot, index: NeedleIndex) {
    this.#context = context
    this.#slot = slot
    this.#index = index
  }

  /**
   * The header of the key's record, its cookie checked; undefined when there is none. A record that cannot be read is as any other
   * damaged one: who asks may replace it. Throws `cookie_mismatch`.
   */
  header(key: { keyHigh: number; keyLow: number; cookie: number }): RecordHeader | undefined {
    const index = this.#index
    if (!index.get(key.keyHigh, key.keyLow) || index.offsetUnits === 0) return undefined
    const header = this.#read(codec.HEADER_BYTES)
    if (header === undefined)
      return { keyHigh: key.keyHigh, keyLow: key.keyLow, cookie: key.cookie, sizeBytes: 0 }
    const existing = codec.decodeHeader(header)
    if (existing.cookie !== key.cookie && !this.#isDamaged()) {
      const cookie = key.cookie.toString(16).padStart(8, '0')
      throw new StoreError('cookie_mismatch', `mismatching cookie ${cookie}`)
    }
    return existing
  }

  /** True when the record that `header` has just found holds the same file. */
  isUnchanged(needle: NewNeedle, encoded: EncodedNeedle): boolean {
    const index = this.#index
    const lengthBytes = index.lengthUnits * 8
    if (index.deleted || needle.ttl !== 0 || lengthBytes > SMALL_RECORD_BYTES_MAX) return false
    const record = this.#read(lengthBytes)
    if (record === undefined) return false
    try {
      const { needle: stored } = codec.decodeWhole(record, this.#seed)
      return (
        stored.checksum === encoded.checksum && sameFields(stored, needle) && sameData(stored, needle.data)
      )
    } catch {
      return false // A damaged record is worth replacing.
    }
  }

  /** Whether the record is beyond trust, its cookie included. */
  #isDamaged(): boolean {
    const lengthBytes = this.#index.lengthUnits * 8
    if (this.#index.deleted || lengthBytes > SMALL_RECORD_BYTES_MAX) return false
    const record = this.#read(lengthBytes)
    if (record === undefined) return true
    try {
      const { hasTrailer } = codec.decodeWhole(record, this.#seed)
      return !hasTrailer && this.#index.offsetUnits >= this.#slot.get(WORD.foreignUnits)
    } catch {
      return true
    }
  }

  get #seed(): number {
    return codec.recordSeed(this.#slot.get(WORD.fileSalt), this.#index.offsetUnits)
  }

  /** The first bytes of the record that the index now points to; undefined where they cannot be had. */
  #read(lengthBytes: number): Buffer | undefined {
    const { disk, scratchExisting } = this.#context
    const bytes = scratchExisting.subarray(0, lengthBytes)
    const file = { handle: this.#slot.get(WORD.datHandle), position: this.#index.offsetUnits * 8 }
    return readIfReadable(disk, file, bytes) === lengthBytes ? bytes : undefined
  }
}
