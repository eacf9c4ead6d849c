/**
 * What all threads of a process share about its volumes: a table in shared memory with one slot a volume.
 * The slot holds the volume's lock, its file handles, its tail, its counters and the root of its needle index, so that
 * every worker reads and appends by itself, with no hop to another thread.
 */
import { assert } from '../base/assert.ts'
import { StoreError } from '../base/errors.ts'
import { VOLUMES_PER_SERVER_MAX } from '../base/limits.ts'
import { INDEX_STATE_WORDS } from './needle-index.ts'

const TABLE_HEADER_WORDS = 16
const TABLE_VERSION_WORD = 0
const CALLS_WORD = 1
const INCOMPLETE_WORD = 2
const SLOT_WORDS = 256
/** Records above SMALL_RECORD_BYTES_MAX that are being written at a time, a volume. */
const LARGE_WRITES_MAX = 32
export const COLLECTION_BYTES_MAX = 160

/** Marks the length of a large write that failed. Lengths stay below 2^29. */
const ABANDONED = 0x40000000

/** Word numbers within a slot. */
export const WORD = {
  lock: 0,
  state: 1,
  incarnation: 2,
  volumeId: 3,
  flags: 4,
  generation: 5,
  datHandle: 6,
  idxHandle: 7,
  /** `revisionSalt` of the present `.dat`. */
  fileSalt: 8,
  tailUnits: 9,
  idxEntries: 10,
  appendNsHigh: 11,
  appendNsLow: 12,
  maxKeyHigh: 13,
  maxKeyLow: 14,
  putCount: 15,
  deleteCount: 16,
  liveUnits: 17,
  modifiedS: 18,
  ttl: 19,
  replicaPlacement: 20,
  compactionRevision: 21,
  sizeLimitUnits: 22,
  largeWriteCount: 23,
  pins0: 24,
  pins1: 25,
  damageFound: 26,
  directory: 27,
  collectionBytes: 28,
  trailerless: 29,
  /** Records before this place may be SeaweedFS's and have no trailer. */
  foreignUnits: 30,
  /** 1 more than the generation whose `.dat` the thread has open that syncs for others; 0: it has none. */
  coveredUpTo: 31,
  index: 32,
  largeWrites: 32 + 24,
  largeLengths: 32 + 24 + LARGE_WRITES_MAX,
  collection: 32 + 24 + 2 * LARGE_WRITES_MAX,
} as const

/** `unopened`: its files are there but could not be opened, so that nobody takes it for missing. */
export const STATE = { free: 0, opening: 1, active: 2, closing: 3, unopened: 4 } as const

/** Why a volume takes no writes. */
export const FLAG = {
  /** An administrator said so, or the files are a copy being checked. */
  readOnly: 1,
  /** A write, sync or rename failed: what the files hold is not trusted for more writes. */
  failed: 2,
  /** The directory's disk is at its reserve. Deletes go on. */
  diskFull: 4,
  /** A compaction is about to swap files: large writes wait for it. */
  draining: 8,
  /** A member of an erasure group that has not got all of its shards yet. It takes writes. */
  filling: 16,
} as const

assert(INDEX_STATE_WORDS <= 24, 'the index state fits in its place of the slot')
assert(WORD.collection + COLLECTION_BYTES_MAX / 4 <= SLOT_WORDS, 'a slot holds all its words')

/** The table, in memory that threads pass to each other. */
export class VolumeTable {
  readonly shared: SharedArrayBuffer
  readonly #words: Int32Array
  readonly slotCount: number

