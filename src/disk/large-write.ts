/**
 * Writing a record above SMALL_RECORD_BYTES_MAX: its place is reserved under the volume's lock, the bytes are written
 * outside it, and it is published under the lock again. A failure, as a crash, leaves a hole, which a filler covers.
 */
import { toStoreError } from '../base/errors.ts'
import type { AppendTime } from './append-time.ts'
import type { Disk } from './disk.ts'
import { fillHole } from './hole.ts'
import type { NeedleWrite, NewNeedle } from './needle.ts'
import * as codec from './needle.ts'
import type { NeedleIndex } from './needle-index.ts'
import { publishEntry, writeIdxEntries } from './publish.ts'
import { sameFields, sameLargeData } from './same-needle.ts'
import type { ThreadContext } from './thread-context.ts'
import type { Volume, WriteResult } from './volume.ts'
import { FLAG, type VolumeSlot, WORD } from './volume-table.ts'

/** Written at a time. For more, Linux looks for larger runs of memory, which it has not used for long: that took twice as long. */
const PIECE_BYTES = 1024 * 1024
/** How long a large write waits before it tries again to get a place. */
const RETRY_MS = 2

interface Reservation {
  entry: number
  offsetUnits: number
  lengthBytes: number
  time: AppendTime
  handle: number
  pin: number
}

export async function writeLarge(volume: Volume, needle: NeedleWrite): Promise<WriteResult> {
  const sizeBytes = codec.needleSize(needle)
  const lengthBytes = codec.recordLength(sizeBytes)
  const frame = Buffer.allocUnsafeSlow(lengthBytes - needle.data.length)
  const encoded = codec.encodeNeedle(needle, frame, false)
  const result = { checksum: encoded.checksum, sizeBytes }
  const existing = await lookAtExisting(volume, needle, encoded.checksum)
  if (existing === 'unchanged') {
    volume.sync.noteWrite()
    return { ...result, unchanged: true }
  }
  volume.sync.prepare()
  const checksCookie = existing !== 'damaged'
  const place = await reserve(volume, needle, { lengthBytes, checksCookie }).catch((error: unknown) => {
    throw toStoreError(error)
  })
  try {
    codec.sealRecord(frame, encoded, volume.seal(place.offsetUnits, place.time), needle.data.length)
    await writePieces(volume.context.disk, place, frame, needle.data)
    if (!publishLarge(volume, needle, place, sizeBytes)) abandon(volume, place)
  } catch (error) {
    volume.noteWriteFailure(error)
    abandon(volume, place)
    throw toStoreError(error)
  } finally {
    volume.slot.unpin(place.pin)
  }
  volume.sync.noteWrite()
  return { ...result, unchanged: false }
}

/** A place at the tail, noted as being written. Waits while a compaction drains, or too many large writes run. */
async function reserve(
  volume: Volume,
  needle: NeedleWrite,
  { lengthBytes, checksCookie }: { lengthBytes: number; checksCookie: boolean },
): Promise<Reservation> {
  const { slot } = volume
  for (;;) {
    slot.lock()
    try {
      if (!slot.hasFlag(FLAG.draining)) {
        volume.assertWritable(lengthBytes)
        volume.assertMayWrite(needle)
        if (checksCookie) volume.existing.header(needle)
        const offsetUnits = slot.get(WORD.tailUnits)
        const entry = slot.addLargeWrite(offsetUnits, lengthBytes / 8)
        if (entry !== undefined) {
          const time = volume.appendClock.next(slot)
          volume.advanceTail(offsetUnits, offsetUnits + lengthBytes / 8)
          return { entry, offsetUnits, lengthBytes, time, handle: slot.get(WORD.datHandle), pin: slot.pin() }
        }
      }
    } finally {
      slot.unlock()
    }
    await volume.context.clock.sleep(RETRY_MS)
  }
}

