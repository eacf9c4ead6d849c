/** The places of `.dat` that the entries of a `.idx` speak of: what a scan of `.dat` asks where a record does not explain itself. */
import { isUnreadable, readAround } from './dead-sectors.ts'
import type { Disk } from './disk.ts'
import { decodeIdxEntry, IDX_ENTRY_BYTES, type IdxEntry } from './idx-entry.ts'

const BLOCK_BYTES = 64 * 1024

export class IdxPlaces {
  readonly #disk: Disk
  readonly #handle: number
  /** Number in the file and place of each entry, one behind the other; sorted by place, then by number. */
  readonly #pairs: Uint32Array
  /** False when the disk could not read all of `.idx`. */
  readonly isWhole: boolean

  /** Of entries before `fromUnits` nothing is known. 8 bytes an entry; any number of entries. */
  constructor(disk: Disk, idx: { handle: number; entries: number }, fromUnits: number) {
    this.#disk = disk
    this.#handle = idx.handle
    const sorted = new BigUint64Array(idx.entries)
    const pairs = new Uint32Array(sorted.buffer)
    const block = Buffer.allocUnsafe(BLOCK_BYTES)
    let count = 0
    let isWhole = true
    const endBytes = idx.entries * IDX_ENTRY_BYTES
    for (let position = 0; position < endBytes; position += BLOCK_BYTES) {
      const wanted = Math.min(BLOCK_BYTES, endBytes - position)
      const place = { handle: idx.handle, position }
      // What cannot be read is zeros: entries without a place.
      const read = readAround(disk, place, block.subarray(0, wanted), () => {
        isWhole = false
      })
      for (let at = 0; at + IDX_ENTRY_BYTES <= read; at += IDX_ENTRY_BYTES) {
        const offsetUnits = block.readUInt32BE(at + 8)
        if (offsetUnits === 0 || offsetUnits < fromUnits) continue
        pairs[2 * count] = (position + at) / IDX_ENTRY_BYTES
        pairs[2 * count + 1] = offsetUnits
        count++
      }
    }
    // As numbers of 64 bits, lower half first, as all machines have them that Node.js runs on.
    sorted.subarray(0, count).sort()
    this.#pairs = pairs.subarray(0, 2 * count)
    this.isWhole = isWhole
  }

  has(offsetUnits: number): boolean {
    return this.#pairs[2 * this.#firstAt(offsetUnits) + 1] === offsetUnits
  }

  /** Whether there are entries of later places. */
  reachesBeyond(offsetUnits: number): boolean {
    return (this.#pairs.at(-1) ?? 0) > offsetUnits
  }

  /**
   * The entry of a place. Where several speak of it, as after a crash of SeaweedFS, it is that of the key that stands there, or else the
   * last one.
   */
  at(offsetUnits: number, key?: { keyHigh: number; keyLow: number }): IdxEntry | undefined {
    let found: IdxEntry | undefined
    let isOfKey = false
    for (let i = this.#firstAt(offsetUnits); this.#pairs[2 * i + 1] === offsetUnits; i++) {
      const entry = this.#read(this.#pairs[2 * i] as number)
      if (entry === undefined) continue
      const matches = entry.keyHigh === key?.keyHigh && entry.keyLow === key.keyLow
      if (matches || !isOfKey) found = entry
      isOfKey ||= matches
    }
    return found
  }

  #read(number: number): IdxEntry | undefined {
    const bytes = Buffer.alloc(IDX_ENTRY_BYTES)
    try {
      this.#disk.readSync(this.#handle, bytes, 0, bytes.length, number * IDX_ENTRY_BYTES)
      return decodeIdxEntry(bytes)
    } catch (error) {
      if (isUnreadable(error)) return undefined
      throw error
    }
  }

  /** Which pair is the first one of that place or a later one. */
  #firstAt(offsetUnits: number): number {
    let [low, high] = [0, this.#pairs.length / 2]
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if ((this.#pairs[2 * middle + 1] as number) < offsetUnits) low = middle + 1
      else high = middle
    }
    return low
  }
}
