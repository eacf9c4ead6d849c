/**
 * Leaf pages of the needle index: sorted entries, stored as columns, with keys as distances from the page's base key.
 *
 * ```
 * word 0      kind (8 bits) | format (8) | count (16)
 * word 1, 2   base key: high, low. At or below every key of the page.
 * word 3      distance of the last key, or of one that was; its upper 32 bits where distances have 6 or 8 bytes
 * then, each with room for as many entries as the format lets the page hold:
 *   u32       offset, in units of 8 bytes
 *   u32       low half of the distance            (distances of 4, 6, 8 bytes)
 *   u32       high half of the distance           (8)
 *   u32       length << 1 | deleted               (wide lengths)
 *   u16       the distance (2), its high part (6)
 *   u16       length << 1 | deleted               (narrow lengths: records below 256 KiB)
 * ```
 *
 * The format is chosen page by page: 2, 4, 6 or 8 bytes for distances, 2 or 4 for lengths, so that 8 to 16 bytes hold an
 * entry. Keys as a master assigns them take 8, random ones 12 to 14. A page is written anew when an entry does not fit
 * into its format.
 *
 * A reader may look at a page while it changes, or after it became another page. So it takes the first word once, and with
 * a plausible one every place derived from it lies inside the page. What it reads may be nonsense; the seqlock finds out.
 */
import { assert } from '../base/assert.ts'
import { type IndexArena, PAGE_LEAF, PAGE_WORDS } from './index-arena.ts'

const HEADER_WORDS = 4
/** Where a search looks first is rarely further off than this. */
const WINDOW = 8
/** Entries of a page by format: distances of 2, 4, 6, 8 bytes, then the same with wide lengths. */
const CAPACITIES: readonly number[] = [254, 203, 169, 145, 203, 169, 145, 127]
/** Of a page of any format. */
export const LEAF_ENTRIES_MAX = 254
const WIDE = 4
const NARROW_LENGTH_MAX = 0xffff

/** What `search` answers for a page that is no leaf. Below every other answer. */
export const NO_LEAF = -1000

/** Reads and writes the leaf pages of an arena, for one thread. */
export class LeafPages {
  private readonly words: Uint32Array
  private readonly halves: Uint16Array
  /** The scratch list: entries of a page on their way to another format or to two pages. */
  private readonly keyHighs: Uint32Array
  private readonly keyLows: Uint32Array
  private readonly offsets: Uint32Array
  private readonly lengths: Uint32Array

  constructor(arena: IndexArena) {
    this.words = arena.words
    this.halves = arena.halves
    this.keyHighs = arena.scratch.keyHighs
    this.keyLows = arena.scratch.keyLows
    this.offsets = arena.scratch.offsets
    this.lengths = arena.scratch.lengths
  }

  /** The first word of a page, which `search`, `offsetAt` and `lengthAt` take, so that all three see the same one. */
  header(page: number): number {
    return this.words[page * PAGE_WORDS] as number
  }

  count(page: number): number {
    return this.header(page) & 0xffff
  }

  /** The position of a key; or, when it is missing, `~position` of the first larger one; or NO_LEAF. */
  search(page: number, header: number, keyHigh: number, keyLow: number): number {
    const format = (header >>> 16) & 0xff
    const count = header & 0xffff
    if (header >>> 24 !== PAGE_LEAF || format > 7 || count > (CAPACITIES[format] as number)) return NO_LEAF
    const at = page * PAGE_WORDS
    const baseHigh = this.words[at + 1] as number
    const baseLow = this.words[at + 2] as number
    if (keyHigh < baseHigh || (keyHigh === baseHigh && keyLow < baseLow)) return ~0
    const low = (keyLow - baseLow) >>> 0
    const high = (keyHigh - baseHigh - (keyLow < baseLow ? 1 : 0)) >>> 0
    const width = format & 3
    const coarse = coarseOf(width, high, low)
    const span = this.words[at + 3] as number
    if (coarse > span || (width < 2 && high !== 0)) return ~count
    // Keys mostly lie evenly in their page: looking at the likely place first saves cache misses.
    const likely = span === 0 ? 0 : Math.floor((coarse / span) * (count - 1))
    if (width === 0) return this.search16(this.halfColumn(at, format), count, low, likely)
    const lows = this.lowColumn(at, format)
    if (width === 1) return this.search32(lows, count, low, likely)
    if (width === 2) return this.search48(this.halfColumn(at, format), lows, count, likely, high, low)
    return this.search64(lows, CAPACITIES[format] as number, count, likely, high, low)
  }

