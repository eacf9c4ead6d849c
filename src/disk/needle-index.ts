/**
 * Where a volume's needles are: key → offset, length, deleted. A B+ tree in the shared memory of an IndexArena.
 *
 * Any thread looks up without a lock. One thread at a time changes the tree: it holds the volume's lock. A sequence
 * number (a seqlock) brings both together: it is odd while the tree changes, and a reader whose look-up did not see the
 * same even number before and after repeats it. Meanwhile such a reader may have followed pages that changed, were freed,
 * or belong to another volume now; every step checks that it stays inside the arena, and the depth is bounded.
 *
 * ```
 * words of a volume:  seq | readers that starve | root | height | entries | pages | last leaf | leaf before it | slack
 * pages of a tree:    inner ── inner ── leaf      (their layouts: index-inner.ts, index-leaf.ts)
 * ```
 *
 * Keys that ascend fill their pages: when the last leaf is full, what follows goes to a fresh one. Keys from several
 * writers come slightly out of order: some that belong to the full page come after it was left. So, once keys were seen to
 * come out of order, a page is left with some room for them (`slack`): more whenever that was too little, and slowly less
 * again. Other pages are cut in the middle. Pages are never merged; an empty one is freed.
 */
import { assert } from '../base/assert.ts'
import { StoreError } from '../base/errors.ts'
import type { IndexArena } from './index-arena.ts'
import { InnerPages, type InnerSlot, NO_INNER } from './index-inner.ts'
import { LEAF_ENTRIES_MAX, type LeafEntry, LeafPages, NO_LEAF } from './index-leaf.ts'
import { SEQLOCK_WORDS, Seqlock } from './index-seqlock.ts'

/** Words of shared memory that hold the state of one index: a cache line. Zeros are an empty one. */
export const INDEX_STATE_WORDS = 16

/** The seqlock has the first words. The others describe the tree, and change only inside it. */
const ROOT = SEQLOCK_WORDS
const HEIGHT = 3
const ENTRIES = 4
const PAGES = 5
const LAST_LEAF = 6
const LEAF_BEFORE = 7
const SLACK = 8
const TREE_END = 9

/** Slack is counted in parts of an entry, so that it can shrink slowly: by 1/64 with each page that is filled. */
const SLACK_PARTS = 64
const SLACK_FIRST = 16 * SLACK_PARTS
const SLACK_MAX = 64 * SLACK_PARTS
/** Levels of the tree. Inner pages hold 170, halves of them 85: six levels are more than 2^32 entries need. */
const HEIGHT_MAX = 8
/** Units of a record's length fit into 30 bits, beside the deleted flag. */
const LENGTH_UNITS_MAX = 2 ** 30 - 1
/** Freed pages are handed to the arena in lists of this length. */
const FREE_LIST_LENGTH = 256

const EMPTY = 0
const TORN = -1

/** One thread's view of the index of one volume. */
export class NeedleIndex {
  /** What the last successful `get` found: the record's place in the volume, in units of 8 bytes. */
  offsetUnits = 0
  /** Its length, in units of 8 bytes. */
  lengthUnits = 0
  /** True when the record was deleted. */
  deleted = false

  private readonly arena: IndexArena
  private readonly words: Int32Array
  private readonly lock: Seqlock
  private readonly leaves: LeafPages
  private readonly inners: InnerPages
  private readonly entry: LeafEntry = { keyHigh: 0, keyLow: 0, offset: 0, length: 0 }
  /** The inner pages from the root down to a leaf, and the slot taken in each. */
  private readonly pathPages = new Int32Array(HEIGHT_MAX)
  private readonly pathSlots = new Int32Array(HEIGHT_MAX)
  private readonly freshPages = new Int32Array(HEIGHT_MAX + 2)
  /** `words` are INDEX_STATE_WORDS words of shared memory, the same for all threads. */
  constructor(arena: IndexArena, words: Int32Array) {
    assert(words.length === INDEX_STATE_WORDS, 'an index has all the words of its state')
    this.arena = arena
    this.words = words
    this.lock = new Seqlock(words)
    this.leaves = new LeafPages(arena)
    this.inners = new InnerPages(arena)
  }

