/**
 * What names of a hashed store have, in memory, up to a number of bytes. Values lie one behind the other in segments; the
 * oldest segment goes as a whole, and what was asked for since it came there moves on.
 */
import type { BlobKey } from '../blobs/keyed-blobs.ts'
import type { Place } from './hashed-batch.ts'
import type { HashedItem } from './hashed-record.ts'

/** A name that is alone with its key, in one blob. It changes in place: a new object for each change is old by the time it is garbage. */
export class KeptItem {
  readonly name: Buffer
  readonly key: BlobKey
  readonly keyText: string
  volumeId = 0
  flags = 0
  version = 0
  expiresMs = 0
  /** Where its value lies; undefined: it is kept no more. */
  segment: Segment | undefined
  start = 0
  valueBytes = 0
  /** Since its value came there. */
  isUsed = false

  constructor(name: Buffer, { key, keyText }: Place) {
    this.name = Buffer.from(name)
    this.key = key
    this.keyText = keyText
  }

  /** As it is now. Its value lies in memory of the cache, until the next `put`. */
  get lent(): HashedItem {
    const { name, flags, version, expiresMs, start } = this
    const value = this.segment!.bytes.subarray(start, start + this.valueBytes)
    return { name, flags, version, expiresMs, value }
  }

  /** As it is now, for the caller to keep. */
  copy(): HashedItem {
    const item = this.lent
    item.value = Buffer.from(item.value)
    return item
  }
}

interface Segment {
  bytes: Buffer
  usedBytes: number
  /** Left for values and what is beside them. */
  roomBytes: number
  /** In the order in which they came; many have a value elsewhere by now. */
  entries: KeptItem[]
}

/** Of one entry, beside its value: objects, the name, and its place in the map. */
const ENTRY_BYTES = 400
const SEGMENT_BYTES_MAX = 1024 * 1024
const SEGMENTS_MIN = 16

export class HashedCache {
  readonly #bytesMax: number
  readonly #segmentBytes: number
  readonly #entries = new Map<string, KeptItem>()
  /** The oldest first; the last one takes what comes. */
  readonly #segments: Segment[] = []
  /** Memory of a segment that has gone, for the next one: what is allocated again and again is work for the collector. */
  #spare: Buffer | undefined
  #bytes = 0
  /** Of what is kept: the rest of the segments are values that were replaced. */
  #liveBytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
    this.#segmentBytes = Math.min(SEGMENT_BYTES_MAX, Math.floor(bytesMax / SEGMENTS_MIN))
  }

  /** `name`: as latin1. */
  get(name: string): KeptItem | undefined {
    const entry = this.#entries.get(name)
    if (entry !== undefined) entry.isUsed = true
    return entry
  }

  /** Copies what it keeps of the item. */
  put(name: string, item: HashedItem, place: Place): void {
    const neededBytes = ENTRY_BYTES + item.value.length
    if (neededBytes > this.#bytesMax / SEGMENTS_MIN) return this.delete(name)
    const segment = this.#segmentFor(neededBytes)
    let entry = this.#entries.get(name)
    if (entry === undefined) {
      entry = new KeptItem(item.name, place)
      this.#entries.set(name, entry)
    } else this.#liveBytes -= ENTRY_BYTES + entry.valueBytes
    entry.volumeId = place.volumeId
    entry.flags = item.flags
    entry.version = item.version
    entry.expiresMs = item.expiresMs
    lay(entry, item.value, segment)
    this.#liveBytes += neededBytes
  }

  delete(name: string): void {
    const entry = this.#entries.get(name)
    if (entry === undefined) return
    this.#liveBytes -= ENTRY_BYTES + entry.valueBytes
    entry.segment = undefined
    this.#entries.delete(name)
  }

  #segmentFor(neededBytes: number): Segment {
    let last = this.#segments.at(-1)
    while (last === undefined || last.roomBytes < neededBytes) last = this.#newSegment(neededBytes)
    return last
  }

  #newSegment(neededBytes: number): Segment {
    const sizeBytes = Math.max(this.#segmentBytes, neededBytes)
    const bytes = this.#spare?.length === sizeBytes ? this.#spare : Buffer.allocUnsafeSlow(sizeBytes)
    this.#spare = undefined
    const segment: Segment = { bytes, usedBytes: 0, roomBytes: sizeBytes, entries: [] }
    this.#segments.push(segment)
    this.#bytes += sizeBytes
    while (this.#bytes > this.#bytesMax) this.#dropOldest(segment)
    return segment
  }

  /**
   * What was used moves on, or everything where most of the memory is values that were replaced; but no more than half of the
   * new segment.
   */
  #dropOldest(into: Segment): void {
    const oldest = this.#segments.shift()!
    this.#bytes -= oldest.bytes.length
    const movesAll = this.#liveBytes < this.#bytesMax / 2
    for (const entry of oldest.entries) {
      if (entry.segment !== oldest) continue
      const roomBytes = into.roomBytes - ENTRY_BYTES - entry.valueBytes
      if ((entry.isUsed || movesAll) && roomBytes >= into.bytes.length / 2) lay(entry, entry.lent.value, into)
      else this.delete(entry.name.toString('latin1'))
    }
    this.#spare = oldest.bytes
  }
}

/** Puts an entry's value behind those that the segment has. */
function lay(entry: KeptItem, value: Buffer, segment: Segment): void {
  entry.segment = segment
  entry.start = segment.usedBytes
  entry.valueBytes = value.length
  entry.isUsed = false
  segment.bytes.set(value, segment.usedBytes)
  segment.usedBytes += value.length
  segment.roomBytes -= ENTRY_BYTES + value.length
  segment.entries.push(entry)
}
