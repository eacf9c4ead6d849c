/**
 * Which keys a volume has, for those who compare volumes that ought to have the same ones: in the order of the keys, from
 * the needle index; or what came since a place in `.idx`. All of it a little at a time, and without the volume's lock.
 */
import { StoreError, toStoreError } from '../base/errors.ts'
import { appendTimeToMs } from './append-time.ts'
import { readIfReadable } from './dead-sectors.ts'
import { decodeIdxEntry, IDX_ENTRY_BYTES, IDX_SIZE_DELETED } from './idx-entry.ts'
import * as codec from './needle.ts'
import { type IndexEntries, indexEntries } from './needle-index.ts'
import { isFillerKey } from './publish.ts'
import type { Volume } from './volume.ts'
import { STATE, WORD } from './volume-table.ts'

export interface Key {
  keyHigh: number
  keyLow: number
}

export interface KeyState extends Key {
  deleted: boolean
}

/** Some keys in their order. */
export interface KeyRange {
  keys: KeyState[]
  /** All keys up to this one, it included, are in the range; undefined: to the last there is. */
  through: Key | undefined
}

export interface NewEntries {
  /** Names the present files: another one means that places in the files before mean nothing. */
  epoch: number
  /** Entries of `.idx` so far. */
  entries: number
  /** What the asked entries speak of, in the order of their coming. Empty where another epoch was asked for. */
  keys: KeyState[]
}

/** What a volume says of a key, from the record's head and tail, unverified. */
export type NeedleState =
  | { kind: 'absent' }
  | { kind: 'deleted' }
  /** The head or tail cannot be read, or is another key's. */
  | { kind: 'damaged' }
  | { kind: 'live'; cookie: number; sizeBytes: number; appendedMs: number }

export function compareKeys(a: Key, b: Key): number {
  return a.keyHigh - b.keyHigh || a.keyLow - b.keyLow
}

/** Undefined after the last possible key. */
export function nextKey({ keyHigh, keyLow }: Key): Key | undefined {
  if (keyLow < 0xffffffff) return { keyHigh, keyLow: keyLow + 1 }
  return keyHigh < 0xffffffff ? { keyHigh: keyHigh + 1, keyLow: 0 } : undefined
}

/** The part of a range up to a key; undefined: to the end. */
export function cutRange(range: KeyRange, through: Key | undefined): KeyRange {
  if (through === undefined || (range.through !== undefined && compareKeys(range.through, through) <= 0))
    return range
  return { keys: range.keys.filter((key) => compareKeys(key, through) <= 0), through }
}

/**
 * At least `countMax` keys from `from` on, or all up to `through`, unless there are no more; a page of the index more at
 * most.
 */
export function readKeys(volume: Volume, from: Key, countMax: number, through?: Key): KeyRange {
  const page = indexEntries()
  const keys: KeyState[] = []
  for (let at: IndexEntries['next'] = from; at !== undefined; at = page.next) {
    volume.index.readFrom(at.keyHigh, at.keyLow, page)
    for (let i = 0; i < page.count; i++) {
      const [keyHigh, keyLow] = [page.keyHighs[i] as number, page.keyLows[i] as number]
      keys.push({ keyHigh, keyLow, deleted: page.deleted[i] === 1 })
    }
    const last = keys.at(-1)
    if (last === undefined || page.next === undefined) continue
    const isThrough = through !== undefined && compareKeys(last, through) >= 0
    if (isThrough || keys.length >= countMax) return { keys, through: last }
  }
  return { keys, through: undefined }
}