  /** Looks a key up. When true, `offsetUnits`, `lengthUnits` and `deleted` say what was found. Needs no lock. */
  get(keyHigh: number, keyLow: number): boolean {
    const sequence = this.lock.sequence()
    if ((sequence & 1) === 0) {
      const found = this.lookUp(keyHigh >>> 0, keyLow >>> 0)
      if (this.lock.isStill(sequence)) return this.checked(found)
    }
    return this.getPatiently(keyHigh >>> 0, keyLow >>> 0)
  }

  /**
   * Inserts or replaces. Gives the length of a record that was replaced; 0 where there was none, or a deleted one. Throws `index_full`,
   * and changes nothing, when the arena has no page left.
   */
  put(keyHigh: number, keyLow: number, offsetUnits: number, lengthUnits: number, deleted: boolean): number {
    assert(lengthUnits >= 0 && lengthUnits <= LENGTH_UNITS_MAX, 'a length fits into the index')
    const entry = this.entry
    entry.keyHigh = keyHigh >>> 0
    entry.keyLow = keyLow >>> 0
    entry.offset = offsetUnits
    entry.length = lengthUnits * 2 + (deleted ? 1 : 0)
    const page = this.leafForChange(entry)
    if (page === EMPTY) {
      this.plant(entry)
      return 0
    }
    const header = this.leaves.header(page)
    const position = this.leaves.search(page, header, entry.keyHigh, entry.keyLow)
    assert(position !== NO_LEAF, 'the index leads to a leaf')
    if (position < 0) {
      this.insert(page, ~position, entry)
      return 0
    }
    const replaced = this.leaves.lengthAt(page, header, position)
    this.replace(page, position, entry)
    return (replaced & 1) === 1 ? 0 : replaced >>> 1
  }

  /** Forgets a key. False when it was not there. */
  delete(keyHigh: number, keyLow: number): boolean {
    const entry = this.entry
    entry.keyHigh = keyHigh >>> 0
    entry.keyLow = keyLow >>> 0
    const page = this.leafForChange(entry)
    if (page === EMPTY) return false
    const position = this.leaves.search(page, this.leaves.header(page), entry.keyHigh, entry.keyLow)
    assert(position !== NO_LEAF, 'the index leads to a leaf')
    if (position < 0) return false
    const emptied = this.leaves.count(page) === 1 ? this.emptiedPages(page) : 0
    const entriesLeft = this.word(ENTRIES) - 1
    this.lock.begin()
    if (emptied === 0) this.leaves.remove(page, position)
    else this.unlink(emptied)
    this.words[ENTRIES] = entriesLeft
    this.lock.end()
    if (emptied > 0) this.arena.free(this.freshPages, emptied)
    return true
  }

  /** True when the next calls of `put` find their pages, whatever other threads take meanwhile. Ask before writing records. */
  hasRoom(puts = 1): boolean {
    return this.arena.hasRoom(puts * (this.word(HEIGHT) + 2))
  }

  /** Forgets everything and frees its pages. */
  clear(): void {
    const root = this.word(ROOT)
    const height = this.word(HEIGHT)
    this.lock.begin()
    this.words.fill(0, ROOT, TREE_END)
    this.lock.end()
    this.freeTree(root, height)
  }