async function writePieces(disk: Disk, place: Reservation, frame: Buffer, data: Buffer): Promise<void> {
  const position = place.offsetUnits * 8
  await disk.write(place.handle, frame, 0, codec.DATA_OFFSET, position)
  for (let at = 0; at < data.length; at += PIECE_BYTES) {
    const lengthBytes = Math.min(PIECE_BYTES, data.length - at)
    await disk.write(place.handle, data, at, lengthBytes, position + codec.DATA_OFFSET + at)
  }
  const restBytes = frame.length - codec.DATA_OFFSET
  await disk.write(
    place.handle,
    frame,
    codec.DATA_OFFSET,
    restBytes,
    position + codec.DATA_OFFSET + data.length,
  )
}

/** Makes it visible, unless a newer write or delete of the key came meanwhile: places grow with append times. */
function publishLarge(volume: Volume, needle: NewNeedle, place: Reservation, sizeBytes: number): boolean {
  const { slot, index, context } = volume
  const { keyHigh, keyLow } = needle
  slot.lock()
  try {
    if (index.get(keyHigh, keyLow) && index.offsetUnits > place.offsetUnits) return false
    const entry = { keyHigh, keyLow, offsetUnits: place.offsetUnits, sizeBytes }
    writeIdxEntries(context.disk, slot, [entry])
    publishEntry(slot, index, entry)
    volume.noteModified()
    slot.removeLargeWrite(place.entry)
    return true
  } finally {
    slot.unlock()
  }
}

/** Gives the place back: cut off when it is still the last, else covered by fillers, now or when the disk has room. */
function abandon(volume: Volume, place: Reservation): void {
  const { slot, context } = volume
  slot.lock()
  try {
    if (slot.get(WORD.tailUnits) === place.offsetUnits + place.lengthBytes / 8) {
      context.disk.truncateSync(place.handle, place.offsetUnits * 8)
      slot.set(WORD.tailUnits, place.offsetUnits)
      slot.removeLargeWrite(place.entry)
      return
    }
    slot.abandonLargeWrite(place.entry)
  } catch {
    slot.abandonLargeWrite(place.entry)
  } finally {
    slot.unlock()
  }
  coverAbandoned(context, slot, volume.index)
}

/**
 * Covers the holes that failed large writes left. What cannot be covered yet stays noted for the next call.
 * The keeper calls this from time to time.
 */
export function coverAbandoned(context: ThreadContext, slot: VolumeSlot, index: NeedleIndex): void {
  if (slot.get(WORD.largeWriteCount) === 0) return
  slot.lock()
  try {
    for (const { entry, offsetUnits, lengthUnits } of slot.abandonedLargeWrites()) {
      const time = { high: slot.get(WORD.appendNsHigh), low: slot.get(WORD.appendNsLow) }
      const place = { datHandle: slot.get(WORD.datHandle), fileSalt: slot.get(WORD.fileSalt), offsetUnits }
      const fillers = fillHole(context.disk, { ...place, lengthBytes: lengthUnits * 8, time })
      for (const filler of fillers) {
        writeIdxEntries(context.disk, slot, [filler])
        publishEntry(slot, index, filler)
      }
      slot.removeLargeWrite(entry)
    }
  } catch (error) {
    if (toStoreError(error).code !== 'disk_full') slot.setFlag(FLAG.failed)
  } finally {
    slot.unlock()
  }
}

/** `damaged`: there is a record of the key beyond trust, its cookie included. Any other one is `different`, as is none. */
async function lookAtExisting(
  volume: Volume,
  needle: NewNeedle,
  checksum: number,
): Promise<'unchanged' | 'damaged' | 'different'> {
  if (needle.ttl !== 0) return 'different'
  const fid = { volumeId: volume.id, keyHigh: needle.keyHigh, keyLow: needle.keyLow, cookie: needle.cookie }
  try {
    const stored = await volume.read(fid)
    if (stored === undefined) return 'different'
    const isLikely =
      stored.dataSizeBytes === needle.data.length &&
      stored.checksum === checksum &&
      sameFields(stored, needle)
    if (!isLikely) {
      stored.large?.close()
      return 'different'
    }
    return (await sameLargeData(stored, needle.data)) ? 'unchanged' : 'different'
  } catch (error) {
    return toStoreError(error).code === 'corrupt' ? 'damaged' : 'different'
  }
}
