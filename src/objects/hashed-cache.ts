/**
 * What names of a hashed store have, in memory, up to a number of bytes. Names and values lie one behind the other in segments;
 * the oldest segment goes as a whole, and what was asked for since it came there moves on. What is known of each name lies in
 * arrays of numbers, near each other: with objects and a Map, most of the time was spent waiting for memory.
 */
import { randomInt } from 'node:crypto'
import { fnv1a } from '../base/fnv1a.ts'
import type { Place } from './hashed-batch.ts'
import type { HashedItem } from './hashed-record.ts'

/** A name that is alone with its key, in one blob, as it was when it was looked up. */
export interface KeptItem extends Place {
  flags: number
  version: number
  touches: number
  expiresMs: number
  /** In memory of the cache: there until the next `put`. */
  name: Buffer
  value: Buffer
}

/** The same, where it lies, in one object that is used for all. */
export interface KeptPlace {
  keyHigh: number
  keyLow: number
  volumeId: number
  flags: number
  version: number
  touches: number
  expiresMs: number
  bytes: Buffer
  /** Of the name and then the value, in `bytes`. */
  nameStart: number
  start: number
  end: number
}

interface Segment {
  number: number
  bytes: Buffer
  usedBytes: number
  /** Left for names, values and what is beside them. */
  roomBytes: number
  /** In the order in which they came; many lie elsewhere by now, or are other names'. */
  entries: number[]
}

/** Of one entry, beside its name and value: its numbers, and its place in a segment's list. */
const ENTRY_BYTES = 176
const SEGMENT_BYTES_MAX = 1024 * 1024
const SEGMENTS_MIN = 16
const ENTRIES_FIRST = 1024

const NONE = -1
/**
 * Words of an entry, which are a cache line: the hash of its name, the next one of its chain (or of the free ones), lengths of name
 * and value, and so on; whether it was used since it came to its segment, which has that number or NONE, and where the name begins
 * there. Then two numbers of 8 bytes.
 */
const [HASH, NEXT, NAME_BYTES, VALUE_BYTES, FLAGS, KEY_HIGH, KEY_LOW, VOLUME, USED, SEGMENT, START, TOUCHES] =
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
const WORDS = 16
const [VERSION, EXPIRES_MS] = [6, 7]
const DOUBLES = WORDS / 2