  /**
   * Takes over the tree of an index on the same arena that was built aside, which becomes empty. The caller holds the locks
   * of both. Readers see the one or the other. The old pages are freed.
   */
  adopt(other: NeedleIndex): void {
    assert(other.arena.shared === this.arena.shared, 'both indexes are on one arena')
    assert(other.words !== this.words, 'an index does not adopt itself')
    const root = this.word(ROOT)
    const height = this.word(HEIGHT)
    this.lock.begin()
    other.lock.begin()
    this.words.set(other.words.subarray(ROOT, TREE_END), ROOT)
    other.words.fill(0, ROOT, TREE_END)
    other.lock.end()
    this.lock.end()
    this.freeTree(root, height)
  }

  /** Keys in the index, those of deleted records included. */
  get entryCount(): number {
    return Atomics.load(this.words, ENTRIES) >>> 0
  }

  /** Pages of the arena that the index takes. */
  get pageCount(): number {
    return Atomics.load(this.words, PAGES) >>> 0
  }

  /** The largest key. The caller holds the volume's lock. */
  maxKey(): { keyHigh: number; keyLow: number } | undefined {
    const page = this.word(LAST_LEAF)
    if (page === EMPTY) return undefined
    const last = this.leaves.count(page) - 1
    return { keyHigh: this.leaves.keyHighAt(page, last), keyLow: this.leaves.keyLowAt(page, last) }
  }

  /** All entries in the order of their keys. The caller holds the volume's lock; the callback changes nothing here. */
  forEach(callback: EntryCallback): void {
    if (this.word(ROOT) !== EMPTY) this.visit(this.word(ROOT), this.word(HEIGHT), callback)
  }

  /**
   * The entries of one page from a key on, that key included, in their order; there may be none. Needs no lock: what
   * changes between two calls is seen or not. Going on at `next` until there is none meets every key that is there all
   * the time.
   */
  readFrom(keyHigh: number, keyLow: number, into: IndexEntries): void {
    const read = () => this.tryReadFrom(keyHigh >>> 0, keyLow >>> 0, into)
    assert(this.lock.readPatiently(read), 'an index that nobody changes makes sense')
  }

  /** False when the pages made no sense. */
  private tryReadFrom(keyHigh: number, keyLow: number, into: IndexEntries): boolean {
    const { inners, leaves } = this
    into.count = 0
    into.next = undefined
    let page = this.word(ROOT)
    if (page === EMPTY) return true
    const pageCount = this.arena.pageCount
    for (let level = this.word(HEIGHT); level > 1; level--) {
      if (page <= 0 || page >= pageCount) return false
      const slot = inners.slotFor(page, keyHigh, keyLow)
      if (slot === NO_INNER) return false
      if (inners.hasSlot(page, slot + 1))
        into.next = { keyHigh: inners.keyHighAt(page, slot + 1), keyLow: inners.keyLowAt(page, slot + 1) }
      page = inners.pageAt(page, slot)
    }
    if (page <= 0 || page >= pageCount) return false
    const header = leaves.header(page)
    const found = leaves.search(page, header, keyHigh, keyLow)
    if (found === NO_LEAF) return false
    const count = header & 0xffff
    for (let i = found < 0 ? ~found : found; i < count; i++) {
      const at = into.count++
      const length = leaves.lengthAt(page, header, i)
      into.keyHighs[at] = leaves.keyHighAt(page, i)
      into.keyLows[at] = leaves.keyLowAt(page, i)
      into.offsetUnits[at] = leaves.offsetAt(page, i)
      into.deleted[at] = length & 1
    }
    return true
  }

  private visit(page: number, level: number, callback: EntryCallback): void {
    if (level > 1) {
      const count = this.inners.count(page)
      for (let slot = 0; slot < count; slot++) this.visit(this.inners.pageAt(page, slot), level - 1, callback)
      return
    }
    const leaves = this.leaves
    const header = leaves.header(page)
    const count = leaves.count(page)
    for (let i = 0; i < count; i++) {
      const length = leaves.lengthAt(page, header, i)
      const offset = leaves.offsetAt(page, i)
      callback(leaves.keyHighAt(page, i), leaves.keyLowAt(page, i), offset, length >>> 1, (length & 1) === 1)
    }
  }

