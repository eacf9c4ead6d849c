/**
 * The memory of all needle indexes of one process: one large SharedArrayBuffer cut in pages of 2 KiB.
 *
 * The buffer has its final size from the start, because growable shared buffers make every access slower, and costs
 * nothing where it was never written: the operating system commits memory at the first touch. All threads wrap the same
 * buffer in an IndexArena of their own. Page 0 holds the words below, so that no valid page has the number 0:
 *
 * ```
 * word  0      1     2          3       4            5          6
 *       magic  lock  next page  pages   first free   free count (unused)
 * ```
 *
 * Pages are handed out from the free list, then from the untouched rest. A free page says so in its first word and
 * links to the next one in its second. Several volumes allocate at a time, each under its own lock, so a spin lock guards
 * the list. It is held for a few instructions, and taken once for about a hundred inserted needles.
 */
import { assert } from '../base/assert.ts'
import { StoreError } from '../base/errors.ts'
import { INDEX_LOCK_WAITS_MAX, INDEX_ROOM_PAGES } from '../base/limits.ts'

export const PAGE_BYTES = 2048
export const PAGE_WORDS = PAGE_BYTES / 4
/** Entries of the fullest page, one more, and a round number. */
const SCRATCH_ENTRIES = 256

/** What the upper 8 bits of a page's first word say. The lower 24 belong to the kind. */
export const PAGE_LEAF = 1
export const PAGE_INNER = 2
const PAGE_FREE = 3

const MAGIC_WORD = 0
const LOCK_WORD = 1
const NEXT_PAGE_WORD = 2
const PAGE_COUNT_WORD = 3
const FREE_HEAD_WORD = 4
const FREE_COUNT_WORD = 5

const MAGIC = 0x43_41_52_4e
const SPINS_BEFORE_WAIT = 100
const WAIT_MS = 1

export class IndexArena {
  readonly shared: SharedArrayBuffer
  /** All pages, as words. Only the classes of the index write here. */
  readonly words: Uint32Array
  /** The same pages, as half words. */
  readonly halves: Uint16Array
  /** Pages of the buffer, page 0 included. Page numbers are from 1 to `pageCount - 1`. */
  readonly pageCount: number
  /** Where a thread unpacks a page, to write it in another format or to two pages. Shared by the indexes of the thread. */
  readonly scratch = {
    keyHighs: new Uint32Array(SCRATCH_ENTRIES),
    keyLows: new Uint32Array(SCRATCH_ENTRIES),
    offsets: new Uint32Array(SCRATCH_ENTRIES),
    lengths: new Uint32Array(SCRATCH_ENTRIES),
  }
  private readonly head: Int32Array

  /** Reserves address space for `bytesMax` bytes, rounded down to whole pages. Throws `index_full` when there is none. */
  static create(bytesMax: number): IndexArena {
    const pageCount = Math.min(Math.floor(bytesMax / PAGE_BYTES), 0x7fffffff)
    assert(pageCount >= 2, 'an index arena has at least two pages')
    let shared: SharedArrayBuffer
    try {
      shared = new SharedArrayBuffer(pageCount * PAGE_BYTES)
    } catch (cause) {
      throw new StoreError('index_full', `cannot reserve ${bytesMax} bytes of memory for the needle index`, {
        cause,
      })
    }
    const head = new Int32Array(shared, 0, PAGE_WORDS)
    head[NEXT_PAGE_WORD] = 1
    head[PAGE_COUNT_WORD] = pageCount
    Atomics.store(head, MAGIC_WORD, MAGIC)
    return new IndexArena(shared)
  }

  /** A view of an arena that `create` made, on any thread. */
  constructor(shared: SharedArrayBuffer) {
    this.shared = shared
    this.head = new Int32Array(shared, 0, PAGE_WORDS)
    assert(Atomics.load(this.head, MAGIC_WORD) === MAGIC, 'the buffer is an index arena')
    this.words = new Uint32Array(shared)
    this.halves = new Uint16Array(shared)
    this.pageCount = this.word(PAGE_COUNT_WORD)
    assert(this.pageCount * PAGE_BYTES === shared.byteLength, 'the arena has its whole buffer')
  }

  /** Pages that hold something, page 0 included. */
  get pagesUsed(): number {
    return Atomics.load(this.head, NEXT_PAGE_WORD) - Atomics.load(this.head, FREE_COUNT_WORD)
  }

  /** Pages that can still be allocated: given back, or never touched. */
  get pagesFree(): number {
    return this.pageCount - this.pagesUsed
  }

  get bytesUsed(): number {
    return this.pagesUsed * PAGE_BYTES
  }

  /** True when `pages` can be taken with a margin for what other threads take at the same time. */
  hasRoom(pages: number): boolean {
    return this.pagesFree >= pages + Math.min(INDEX_ROOM_PAGES, Math.floor(this.pageCount / 16))
  }

  /** Puts `count` page numbers in `into`, or none and returns false. The pages hold rubbish. */
  allocate(into: Int32Array, count: number): boolean {
    assert(count <= into.length, 'the pages asked for fit into the list')
    this.lock()
    const enough = this.pagesFree >= count
    for (let i = 0; enough && i < count; i++) into[i] = this.takePage()
    this.unlock()
    return enough
  }

  /** Gives back the first `count` pages of `list`. */
  free(list: Int32Array, count: number): void {
    this.lock()
    try {
      for (let i = 0; i < count; i++) this.putPage(list[i] as number)
    } finally {
      this.unlock()
    }
  }

  private takePage(): number {
    const head = this.head
    const page = this.word(FREE_HEAD_WORD)
    if (page === 0) {
      const next = this.word(NEXT_PAGE_WORD)
      Atomics.store(head, NEXT_PAGE_WORD, next + 1)
      return next
    }
    head[FREE_HEAD_WORD] = this.words[page * PAGE_WORDS + 1] as number
    Atomics.sub(head, FREE_COUNT_WORD, 1)
    return page
  }

  private putPage(page: number): void {
    assert(page > 0 && page < this.word(NEXT_PAGE_WORD), 'a freed page is one of those handed out')
    const at = page * PAGE_WORDS
    assert((this.words[at] as number) >>> 24 !== PAGE_FREE, 'a page is freed once')
    this.words[at] = PAGE_FREE * 2 ** 24
    this.words[at + 1] = this.word(FREE_HEAD_WORD)
    this.head[FREE_HEAD_WORD] = page
    Atomics.add(this.head, FREE_COUNT_WORD, 1)
  }

  private word(index: number): number {
    return this.head[index] as number
  }

  private lock(): void {
    for (let tries = 0; Atomics.compareExchange(this.head, LOCK_WORD, 0, 1) !== 0; tries++) {
      backOff(this.head, LOCK_WORD, 1, tries)
    }
  }

  private unlock(): void {
    Atomics.store(this.head, LOCK_WORD, 0)
  }
}

/**
 * One step of waiting for `word` to leave `value`: a short pause at first, sleeps later, because the thread waited for may
 * have lost its processor. Nobody notifies, so the sleeps are short. A bug when it takes far longer than any holder should.
 */
export function backOff(words: Int32Array, word: number, value: number, tries: number): void {
  assert(tries < SPINS_BEFORE_WAIT + INDEX_LOCK_WAITS_MAX, 'the thread that changes the index finishes')
  if (tries < SPINS_BEFORE_WAIT) Atomics.pause()
  else Atomics.wait(words, word, value, WAIT_MS)
}