  constructor(shared: SharedArrayBuffer) {
    this.shared = shared
    this.#words = new Int32Array(shared)
    this.slotCount = Math.floor((this.#words.length - TABLE_HEADER_WORDS) / SLOT_WORDS)
  }

  static create(slotCount = VOLUMES_PER_SERVER_MAX): VolumeTable {
    return new VolumeTable(new SharedArrayBuffer((TABLE_HEADER_WORDS + slotCount * SLOT_WORDS) * 4))
  }

  /** Changes whenever a volume comes or goes. */
  get version(): number {
    return Atomics.load(this.#words, TABLE_VERSION_WORD)
  }

  bumpVersion(): void {
    Atomics.add(this.#words, TABLE_VERSION_WORD, 1)
  }

  /** False when a data directory could not be looked into: a volume that is not in the table may be there. */
  get isComplete(): boolean {
    return Atomics.load(this.#words, INCOMPLETE_WORD) === 0
  }

  noteIncomplete(): void {
    Atomics.store(this.#words, INCOMPLETE_WORD, 1)
  }

  /** Asks the keeper to look at the volumes now. */
  callKeeper(): void {
    Atomics.add(this.#words, CALLS_WORD, 1)
    Atomics.notify(this.#words, CALLS_WORD)
  }

  /** Resolves when `callKeeper` was called after `seen`, the last count that the keeper knows; gives the present one. */
  async keeperCalled(seen: number): Promise<number> {
    const wait = Atomics.waitAsync(this.#words, CALLS_WORD, seen)
    if (wait.async) await wait.value
    return Atomics.load(this.#words, CALLS_WORD)
  }

  slot(number: number): VolumeSlot {
    assert(number >= 0 && number < this.slotCount, 'a slot of the table')
    const start = TABLE_HEADER_WORDS + number * SLOT_WORDS
    return new VolumeSlot(this.#words.subarray(start, start + SLOT_WORDS), number)
  }

  /** Takes a free slot, in state `opening`, all zero but for its incarnation. Only the keeper calls this. */
  take(): VolumeSlot {
    for (let number = 0; number < this.slotCount; number++) {
      const slot = this.slot(number)
      if (slot.get(WORD.state) !== STATE.free) continue
      const incarnation = slot.get(WORD.incarnation)
      slot.words.fill(0)
      slot.set(WORD.incarnation, incarnation + 1)
      slot.set(WORD.state, STATE.opening)
      return slot
    }
    throw new StoreError('no_writable_volume', `a server holds at most ${this.slotCount} volumes`)
  }
}

/** Generations are even between swaps, so that their pins alternate between two words. */
function pinWord(generation: number): number {
  return WORD.pins0 + ((generation >>> 1) & 1)
}

const UNLOCKED = 0
const LOCKED = 1
const LOCKED_WITH_WAITERS = 2
const SPINS_BEFORE_WAIT = 400
const LOCK_WAIT_MS = 50

/** One volume's words. Single words are read and written atomically; what must fit together changes under the lock. */
export class VolumeSlot {
  readonly words: Int32Array
  readonly number: number
  /** Where the needle index keeps its state. */
  readonly indexWords: Int32Array

  constructor(words: Int32Array, number: number) {
    this.words = words
    this.number = number
    this.indexWords = words.subarray(WORD.index, WORD.index + INDEX_STATE_WORDS)
  }

  /** A word as an unsigned number. */
  get(word: number): number {
    return Atomics.load(this.words, word) >>> 0
  }

  set(word: number, value: number): void {
    Atomics.store(this.words, word, value | 0)
  }

  add(word: number, value: number): void {
    Atomics.add(this.words, word, value)
  }

  hasFlag(flag: number): boolean {
    return (Atomics.load(this.words, WORD.flags) & flag) !== 0
  }

  setFlag(flag: number): void {
    Atomics.or(this.words, WORD.flags, flag)
  }

  clearFlag(flag: number): void {
    Atomics.and(this.words, WORD.flags, ~flag)
  }

  /** Held for microseconds. A thread that dies with it takes the process along, so it is never left behind. */
  lock(): void {
    if (Atomics.compareExchange(this.words, WORD.lock, UNLOCKED, LOCKED) === UNLOCKED) return
    for (let spin = 0; spin < SPINS_BEFORE_WAIT; spin++) {
      Atomics.pause()
      if (Atomics.load(this.words, WORD.lock) !== UNLOCKED) continue
      if (Atomics.compareExchange(this.words, WORD.lock, UNLOCKED, LOCKED) === UNLOCKED) return
    }
    while (Atomics.exchange(this.words, WORD.lock, LOCKED_WITH_WAITERS) !== UNLOCKED) {
      Atomics.wait(this.words, WORD.lock, LOCKED_WITH_WAITERS, LOCK_WAIT_MS)
    }
  }

  unlock(): void {
    if (Atomics.exchange(this.words, WORD.lock, UNLOCKED) === LOCKED_WITH_WAITERS) {
      Atomics.notify(this.words, WORD.lock, 1)
    }
  }

  /** The number of the current files; odd for the moment in which a compaction swaps them. */
  get generation(): number {
    return Atomics.load(this.words, WORD.generation)
  }

  /**
   * Keeps the files of the current generation open until `unpin` with the returned word. Index and handles read after it
   * fit together if `generation` is still the same then.
   */
  pin(): number {
    for (;;) {
      const generation = Atomics.load(this.words, WORD.generation)
      if ((generation & 1) === 1) continue
      const word = pinWord(generation)
      Atomics.add(this.words, word, 1)
      if (Atomics.load(this.words, WORD.generation) === generation) return word
      Atomics.sub(this.words, word, 1)
    }
  }

  unpin(pin: number): void {
    Atomics.sub(this.words, pin, 1)
  }

  /** How many readers still use files of generation `generation`. */
  pins(generation: number): number {
    return this.get(pinWord(generation))
  }

  get collection(): string {
    const bytes = Buffer.from(
      this.words.buffer,
      this.words.byteOffset + WORD.collection * 4,
      this.get(WORD.collectionBytes),
    )
    return Buffer.from(bytes).toString('utf8')
  }

  set collection(name: string) {
    const bytes = Buffer.from(name, 'utf8')
    assert(bytes.length <= COLLECTION_BYTES_MAX, 'a collection name within its limit')
    this.set(WORD.collectionBytes, bytes.length)
    Buffer.from(this.words.buffer, this.words.byteOffset + WORD.collection * 4, bytes.length).set(bytes)
  }

  // Large writes: place and length, in units; place 0 = unused. All under the lock.

  /** Notes a large write at that place; undefined when LARGE_WRITES_MAX are under way. */
  addLargeWrite(offsetUnits: number, lengthUnits: number): number | undefined {
    for (let entry = 0; entry < LARGE_WRITES_MAX; entry++) {
      if (this.get(WORD.largeWrites + entry) !== 0) continue
      this.set(WORD.largeWrites + entry, offsetUnits)
      this.set(WORD.largeLengths + entry, lengthUnits)
      this.add(WORD.largeWriteCount, 1)
      return entry
    }
    return undefined
  }

  removeLargeWrite(entry: number): void {
    this.set(WORD.largeWrites + entry, 0)
    this.set(WORD.largeLengths + entry, 0)
    this.add(WORD.largeWriteCount, -1)
  }

  /** The write failed and so did covering its hole: it stays noted, so that no checkpoint passes it. */
  abandonLargeWrite(entry: number): void {
    this.set(WORD.largeLengths + entry, this.get(WORD.largeLengths + entry) | ABANDONED)
  }

  /** Holes that still wait to be covered. */
  abandonedLargeWrites(): { entry: number; offsetUnits: number; lengthUnits: number }[] {
    const found = []
    for (let entry = 0; entry < LARGE_WRITES_MAX; entry++) {
      const lengthUnits = this.get(WORD.largeLengths + entry)
      if ((lengthUnits & ABANDONED) === 0) continue
      const offsetUnits = this.get(WORD.largeWrites + entry)
      found.push({ entry, offsetUnits, lengthUnits: lengthUnits & ~ABANDONED })
    }
    return found
  }

  /** Large writes that have not failed. */
  largeWritesUnderWay(): number {
    return this.get(WORD.largeWriteCount) - this.abandonedLargeWrites().length
  }

  /** Below this place of the `.dat`, every record is whole and in the index. */
  lowWaterUnits(): number {
    let low = this.get(WORD.tailUnits)
    if (this.get(WORD.largeWriteCount) === 0) return low
    for (let entry = 0; entry < LARGE_WRITES_MAX; entry++) {
      const offset = this.get(WORD.largeWrites + entry)
      if (offset !== 0 && offset < low) low = offset
    }
    return low
  }
}