export class HashedCache {
  readonly #bytesMax: number
  readonly #segmentBytes: number
  /** The hash of a name begins with it: nobody can choose names that fall into one chain. */
  readonly #seed = randomInt(2 ** 32) | 0
  /** The first entry of each chain; there are as many chains as there is room for entries. */
  #chains = new Int32Array(ENTRIES_FIRST).fill(NONE)
  #words = new Int32Array(ENTRIES_FIRST * WORDS)
  /** The same memory. */
  #doubles = new Float64Array(this.#words.buffer)
  /** Those from here on were never used. */
  #firstUnused = 0
  #firstFree = NONE
  /** The oldest first, numbered without gaps from `#firstSegment` on; the last one takes what comes. */
  readonly #segments: Segment[] = []
  #firstSegment = 0
  #nextSegment = 0
  /** Memory of a segment that has gone, for the next one: what is allocated again and again is work for the collector. */
  #spare: Buffer | undefined
  #bytes = 0
  /** Of what is kept: the rest of the segments are values that were replaced. */
  #liveBytes = 0
  /** What was looked up last. */
  readonly #place: KeptPlace = {
    ...{ keyHigh: 0, keyLow: 0, volumeId: 0, flags: 0, version: 0.5, touches: 0, expiresMs: 0.5 },
    ...{ bytes: Buffer.alloc(0), nameStart: 0, start: 0, end: 0 },
  }

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
    this.#segmentBytes = Math.min(SEGMENT_BYTES_MAX, Math.floor(bytesMax / SEGMENTS_MIN))
  }

  get(name: Buffer): KeptItem | undefined {
    const place = this.find(name)
    if (place === undefined) return undefined
    const { keyHigh, keyLow, volumeId, flags, version, touches, expiresMs, bytes, nameStart, start, end } =
      place
    return {
      ...{ key: { keyHigh, keyLow }, volumeId, flags, version, touches, expiresMs },
      name: bytes.subarray(nameStart, start),
      value: bytes.subarray(start, end),
    }
  }

  /** What it gives is there until it is asked for anything else. */
  find(name: Buffer): KeptPlace | undefined {
    const entry = this.#find(name, this.#hash(name))
    if (entry === NONE) return undefined
    const [words, at] = [this.#words, entry * WORDS]
    words[at + USED] = 1
    const place = this.#place
    place.keyHigh = words[at + KEY_HIGH]! >>> 0
    place.keyLow = words[at + KEY_LOW]! >>> 0
    place.volumeId = words[at + VOLUME]! >>> 0
    place.flags = words[at + FLAGS]! >>> 0
    place.touches = words[at + TOUCHES]!
    place.version = this.#doubles[entry * DOUBLES + VERSION]!
    place.expiresMs = this.#doubles[entry * DOUBLES + EXPIRES_MS]!
    place.bytes = this.#segmentOf(entry).bytes
    place.nameStart = words[at + START]!
    place.start = place.nameStart + words[at + NAME_BYTES]!
    place.end = place.start + words[at + VALUE_BYTES]!
    return place
  }

  /** Copies what it keeps of the item, which does not lie in the cache's own memory. */
  put({ name, flags, version, touches, expiresMs, value }: HashedItem, { key, volumeId }: Place): void {
    const neededBytes = ENTRY_BYTES + name.length + value.length
    if (neededBytes > this.#bytesMax / SEGMENTS_MIN) return this.delete(name)
    const hash = this.#hash(name)
    let entry = this.#find(name, hash)
    const isInPlace = entry !== NONE && this.#words[entry * WORDS + VALUE_BYTES] === value.length
    if (!isInPlace) entry = this.#lay(hash, name, value)
    const [words, at] = [this.#words, entry * WORDS]
    words[at + FLAGS] = flags
    words[at + KEY_HIGH] = key.keyHigh
    words[at + KEY_LOW] = key.keyLow
    words[at + VOLUME] = volumeId
    words[at + TOUCHES] = touches
    this.#doubles[entry * DOUBLES + VERSION] = version
    this.#doubles[entry * DOUBLES + EXPIRES_MS] = expiresMs
    if (!isInPlace) return
    this.#segmentOf(entry).bytes.set(value, words[at + START]! + name.length)
    words[at + USED] = 1
  }

  delete(name: Buffer): void {
    const entry = this.#find(name, this.#hash(name))
    if (entry !== NONE) this.#remove(entry)
  }

  // Entries

  #hash(name: Buffer): number {
    const hash = fnv1a(name, this.#seed)
    return hash ^ (hash >>> 15)
  }

  #find(name: Buffer, hash: number): number {
    const words = this.#words
    let entry = this.#chains[hash & (this.#chains.length - 1)]!
    while (entry !== NONE && !(words[entry * WORDS + HASH] === hash && this.#hasName(entry, name)))
      entry = words[entry * WORDS + NEXT]!
    return entry
  }

  #hasName(entry: number, name: Buffer): boolean {
    if (this.#words[entry * WORDS + NAME_BYTES] !== name.length) return false
    const { bytes } = this.#segmentOf(entry)
    const start = this.#words[entry * WORDS + START]!
    for (let at = 0; at < name.length; at++) if (bytes[start + at] !== name[at]) return false
    return true
  }

  /** At the head of its chain. */
  #newEntry(hash: number): number {
    let entry = this.#firstFree
    if (entry !== NONE) this.#firstFree = this.#words[entry * WORDS + NEXT]!
    else {
      if (this.#firstUnused === this.#chains.length) this.#grow()
      entry = this.#firstUnused++
    }
    this.#words[entry * WORDS + HASH] = hash
    this.#link(entry)
    return entry
  }

  /** Puts name and value behind those that the last segment has. Gives the entry, a new one where the name has none. */
  #lay(hash: number, name: Buffer, value: Buffer): number {
    const segment = this.#segmentFor(ENTRY_BYTES + name.length + value.length)
    // Room may have been made by dropping it.
    let entry = this.#find(name, hash)
    if (entry === NONE) entry = this.#newEntry(hash)
    else this.#liveBytes -= this.#entryBytes(entry)
    this.#words[entry * WORDS + NAME_BYTES] = name.length
    this.#words[entry * WORDS + VALUE_BYTES] = value.length
    segment.bytes.set(name, segment.usedBytes)
    segment.bytes.set(value, segment.usedBytes + name.length)
    this.#noteLaid(entry, segment)
    this.#liveBytes += this.#entryBytes(entry)
    return entry
  }

  #link(entry: number): void {
    const chain = this.#words[entry * WORDS + HASH]! & (this.#chains.length - 1)
    this.#words[entry * WORDS + NEXT] = this.#chains[chain]!
    this.#chains[chain] = entry
  }

  /** All entries are in use. */
  #grow(): void {
    const count = this.#chains.length
    const words = this.#words
    this.#chains = new Int32Array(count * 2).fill(NONE)
    this.#words = new Int32Array(count * 2 * WORDS)
    this.#doubles = new Float64Array(this.#words.buffer)
    this.#words.set(words)
    for (let entry = 0; entry < count; entry++) this.#link(entry)
  }

  #remove(entry: number): void {
    this.#liveBytes -= this.#entryBytes(entry)
    const words = this.#words
    const chain = words[entry * WORDS + HASH]! & (this.#chains.length - 1)
    const next = words[entry * WORDS + NEXT]!
    if (this.#chains[chain] === entry) this.#chains[chain] = next
    else {
      let before = this.#chains[chain]!
      while (words[before * WORDS + NEXT] !== entry) before = words[before * WORDS + NEXT]!
      words[before * WORDS + NEXT] = next
    }
    words[entry * WORDS + NEXT] = this.#firstFree
    this.#firstFree = entry
    words[entry * WORDS + SEGMENT] = NONE
  }

  #entryBytes(entry: number): number {
    const at = entry * WORDS
    return ENTRY_BYTES + this.#words[at + NAME_BYTES]! + this.#words[at + VALUE_BYTES]!
  }

  // Segments

  #segmentOf(entry: number): Segment {
    return this.#segments[this.#words[entry * WORDS + SEGMENT]! - this.#firstSegment]!
  }

  /** Its name and value are at the end of what the segment has. */
  #noteLaid(entry: number, segment: Segment): void {
    const [words, at] = [this.#words, entry * WORDS]
    words[at + SEGMENT] = segment.number
    words[at + START] = segment.usedBytes
    words[at + USED] = 0
    const entryBytes = this.#entryBytes(entry)
    segment.usedBytes += entryBytes - ENTRY_BYTES
    segment.roomBytes -= entryBytes
    segment.entries.push(entry)
  }

  #segmentFor(neededBytes: number): Segment {
    const last = this.#segments.at(-1)
    return last === undefined || last.roomBytes < neededBytes ? this.#newSegment(neededBytes) : last
  }

  /** One that has as much room, whatever moves to it. */
  #newSegment(neededBytes: number): Segment {
    const sizeBytes = Math.max(this.#segmentBytes, neededBytes)
    const bytes = this.#spare?.length === sizeBytes ? this.#spare : Buffer.allocUnsafeSlow(sizeBytes)
    this.#spare = undefined
    const number = this.#nextSegment++
    const segment: Segment = { number, bytes, usedBytes: 0, roomBytes: sizeBytes, entries: [] }
    this.#segments.push(segment)
    this.#bytes += sizeBytes
    const leftBytes = Math.max(neededBytes, sizeBytes / 2)
    while (this.#bytes > this.#bytesMax) this.#dropOldest(segment, leftBytes)
    return segment
  }

  /**
   * What was used moves on, or everything where most of the memory is values that were replaced; but the new segment keeps
   * `leftBytes` of room: half of it, or what the item needs that it is made for. With less room another segment would be made
   * for that item, and another, each taking what the one before had taken.
   */
  #dropOldest(into: Segment, leftBytes: number): void {
    const oldest = this.#segments[0]!
    const movesAll = this.#liveBytes < this.#bytesMax / 2
    for (const entry of oldest.entries) {
      const [words, at] = [this.#words, entry * WORDS]
      if (words[at + SEGMENT] !== oldest.number) continue
      const isWanted = movesAll || words[at + USED] === 1
      if (isWanted && into.roomBytes - this.#entryBytes(entry) >= leftBytes) {
        const start = words[at + START]!
        oldest.bytes.copy(into.bytes, into.usedBytes, start, start + this.#entryBytes(entry) - ENTRY_BYTES)
        this.#noteLaid(entry, into)
      } else this.#remove(entry)
    }
    this.#segments.shift()
    this.#firstSegment++
    this.#bytes -= oldest.bytes.length
    this.#spare = oldest.bytes
  }
}