  /** 1 when found, 0 when missing, TORN when the pages made no sense. */
  private lookUp(keyHigh: number, keyLow: number): number {
    const page = this.descend(keyHigh, keyLow)
    if (page <= EMPTY) return page
    const header = this.leaves.header(page)
    const position = this.leaves.search(page, header, keyHigh, keyLow)
    if (position < 0) return position === NO_LEAF ? TORN : 0
    const length = this.leaves.lengthAt(page, header, position)
    this.offsetUnits = this.leaves.offsetAt(page, position)
    this.lengthUnits = length >>> 1
    this.deleted = (length & 1) === 1
    return 1
  }

  /** The leaf that a key belongs to, EMPTY, or TORN. */
  private descend(keyHigh: number, keyLow: number): number {
    const inners = this.inners
    const pageCount = this.arena.pageCount
    let page = this.word(ROOT)
    for (let level = this.word(HEIGHT); level > 1; level--) {
      if (page <= 0 || page >= pageCount) return TORN
      const slot = inners.slotFor(page, keyHigh, keyLow)
      if (slot === NO_INNER) return TORN
      page = inners.pageAt(page, slot)
    }
    return page < pageCount ? page : TORN
  }

  /** `get` while the tree changes. Apart, because a closure makes every call of its function allocate. */
  private getPatiently(keyHigh: number, keyLow: number): boolean {
    return this.checked(this.lock.readPatiently(() => this.lookUp(keyHigh, keyLow)))
  }

  private checked(found: number): boolean {
    assert(found !== TORN, 'an index that nobody changes makes sense')
    return found === 1
  }

  private word(index: number): number {
    return this.words[index] as number
  }

  /** The leaf for a new entry. Most go to the last leaf: every key from its base on belongs there. */
  private leafForChange(entry: LeafEntry): number {
    const last = this.word(LAST_LEAF)
    if (last === EMPTY || this.leaves.isAtOrAboveBase(last, entry.keyHigh, entry.keyLow)) return last
    const page = this.descend(entry.keyHigh, entry.keyLow)
    assert(page > EMPTY, 'an index that nobody changes makes sense')
    return page
  }

  /** The first entry of an empty tree. */
  private plant(entry: LeafEntry): void {
    this.takePages(1)
    const page = this.freshPages[0] as number
    const count = this.leaves.startScratch(entry)
    this.lock.begin()
    this.leaves.pack(page, 0, count)
    this.words[ROOT] = page
    this.words[LAST_LEAF] = page
    this.words[HEIGHT] = 1
    this.words[ENTRIES] = 1
    this.words[PAGES] = 1
    this.lock.end()
  }

  private replace(page: number, position: number, entry: LeafEntry): void {
    if (this.leaves.canReplace(this.leaves.header(page), entry.length)) {
      this.lock.begin()
      this.leaves.replace(page, position, entry.offset, entry.length)
      this.lock.end()
      return
    }
    const count = this.leaves.unpackAndReplace(page, position, entry)
    this.repack(page, count, { cut: count >>> 1, added: 0 })
  }

  private insert(page: number, position: number, entry: LeafEntry): void {
    const leaves = this.leaves
    const outOfOrder = page === this.word(LAST_LEAF) && position < leaves.count(page)
    if (leaves.canInsert(page, entry.keyHigh, entry.keyLow, entry.length)) {
      this.lock.begin()
      leaves.insert(page, position, entry)
      this.words[ENTRIES] = this.word(ENTRIES) + 1
      if (outOfOrder && this.word(SLACK) === 0) this.words[SLACK] = SLACK_FIRST
      this.lock.end()
      return
    }
    const entries = leaves.unpackAndInsert(page, position, entry)
    this.repack(page, entries, { cut: this.cutFor(page, entries, position), added: 1 })
  }