  /** Offset of an entry, in units of 8 bytes. */
  offsetAt(page: number, position: number): number {
    return this.words[page * PAGE_WORDS + HEADER_WORDS + position] as number
  }

  /** `length << 1 | deleted` of an entry. */
  lengthAt(page: number, header: number, position: number): number {
    const format = (header >>> 16) & 7
    const at = page * PAGE_WORDS
    return format >= WIDE
      ? (this.words[this.wideLengthColumn(at, format) + position] as number)
      : (this.halves[this.narrowLengthColumn(at, format) + position] as number)
  }

  /** True when the key is not below the page's base, so that only its distance decides where it belongs. */
  isAtOrAboveBase(page: number, keyHigh: number, keyLow: number): boolean {
    const baseHigh = this.words[page * PAGE_WORDS + 1] as number
    return (
      keyHigh > baseHigh || (keyHigh === baseHigh && keyLow >= (this.words[page * PAGE_WORDS + 2] as number))
    )
  }

  /** True when a page with this first word has room for such a length. */
  canReplace(header: number, length: number): boolean {
    return length <= NARROW_LENGTH_MAX || ((header >>> 16) & 7) >= WIDE
  }

  replace(page: number, position: number, offset: number, length: number): void {
    const at = page * PAGE_WORDS
    const format = ((this.words[at] as number) >>> 16) & 7
    this.words[at + HEADER_WORDS + position] = offset
    this.writeLength(at, format, position, length)
  }

  /** True when the page's format has room for one more entry with this key and length. */
  canInsert(page: number, keyHigh: number, keyLow: number, length: number): boolean {
    const header = this.header(page)
    const format = (header >>> 16) & 7
    if ((header & 0xffff) >= (CAPACITIES[format] as number) || !this.canReplace(header, length)) return false
    if (!this.isAtOrAboveBase(page, keyHigh, keyLow)) return false
    const baseHigh = this.words[page * PAGE_WORDS + 1] as number
    const baseLow = this.words[page * PAGE_WORDS + 2] as number
    const low = (keyLow - baseLow) >>> 0
    const high = (keyHigh - baseHigh - (keyLow < baseLow ? 1 : 0)) >>> 0
    return widthCode(high, low) <= (format & 3)
  }

  /** Inserts before `position`. Only after `canInsert` said yes. */
  insert(page: number, position: number, entry: LeafEntry): void {
    const at = page * PAGE_WORDS
    const header = this.words[at] as number
    const format = (header >>> 16) & 7
    const count = header & 0xffff
    if (position < count) this.shift(at, format, position, count, 1)
    const baseLow = this.words[at + 2] as number
    const high = entry.keyHigh - (this.words[at + 1] as number) - (entry.keyLow < baseLow ? 1 : 0)
    this.words[at + HEADER_WORDS + position] = entry.offset
    this.writeDistance(at, format, position, high >>> 0, (entry.keyLow - baseLow) >>> 0)
    this.writeLength(at, format, position, entry.length)
    if (position === count)
      this.words[at + 3] = coarseOf(format & 3, high >>> 0, (entry.keyLow - baseLow) >>> 0)
    this.words[at] = header + 1
  }

