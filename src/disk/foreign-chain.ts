/**
 * Finding the way behind damage among records of SeaweedFS, which have no trailer: by the lengths that their headers say, as `weed fix`
 * does, but only as far as records follow that can be verified.
 */
import { EMPTY_RECORD_BYTES, recordLength } from './needle.ts'
import type { RecordScanner } from './record-scanner.ts'

/** So many damaged records one behind the other are passed. */
const HOPS_MAX = 64

export class ForeignChain {
  readonly #scanner: RecordScanner
  readonly #endUnits: number

  constructor(scanner: RecordScanner, endUnits: number) {
    this.#scanner = scanner
    this.#endUnits = endUnits
  }

  /**
   * Where a damaged record ends by its own header, if behind it, or behind some more damaged ones, a whole record stands.
   * `endCounts`: or the file ends.
   */
  behind(offsetUnits: number, endCounts: boolean): number | undefined {
    const first = this.#next(offsetUnits)
    let place = first
    for (let hops = 0; place !== undefined && hops < HOPS_MAX; hops++) {
      if (place === this.#endUnits) return endCounts ? first : undefined
      if (this.#scanner.check(place).ok) return first
      place = this.#next(place)
    }
    return undefined
  }

  /**
   * The next place below `toUnits` from which records follow each other to the end of the file. Less is not enough: a stored copy of
   * a volume has records that follow each other as well.
   */
  search(fromUnits: number, toUnits: number): number | undefined {
    for (let units = fromUnits; units < toUnits; units++) {
      if (this.#isRecord(units) && this.#leadsToEnd(units)) return units
    }
    return undefined
  }

  /** Whether something from that place on looks like a record. */
  hasRecord(fromUnits: number): boolean {
    for (let units = fromUnits; units < this.#endUnits; units++) if (this.#isRecord(units)) return true
    return false
  }

  #isRecord(offsetUnits: number): boolean {
    return this.#scanner.mayStandAt(offsetUnits) && this.#scanner.check(offsetUnits).ok
  }

  #leadsToEnd(offsetUnits: number): boolean {
    let place: number | undefined = offsetUnits
    while (place !== undefined && place < this.#endUnits) place = this.#next(place)
    return place !== undefined
  }

  /** Where a record ends by its own header; undefined when that cannot be. */
  #next(offsetUnits: number): number | undefined {
    const header = this.#scanner.headerAt(offsetUnits)
    if (header === undefined || (header.keyHigh === 0 && header.keyLow === 0 && header.sizeBytes === 0))
      return undefined
    const lengthBytes = header.sizeBytes === 0 ? EMPTY_RECORD_BYTES : recordLength(header.sizeBytes)
    const next = offsetUnits + lengthBytes / 8
    return next <= this.#endUnits ? next : undefined
  }
}
