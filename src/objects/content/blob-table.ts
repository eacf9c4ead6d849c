/**
 * Blobs of some volumes, each with a mark, in flat memory: 24 bytes a blob at half load, where a Map of texts would take two
 * hundred. Looked up by volume and key; the cookie is carried along.
 */
import type { BlobId } from '../../blobs/blob-store.ts'
import { isLengthOf } from './sealed-blob.ts'

/** Words of a slot. A slot whose mark is 0 is free. */
const VOLUME = 0
const KEY_HIGH = 1
const KEY_LOW = 2
const COOKIE = 3
const SIZE = 4
const MARK = 5
const SLOT_WORDS = 6

/** Bits of a mark. */
const TAKEN = 1
const NAMED = 2
const YOUNG = 4
/** Above these bits: how often the blob was added. */
const TIMES_SHIFT = 8

export interface SizedBlob extends BlobId {
  sizeBytes: number
}

export class BlobTable {
  #slots: Uint32Array
  #capacity: number
  #count = 0

  constructor(capacity = 1024) {
    this.#capacity = capacity
    this.#slots = new Uint32Array(capacity * SLOT_WORDS)
  }

  get count(): number {
    return this.#count
  }

  /** Adds a blob that has no name yet; a young one is never said to have none. Of one that is there already it is noted how often. */
  add(id: BlobId, sizeBytes: number, isYoung = false): void {
    if (this.#count * 2 >= this.#capacity) this.#grow()
    const at = this.#find(id)
    if (this.#slots[at + MARK] !== 0) {
      this.#slots[at + MARK]! += 1 << TIMES_SHIFT
      return
    }
    const mark = TAKEN | (isYoung ? YOUNG : 0) | (1 << TIMES_SHIFT)
    this.#slots.set([id.volumeId, id.keyHigh, id.keyLow, id.cookie, sizeBytes, mark], at)
    this.#count++
  }

  /** Marks a blob as named, when it is here. Whether it is, with this very cookie and size, plain or encrypted. */
  name(id: BlobId, sizeBytes: number): boolean {
    const at = this.#find(id)
    const slots = this.#slots
    if (slots[at + MARK] === 0) return false
    slots[at + MARK]! |= NAMED
    return slots[at + COOKIE] === id.cookie && isLengthOf(sizeBytes, slots[at + SIZE]!)
  }

  /** How often a blob was added: once for each volume that has something of it. */
  timesOf(id: BlobId): number {
    return this.#slots[this.#find(id) + MARK]! >>> TIMES_SHIFT
  }

  named(): Generator<SizedBlob> {
    return this.#marked(NAMED, NAMED)
  }

  /** Neither named nor young. */
  unnamed(): Generator<SizedBlob> {
    return this.#marked(TAKEN | NAMED | YOUNG, TAKEN)
  }

  *#marked(mask: number, value: number): Generator<SizedBlob> {
    const slots = this.#slots
    for (let at = 0; at < slots.length; at += SLOT_WORDS) {
      if ((slots[at + MARK]! & mask) !== value) continue
      yield {
        volumeId: slots[at + VOLUME]!,
        keyHigh: slots[at + KEY_HIGH]!,
        keyLow: slots[at + KEY_LOW]!,
        cookie: slots[at + COOKIE]!,
        sizeBytes: slots[at + SIZE]!,
      }
    }
  }

  /** The slot of a blob, or the free one where it would be. */
  #find({ volumeId, keyHigh, keyLow }: Omit<BlobId, 'cookie'>): number {
    const slots = this.#slots
    const mask = this.#capacity - 1
    for (let index = hashOf(volumeId, keyHigh, keyLow) & mask; ; index = (index + 1) & mask) {
      const at = index * SLOT_WORDS
      if (slots[at + MARK] === 0) return at
      if (slots[at + KEY_LOW] !== keyLow || slots[at + KEY_HIGH] !== keyHigh) continue
      if (slots[at + VOLUME] === volumeId) return at
    }
  }

  #grow(): void {
    const before = this.#slots
    this.#capacity *= 2
    this.#slots = new Uint32Array(this.#capacity * SLOT_WORDS)
    for (let at = 0; at < before.length; at += SLOT_WORDS) {
      if (before[at + MARK] === 0) continue
      const id = { volumeId: before[at]!, keyHigh: before[at + KEY_HIGH]!, keyLow: before[at + KEY_LOW]! }
      this.#slots.set(before.subarray(at, at + SLOT_WORDS), this.#find(id))
    }
  }
}

/** Keys of a volume follow each other, so all bits must move. */
function hashOf(volumeId: number, keyHigh: number, keyLow: number): number {
  let hash = Math.imul(keyLow ^ Math.imul(keyHigh, 0x9e3779b1) ^ Math.imul(volumeId, 0x85ebca6b), 0xc2b2ae35)
  hash = Math.imul(hash ^ (hash >>> 15), 0x27d4eb2f)
  return (hash ^ (hash >>> 13)) >>> 0
}