  /** Takes one entry out. The page may become empty. */
  remove(page: number, position: number): void {
    const at = page * PAGE_WORDS
    const header = this.words[at] as number
    this.shift(at, (header >>> 16) & 7, position + 1, header & 0xffff, -1)
    this.words[at] = header - 1
  }

  /** The scratch list becomes this one entry. */
  startScratch(entry: LeafEntry): number {
    this.setScratch(0, entry)
    return 1
  }

  /** Unpacks a page into the scratch list, with an entry more before `position`. Returns how many there are. */
  unpackAndInsert(page: number, position: number, entry: LeafEntry): number {
    const count = this.count(page)
    this.unpack(page, 0, position, 0)
    this.setScratch(position, entry)
    this.unpack(page, position, count, 1)
    return count + 1
  }

  /** Unpacks a page into the scratch list, with the entry at `position` replaced. Returns how many there are. */
  unpackAndReplace(page: number, position: number, entry: LeafEntry): number {
    const count = this.count(page)
    this.unpack(page, 0, count, 0)
    this.setScratch(position, entry)
    return count
  }

  /** True when entries `from` to `to` of the scratch list fit into one page. */
  fits(from: number, to: number): boolean {
    return to - from <= (CAPACITIES[this.formatOf(from, to)] as number)
  }

  /** Writes entries `from` to `to` of the scratch list to a page, in the smallest format. */
  pack(page: number, from: number, to: number): void {
    const format = this.formatOf(from, to)
    assert(from < to && to - from <= (CAPACITIES[format] as number), 'a packed page fits')
    const at = page * PAGE_WORDS
    const baseHigh = this.keyHighs[from] as number
    const baseLow = this.keyLows[from] as number
    this.words[at] = PAGE_LEAF * 2 ** 24 + format * 2 ** 16 + (to - from)
    this.words[at + 1] = baseHigh
    this.words[at + 2] = baseLow
    this.words[at + 3] = coarseOf(format & 3, this.spanHigh(from, to), this.spanLow(from, to))
    for (let i = from; i < to; i++) {
      const low = this.keyLows[i] as number
      const high = (this.keyHighs[i] as number) - baseHigh - (low < baseLow ? 1 : 0)
      this.words[at + HEADER_WORDS + i - from] = this.offsets[i] as number
      this.writeDistance(at, format, i - from, high >>> 0, (low - baseLow) >>> 0)
      this.writeLength(at, format, i - from, this.lengths[i] as number)
    }
  }

  scratchKeyHigh(index: number): number {
    return this.keyHighs[index] as number
  }

  scratchKeyLow(index: number): number {
    return this.keyLows[index] as number
  }

  keyHighAt(page: number, position: number): number {
    const at = page * PAGE_WORDS
    const baseLow = this.words[at + 2] as number
    const format = ((this.words[at] as number) >>> 16) & 7
    const carry = baseLow + this.distanceLow(at, format, position) > 0xffffffff ? 1 : 0
    return ((this.words[at + 1] as number) + this.distanceHigh(at, format, position) + carry) >>> 0
  }

  keyLowAt(page: number, position: number): number {
    const at = page * PAGE_WORDS
    const format = ((this.words[at] as number) >>> 16) & 7
    return ((this.words[at + 2] as number) + this.distanceLow(at, format, position)) >>> 0
  }

  private search16(column: number, count: number, low: number, likely: number): number {
    const halves = this.halves
    let from = 0
    let to = count
    const seen = halves[column + likely] as number
    if (seen === low) return likely
    if (seen < low) {
      from = likely + 1
      const far = likely + WINDOW
      if (far < count && (halves[column + far] as number) >= low) to = far
    } else {
      to = likely
      const far = likely - WINDOW
      if (far >= 0 && (halves[column + far] as number) < low) from = far + 1
    }
    while (from < to) {
      const middle = (from + to) >>> 1
      if ((halves[column + middle] as number) < low) from = middle + 1
      else to = middle
    }
    return from < count && halves[column + from] === low ? from : ~from
  }

