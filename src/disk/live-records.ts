/** The records of an index that live, in the order in which they lie: far fewer than `.idx` has entries where files are overwritten. */
import type { IdxEntry } from './idx-entry.ts'
import { type IndexEntries, indexEntries, type NeedleIndex } from './needle-index.ts'

/** 16 bytes of memory each. A place and a number below this are exact together in a number of 64 bits. */
export const LIVE_RECORDS_MAX = 2 ** 21
const FIRST_RECORDS = 1024
const PAGES_PER_STEP = 128

export class LiveRecords {
  #keyHighs = new Uint32Array(FIRST_RECORDS)
  #keyLows = new Uint32Array(FIRST_RECORDS)
  /** Offset in units of 8 bytes, times LIVE_RECORDS_MAX, plus the number of the key. */
  #places = new Float64Array(FIRST_RECORDS)
  length = 0

  /**
   * Those that live from now on until it resolves are among them; others may be. Undefined: there are more than `max`, or than
   * LIVE_RECORDS_MAX. It waits for `pause` now and then.
   */
  static async of(
    index: NeedleIndex,
    max: number,
    pause: () => Promise<void>,
  ): Promise<LiveRecords | undefined> {
    const records = new LiveRecords()
    const page = indexEntries()
    let pages = 0
    for (let at: IndexEntries['next'] = { keyHigh: 0, keyLow: 0 }; at !== undefined; at = page.next) {
      index.readFrom(at.keyHigh, at.keyLow, page)
      if (records.length + page.count > Math.min(max, LIVE_RECORDS_MAX)) return undefined
      records.#add(page)
      if (++pages % PAGES_PER_STEP === 0) await pause()
    }
    records.#places = records.#places.subarray(0, records.length).sort()
    return records
  }

  #add({ count, keyHighs, keyLows, offsetUnits, deleted }: IndexEntries): void {
    if (this.length + count > this.#places.length) this.#grow()
    for (let i = 0; i < count; i++) {
      if (deleted[i] === 1) continue
      const number = this.length++
      this.#keyHighs[number] = keyHighs[i]!
      this.#keyLows[number] = keyLows[i]!
      this.#places[number] = offsetUnits[i]! * LIVE_RECORDS_MAX + number
    }
  }

  #grow(): void {
    const grown = <T extends Uint32Array | Float64Array>(old: T, larger: T): T => {
      larger.set(old)
      return larger
    }
    const length = this.#places.length * 2
    this.#keyHighs = grown(this.#keyHighs, new Uint32Array(length))
    this.#keyLows = grown(this.#keyLows, new Uint32Array(length))
    this.#places = grown(this.#places, new Float64Array(length))
  }

  /** Whether one of them lies there. */
  has(offsetUnits: number): boolean {
    let [from, to] = [0, this.length]
    while (from < to) {
      const middle = (from + to) >>> 1
      if (this.#places[middle]! < offsetUnits * LIVE_RECORDS_MAX) from = middle + 1
      else to = middle
    }
    return from < this.length && this.#places[from]! < (offsetUnits + 1) * LIVE_RECORDS_MAX
  }

  /** Of the records from one number up to another, without their sizes. */
  entries(from: number, to: number): IdxEntry[] {
    const count = Math.min(to, this.length) - from
    return Array.from({ length: count }, (_, at) => this.#entry(from + at))
  }

  #entry(at: number): IdxEntry {
    const place = this.#places[at]!
    const number = place % LIVE_RECORDS_MAX
    const offsetUnits = (place - number) / LIVE_RECORDS_MAX
    return { keyHigh: this.#keyHighs[number]!, keyLow: this.#keyLows[number]!, offsetUnits, sizeBytes: 0 }
  }
}
