/**
 * Inner pages of the needle index: the pages one level below, and the smallest key that belongs to each.
 *
 * ```
 * word 0     kind (8 bits) | count (24)
 * then, each with room for 170: u32 page, u32 high half of its key, u32 low half
 * ```
 *
 * The key of the first slot is never looked at: whatever is below the second key belongs to the first page.
 * As with leaves, what a page says is checked before it is followed, because a reader may meet a page that changes.
 */
import { assert } from '../base/assert.ts'
import { type IndexArena, PAGE_INNER, PAGE_WORDS } from './index-arena.ts'

const CAPACITY = 170
const PAGES_AT = 1
const HIGHS_AT = PAGES_AT + CAPACITY
const LOWS_AT = HIGHS_AT + CAPACITY

/** What `slotFor` answers for a page that is no inner page. */
export const NO_INNER = -1

/** Reads and writes the inner pages of an arena, for one thread. */
export class InnerPages {
  private readonly words: Uint32Array

  constructor(arena: IndexArena) {
    this.words = arena.words
  }

  /** The slot of the page that a key belongs to, or NO_INNER. */
  slotFor(page: number, keyHigh: number, keyLow: number): number {
    const words = this.words
    const at = page * PAGE_WORDS
    const header = words[at] as number
    const count = header & 0xffffff
    if (header >>> 24 !== PAGE_INNER || count === 0 || count > CAPACITY) return NO_INNER
    let from = 1
    let to = count
    while (from < to) {
      const middle = (from + to) >>> 1
      const high = words[at + HIGHS_AT + middle] as number
      if (high < keyHigh || (high === keyHigh && (words[at + LOWS_AT + middle] as number) <= keyLow))
        from = middle + 1
      else to = middle
    }
    return from - 1
  }

  /** For readers: asserts nothing. */
  hasSlot(page: number, slot: number): boolean {
    return slot < Math.min(CAPACITY, (this.words[page * PAGE_WORDS] as number) & 0xffffff)
  }

  pageAt(page: number, slot: number): number {
    return this.words[page * PAGE_WORDS + PAGES_AT + slot] as number
  }

  count(page: number): number {
    const header = this.words[page * PAGE_WORDS] as number
    assert(header >>> 24 === PAGE_INNER, 'an inner page is one')
    return header & 0xffffff
  }

  isFull(page: number): boolean {
    return this.count(page) === CAPACITY
  }

  /** Makes a page an inner one with a single slot, the page `first`. */
  start(page: number, first: number): void {
    this.words[page * PAGE_WORDS] = PAGE_INNER * 2 ** 24
    this.insert(page, 0, { page: first, keyHigh: 0, keyLow: 0 })
  }

  insert(page: number, slot: number, child: InnerSlot): void {
    const at = page * PAGE_WORDS
    const count = this.count(page)
    assert(count < CAPACITY && slot <= count, 'the inner page has room')
    for (let start = at + PAGES_AT; start <= at + LOWS_AT; start += CAPACITY) {
      this.words.copyWithin(start + slot + 1, start + slot, start + count)
    }
    this.words[at + PAGES_AT + slot] = child.page
    this.words[at + HIGHS_AT + slot] = child.keyHigh
    this.words[at + LOWS_AT + slot] = child.keyLow
    this.setCount(page, count + 1)
  }

  remove(page: number, slot: number): void {
    const at = page * PAGE_WORDS
    const count = this.count(page)
    for (let start = at + PAGES_AT; start <= at + LOWS_AT; start += CAPACITY) {
      this.words.copyWithin(start + slot, start + slot + 1, start + count)
    }
    this.setCount(page, count - 1)
  }

  /** Moves the slots from `slot` on, which is not the first, to the fresh page `right`. */
  split(page: number, slot: number, right: number): void {
    const count = this.count(page)
    assert(slot > 0 && slot < count, 'both inner pages get something')
    for (let column = PAGES_AT; column <= LOWS_AT; column += CAPACITY) {
      const from = page * PAGE_WORDS + column
      this.words.copyWithin(right * PAGE_WORDS + column, from + slot, from + count)
    }
    this.setCount(right, count - slot)
    this.setCount(page, slot)
  }

  keyHighAt(page: number, slot: number): number {
    return this.words[page * PAGE_WORDS + HIGHS_AT + slot] as number
  }

  keyLowAt(page: number, slot: number): number {
    return this.words[page * PAGE_WORDS + LOWS_AT + slot] as number
  }

  private setCount(page: number, count: number): void {
    this.words[page * PAGE_WORDS] = PAGE_INNER * 2 ** 24 + count
  }
}

/** A page and the smallest key that belongs to it. */
export interface InnerSlot {
  page: number
  keyHigh: number
  keyLow: number
}