  private search32(column: number, count: number, low: number, likely: number): number {
    const words = this.words
    let from = 0
    let to = count
    const seen = words[column + likely] as number
    if (seen === low) return likely
    if (seen < low) {
      from = likely + 1
      const far = likely + WINDOW
      if (far < count && (words[column + far] as number) >= low) to = far
    } else {
      to = likely
      const far = likely - WINDOW
      if (far >= 0 && (words[column + far] as number) < low) from = far + 1
    }
    while (from < to) {
      const middle = (from + to) >>> 1
      if ((words[column + middle] as number) < low) from = middle + 1
      else to = middle
    }
    return from < count && words[column + from] === low ? from : ~from
  }

  private search48(
    highs: number,
    lows: number,
    count: number,
    likely: number,
    high: number,
    low: number,
  ): number {
    const { words, halves } = this
    let from = 0
    let to = count
    let middle = likely
    for (let step = 0; from < to; step++) {
      const middleHigh = halves[highs + middle] as number
      if (middleHigh < high || (middleHigh === high && (words[lows + middle] as number) < low))
        from = middle + 1
      else to = middle
      // The first step was at the likely place, the second is a little beyond it, then halves.
      if (step > 0) middle = (from + to) >>> 1
      else middle = from > likely ? Math.min(likely + WINDOW, to - 1) : Math.max(likely - WINDOW, from)
    }
    return from < count && words[lows + from] === low && halves[highs + from] === high ? from : ~from
  }

  private search64(
    lows: number,
    capacity: number,
    count: number,
    likely: number,
    high: number,
    low: number,
  ): number {
    const words = this.words
    const highs = lows + capacity
    let from = 0
    let to = count
    let middle = likely
    for (let step = 0; from < to; step++) {
      const middleHigh = words[highs + middle] as number
      if (middleHigh < high || (middleHigh === high && (words[lows + middle] as number) < low))
        from = middle + 1
      else to = middle
      // The first step was at the likely place, the second is a little beyond it, then halves.
      if (step > 0) middle = (from + to) >>> 1
      else middle = from > likely ? Math.min(likely + WINDOW, to - 1) : Math.max(likely - WINDOW, from)
    }
    return from < count && words[lows + from] === low && words[highs + from] === high ? from : ~from
  }

  private lowColumn(at: number, format: number): number {
    return at + HEADER_WORDS + (CAPACITIES[format] as number)
  }

  /** Distances of 2 bytes, or the high part of those of 6. Counted in half words, as all columns of half words. */
  private halfColumn(at: number, format: number): number {
    const columns = 1 + ((format & 3) === 2 ? 1 : 0) + (format >= WIDE ? 1 : 0)
    return 2 * (at + HEADER_WORDS + columns * (CAPACITIES[format] as number))
  }

  private wideLengthColumn(at: number, format: number): number {
    const width = format & 3
    return at + HEADER_WORDS + (width === 0 ? 1 : width === 3 ? 3 : 2) * (CAPACITIES[format] as number)
  }

  private narrowLengthColumn(at: number, format: number): number {
    return 2 * (at + HEADER_WORDS) + (3 + format) * (CAPACITIES[format] as number)
  }

  private distanceLow(at: number, format: number, position: number): number {
    return (format & 3) === 0
      ? (this.halves[this.halfColumn(at, format) + position] as number)
      : (this.words[this.lowColumn(at, format) + position] as number)
  }

  private distanceHigh(at: number, format: number, position: number): number {
    const width = format & 3
    if (width === 2) return this.halves[this.halfColumn(at, format) + position] as number
    if (width !== 3) return 0
    return this.words[this.lowColumn(at, format) + (CAPACITIES[format] as number) + position] as number
  }

