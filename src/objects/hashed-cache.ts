/**
 * What names of a hashed store have, in memory, up to a number of bytes. Values lie one behind the other in segments; the
 * oldest segment goes as a whole, and what was asked for since it came there moves on.
 */
import type { BlobKey } from '../blobs/keyed-blobs.ts'
import type { HashedItem } from './hashed-record.ts'

/** A name that is alone with its key, in one blob. */
export interface KeptItem {
  item: HashedItem
  readonly key: BlobKey
  readonly keyText: string
  volumeId: number
}

interface Entry extends KeptItem {
  /** Where its value lies; undefined: it is kept no more. */
  segment: Segment | undefined
  /** Since it came there. */
  isUsed: boolean
}

interface Segment {
  bytes: Buffer
  usedBytes: number
  /** Left for values and what is beside them. */
  roomBytes: number
  /** In the order in which they came; many have a value elsewhere by now. */
  entries: Entry[]
}

/** Of one entry, beside its value: objects, the name, and its place in the map. */
const ENTRY_BYTES = 400
const SEGMENT_BYTES_MAX = 1024 * 1024
const SEGMENTS_MIN = 16

export class HashedCache {
  readonly #bytesMax: number
  readonly #segmentBytes: number
  readonly #entries = new Map<string, Entry>()
  /** The oldest first; the last one takes what comes. */
  readonly #segments: Segment[] = []
  #bytes = 0

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
  put(name: string, item: HashedItem, at: { key: BlobKey; keyText: string; volumeId: number }): void {
    const neededBytes = ENTRY_BYTES + item.value.length
    if (neededBytes > this.#bytesMax / SEGMENTS_MIN) return this.delete(name)
    const segment = this.#segmentFor(neededBytes)
    let entry = this.#entries.get(name)
    if (entry === undefined) {
      entry = { ...at, item: { ...item, name: Buffer.from(item.name) }, segment, isUsed: false }
      this.#entries.set(name, entry)
    } else {
      const { flags, version, expiresMs, value } = item
      entry.item = { name: entry.item.name, flags, version, expiresMs, value }
      entry.volumeId = at.volumeId
    }
    lay(entry, segment)
  }

  delete(name: string): void {
    const entry = this.#entries.get(name)
    if (entry === undefined) return
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
    const bytes = Buffer.allocUnsafeSlow(sizeBytes)
    const segment: Segment = { bytes, usedBytes: 0, roomBytes: sizeBytes, entries: [] }
    this.#segments.push(segment)
    this.#bytes += sizeBytes
    while (this.#bytes > this.#bytesMax) this.#dropOldest(segment)
    return segment
  }

  /** What was used moves on, as long as it does not take more than half of the new segment. */
  #dropOldest(into: Segment): void {
    const oldest = this.#segments.shift()!
    this.#bytes -= oldest.bytes.length
    for (const entry of oldest.entries) {
      if (entry.segment !== oldest) continue
      const { item, isUsed } = entry
      const moves = isUsed && into.roomBytes - ENTRY_BYTES - item.value.length >= into.bytes.length / 2
      if (moves) lay(entry, into)
      else this.delete(item.name.toString('latin1'))
    }
  }
}

/** Puts an entry's value behind those that the segment has. Who was given the value before keeps its memory. */
function lay(entry: Entry, segment: Segment): void {
  const { value } = entry.item
  const start = segment.usedBytes
  segment.bytes.set(value, start)
  segment.usedBytes += value.length
  segment.roomBytes -= ENTRY_BYTES + value.length
  segment.entries.push(entry)
  entry.item.value = segment.bytes.subarray(start, segment.usedBytes)
  entry.segment = segment
  entry.isUsed = false
}