  /** Where to cut the scratch list, should it be too much for one page; a new entry is at `position`. */
  private cutFor(page: number, entries: number, position: number): number {
    const { leaves } = this
    const half = entries >>> 1
    if (page === this.word(LAST_LEAF) && position > half) {
      const nearEnd = entries - 1 - Math.ceil(this.word(SLACK) / SLACK_PARTS)
      if (nearEnd > half && leaves.fits(0, nearEnd) && leaves.fits(nearEnd, entries)) return nearEnd
    }
    if (leaves.fits(0, half) && leaves.fits(half, entries)) return half
    // A key far outside, at one end, makes the half that gets it too wide: it gets a page of its own.
    return position === 0 ? 1 : entries - 1
  }

  /** Writes the scratch list back to its page; or, when it is too much, to this and a fresh one that gets what is from `cut` on. */
  private repack(page: number, entries: number, { cut, added }: { cut: number; added: number }): void {
    const leaves = this.leaves
    const fits = leaves.fits(0, entries)
    const depth = fits ? 0 : this.findPath(page)
    if (!fits) this.takePages(this.pagesForSplit(depth))
    this.lock.begin()
    leaves.pack(page, 0, fits ? entries : cut)
    if (!fits) {
      const right = this.freshPages[0] as number
      leaves.pack(right, cut, entries)
      this.noteSplit(page, right)
      this.link(
        page,
        { page: right, keyHigh: leaves.scratchKeyHigh(cut), keyLow: leaves.scratchKeyLow(cut) },
        depth,
      )
    }
    this.words[ENTRIES] = this.word(ENTRIES) + added
    this.lock.end()
  }

  /** Keeps the last two leaves, and adapts the slack: too little was left when the leaf before the last had to be split. */
  private noteSplit(left: number, right: number): void {
    const slack = this.word(SLACK)
    if (left === this.word(LAST_LEAF)) {
      this.words[LAST_LEAF] = right
      this.words[LEAF_BEFORE] = left
      this.words[SLACK] = slack - Math.floor(slack / 64)
    } else if (left === this.word(LEAF_BEFORE)) {
      this.words[SLACK] = Math.min(Math.max(slack * 2, SLACK_FIRST), SLACK_MAX)
    }
  }

  /** Fills `pathPages` and `pathSlots` with the way to a leaf that holds the key of `entry`. Returns their count. */
  private findPath(leaf: number): number {
    const depth = this.word(HEIGHT) - 1
    let page = this.word(ROOT)
    for (let i = 0; i < depth; i++) {
      const slot = this.inners.slotFor(page, this.entry.keyHigh, this.entry.keyLow)
      this.pathPages[i] = page
      this.pathSlots[i] = slot
      page = this.inners.pageAt(page, slot)
    }
    assert(page === leaf, 'the way leads to the leaf')
    return depth
  }

  /** A leaf, each full inner page above it, and a root above a full one. */
  private pagesForSplit(depth: number): number {
    let pages = 1
    for (let i = depth - 1; i >= 0; i--) {
      if (!this.inners.isFull(this.pathPages[i] as number)) return pages
      pages++
    }
    return pages + 1
  }

  private takePages(count: number): void {
    if (this.arena.allocate(this.freshPages, count)) return
    throw new StoreError(
      'index_full',
      `the memory of the needle index is used up: ${this.arena.bytesUsed} bytes`,
    )
  }

  /** Enters the page right of `left` in the inner pages, splitting those that are full. */
  private link(left: number, added: InnerSlot, depth: number): void {
    const inners = this.inners
    let child = added
    let leftChild = left
    let taken = 1
    for (let i = depth - 1; i >= 0; i--) {
      const page = this.pathPages[i] as number
      const slot = (this.pathSlots[i] as number) + 1
      if (!inners.isFull(page)) {
        inners.insert(page, slot, child)
        this.words[PAGES] = this.word(PAGES) + taken
        return
      }
      const right = this.freshPages[taken++] as number
      child = this.splitInner(page, right, slot, child)
      leftChild = page
    }
    const root = this.freshPages[taken++] as number
    inners.start(root, leftChild)
    inners.insert(root, 1, child)
    this.words[ROOT] = root
    this.words[HEIGHT] = this.word(HEIGHT) + 1
    this.words[PAGES] = this.word(PAGES) + taken
    assert(this.word(HEIGHT) <= HEIGHT_MAX, 'the index is not too high')
  }