  private writeDistance(at: number, format: number, position: number, high: number, low: number): void {
    const width = format & 3
    if (width === 0) {
      this.halves[this.halfColumn(at, format) + position] = low
      return
    }
    const column = this.lowColumn(at, format)
    this.words[column + position] = low
    if (width === 2) this.halves[this.halfColumn(at, format) + position] = high
    else if (width === 3) this.words[column + (CAPACITIES[format] as number) + position] = high
  }

  private writeLength(at: number, format: number, position: number, length: number): void {
    if (format >= WIDE) this.words[this.wideLengthColumn(at, format) + position] = length
    else this.halves[this.narrowLengthColumn(at, format) + position] = length
  }

  /** Moves the entries `from` to `to` by one place, in all columns. */
  private shift(at: number, format: number, from: number, to: number, by: 1 | -1): void {
    const capacity = CAPACITIES[format] as number
    const width = format & 3
    const wordColumns = (width === 0 ? 1 : width === 3 ? 3 : 2) + (format >= WIDE ? 1 : 0)
    const start = at + HEADER_WORDS
    for (let i = 0; i < wordColumns; i++) move(this.words, start + i * capacity, from, to, by)
    const halfColumns = (width === 0 || width === 2 ? 1 : 0) + (format >= WIDE ? 0 : 1)
    const halfStart = 2 * (start + wordColumns * capacity)
    for (let i = 0; i < halfColumns; i++) move(this.halves, halfStart + i * capacity, from, to, by)
  }

  private setScratch(index: number, entry: LeafEntry): void {
    this.keyHighs[index] = entry.keyHigh
    this.keyLows[index] = entry.keyLow
    this.offsets[index] = entry.offset
    this.lengths[index] = entry.length
  }

  /** Copies the entries `from` to `to` of a page to the scratch list, `by` places further on. */
  private unpack(page: number, from: number, to: number, by: number): void {
    const header = this.header(page)
    for (let i = from; i < to; i++) {
      this.keyHighs[i + by] = this.keyHighAt(page, i)
      this.keyLows[i + by] = this.keyLowAt(page, i)
      this.offsets[i + by] = this.offsetAt(page, i)
      this.lengths[i + by] = this.lengthAt(page, header, i)
    }
  }

  private formatOf(from: number, to: number): number {
    let wide = 0
    for (let i = from; i < to; i++) if ((this.lengths[i] as number) > NARROW_LENGTH_MAX) wide = WIDE
    return widthCode(this.spanHigh(from, to), this.spanLow(from, to)) + wide
  }

  /** Distance between the first and last of some entries of the scratch list, high and low half. */
  private spanHigh(from: number, to: number): number {
    const carry = (this.keyLows[to - 1] as number) < (this.keyLows[from] as number) ? 1 : 0
    return ((this.keyHighs[to - 1] as number) - (this.keyHighs[from] as number) - carry) >>> 0
  }

  private spanLow(from: number, to: number): number {
    return ((this.keyLows[to - 1] as number) - (this.keyLows[from] as number)) >>> 0
  }
}

/** One entry on its way into a page. `length` is `length << 1 | deleted`. */
export interface LeafEntry {
  keyHigh: number
  keyLow: number
  offset: number
  length: number
}

/** 0, 1, 2, 3 for distances that take 2, 4, 6, 8 bytes. */
function widthCode(high: number, low: number): number {
  if (high === 0) return low > 0xffff ? 1 : 0
  return high > 0xffff ? 3 : 2
}

/** The 32 bits of a distance that matter most at a width. */
function coarseOf(width: number, high: number, low: number): number {
  if (width < 2) return low
  return width === 2 ? ((high << 16) | (low >>> 16)) >>> 0 : high
}

/** Plain loops: entries mostly go in near the end, where the call of `copyWithin` costs more than the copying. */
function move(column: Uint32Array | Uint16Array, start: number, from: number, to: number, by: 1 | -1): void {
  if (by > 0) for (let i = start + to; i > start + from; i--) column[i] = column[i - 1] as number
  else for (let i = start + from; i < start + to; i++) column[i - 1] = column[i] as number
}