/** Up to `countMax` entries from a place on. Throws `volume_not_found`, `io_error`. */
export function readNewEntries(
  volume: Volume,
  from: { epoch: number | undefined; entries: number },
  countMax: number,
): NewEntries {
  return pinned(volume, () => {
    const { slot, context } = volume
    const epoch = slot.get(WORD.fileSalt) >>> 0
    const entries = slot.get(WORD.idxEntries)
    const count = Math.min(countMax, entries - from.entries)
    if (from.epoch !== epoch || count <= 0) return { epoch, entries, keys: [] }
    const block = Buffer.allocUnsafe(count * IDX_ENTRY_BYTES)
    const position = from.entries * IDX_ENTRY_BYTES
    const bytes = context.disk.readSync(slot.get(WORD.idxHandle), block, 0, block.length, position)
    const keys: KeyState[] = []
    for (let at = 0; at + IDX_ENTRY_BYTES <= bytes; at += IDX_ENTRY_BYTES) {
      const { keyHigh, keyLow, sizeBytes } = decodeIdxEntry(block, at)
      if (!isFillerKey({ keyHigh, keyLow }))
        keys.push({ keyHigh, keyLow, deleted: sizeBytes === IDX_SIZE_DELETED })
    }
    return { epoch, entries: from.entries + Math.floor(bytes / IDX_ENTRY_BYTES), keys }
  })
}

/** Throws `volume_not_found`. */
export function needleState(volume: Volume, key: Key): NeedleState {
  return pinned(volume, () => {
    const { index } = volume
    if (!index.get(key.keyHigh, key.keyLow)) return { kind: 'absent' }
    if (index.deleted) return { kind: 'deleted' }
    return readState(volume, key, { start: index.offsetUnits * 8, lengthBytes: index.lengthUnits * 8 })
  })
}

/**
 * The cookie in the record of a key that is not deleted, whatever it is worth; undefined: there is no record. Of one that cannot be
 * read any will do.
 */
export function storedCookie(volume: Volume, key: Key): number | undefined {
  return pinned(volume, () => {
    const { index, context, slot } = volume
    if (!index.get(key.keyHigh, key.keyLow) || index.deleted) return undefined
    const head = Buffer.alloc(codec.HEADER_BYTES)
    const file = { handle: slot.get(WORD.datHandle), position: index.offsetUnits * 8 }
    return readIfReadable(context.disk, file, head) === 0 ? 0 : codec.decodeHeader(head).cookie
  })
}

function readState(
  volume: Volume,
  key: Key,
  { start, lengthBytes }: { start: number; lengthBytes: number },
): NeedleState {
  const { disk } = volume.context
  const handle = volume.slot.get(WORD.datHandle)
  const head = Buffer.alloc(codec.HEADER_BYTES)
  const tail = Buffer.alloc(codec.TAIL_BYTES)
  try {
    const headBytes = disk.readSync(handle, head, 0, head.length, start)
    const header = codec.decodeHeader(head)
    const { keyHigh, keyLow, cookie, sizeBytes } = header
    const tailAt = start + codec.HEADER_BYTES + sizeBytes
    const isRight =
      headBytes === head.length &&
      keyHigh === key.keyHigh &&
      keyLow === key.keyLow &&
      codec.recordLength(sizeBytes) === lengthBytes
    if (!isRight || disk.readSync(handle, tail, 0, tail.length, tailAt) < tail.length)
      return { kind: 'damaged' }
    const time = { high: tail.readUInt32BE(4), low: tail.readUInt32BE(8) }
    return { kind: 'live', cookie, sizeBytes, appendedMs: Math.floor(appendTimeToMs(time)) }
  } catch {
    return { kind: 'damaged' }
  }
}

/** Index and files of one generation; a compaction in between makes it begin again. */
function pinned<T>(volume: Volume, step: () => T): T {
  const { slot } = volume
  for (;;) {
    const { generation } = slot
    const pin = slot.pin()
    try {
      if (slot.get(WORD.state) !== STATE.active || slot.get(WORD.volumeId) !== volume.id)
        throw new StoreError('volume_not_found', `volume ${volume.id} is not here any more`)
      const result = step()
      if (slot.generation === generation) return result
    } catch (error) {
      throw toStoreError(error)
    } finally {
      slot.unpin(pin)
    }
  }
}