  /** Splits a full inner page, in the middle or, when it grows at its end, there; and inserts `child` before `slot`. */
  private splitInner(page: number, right: number, slot: number, child: InnerSlot) {
    const inners = this.inners
    const count = inners.count(page)
    const at = slot === count ? count - 1 : count >>> 1
    inners.split(page, at, right)
    if (slot > at) inners.insert(right, slot - at, child)
    else inners.insert(page, slot, child)
    return { page: right, keyHigh: inners.keyHighAt(right, 0), keyLow: inners.keyLowAt(right, 0) }
  }

  /** How many pages become empty with a leaf: it, and the inner pages that hold nothing else. Finds the path. */
  private emptiedPages(leaf: number): number {
    const depth = this.findPath(leaf)
    this.freshPages[0] = leaf
    let emptied = 1
    for (let i = depth - 1; i >= 0 && this.inners.count(this.pathPages[i] as number) === 1; i--) {
      this.freshPages[emptied++] = this.pathPages[i] as number
    }
    return emptied
  }

  /** Takes the emptied pages out of the tree. They are listed in `freshPages`, for freeing when the change is done. */
  private unlink(emptied: number): void {
    const parent = this.word(HEIGHT) - 1 - emptied
    this.words[PAGES] = this.word(PAGES) - emptied
    if (parent < 0) {
      this.words.fill(0, ROOT, TREE_END)
      return
    }
    this.inners.remove(this.pathPages[parent] as number, this.pathSlots[parent] as number)
    this.words[LAST_LEAF] = this.rightmostLeaf()
  }

  private rightmostLeaf(): number {
    let page = this.word(ROOT)
    for (let level = this.word(HEIGHT); level > 1; level--)
      page = this.inners.pageAt(page, this.inners.count(page) - 1)
    return page
  }

  /** Frees the pages of a tree that no longer has a root. */
  private freeTree(root: number, height: number): void {
    if (root === EMPTY) return
    const list = new Int32Array(FREE_LIST_LENGTH)
    let length = 0
    const add = (page: number, level: number) => {
      if (level > 1) {
        const count = this.inners.count(page)
        for (let slot = 0; slot < count; slot++) add(this.inners.pageAt(page, slot), level - 1)
      }
      list[length++] = page
      if (length < list.length) return
      this.arena.free(list, length)
      length = 0
    }
    add(root, height)
    this.arena.free(list, length)
  }
}

/** Offset and length in units of 8 bytes. */
export type EntryCallback = (
  keyHigh: number,
  keyLow: number,
  offsetUnits: number,
  lengthUnits: number,
  deleted: boolean,
) => void

/** What `readFrom` finds. */
export interface IndexEntries {
  count: number
  readonly keyHighs: Uint32Array
  readonly keyLows: Uint32Array
  readonly offsetUnits: Uint32Array
  /** 1 where the record was deleted. */
  readonly deleted: Uint8Array
  /** A key at or below the first one of the next page; undefined at the end. */
  next: { keyHigh: number; keyLow: number } | undefined
}

/** Room for the entries of any page. */
export function indexEntries(): IndexEntries {
  const array = () => new Uint32Array(LEAF_ENTRIES_MAX)
  const deleted = new Uint8Array(LEAF_ENTRIES_MAX)
  return { count: 0, keyHighs: array(), keyLows: array(), offsetUnits: array(), deleted, next: undefined }
}
