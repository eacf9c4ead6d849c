/**
 * Writing a record above SMALL_RECORD_BYTES_MAX: its place is reserved under the volume's lock, the bytes are written
 * outside it, and it is published under the lock again. A failure, as a crash, leaves a hole, which a filler covers.
 */
import { crc32c } from '../base/checksum.ts'
import { toStoreError } from '../base/errors.ts'
import type { AppendTime } from './append-time.ts'
import type { Disk } from './disk.ts'
import { sameLargeData } from './large-record.ts'
import * as codec from './needle.ts'
import type { NewNeedle } from './needle.ts'
import type { Volume, WriteResult } from './volume.ts'
import { FLAG, type VolumeSlot, WORD } from './volume-table.ts'

const PIECE_BYTES = 4 * 1024 * 1024
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

export async function writeLarge(volume: Volume, needle: NewNeedle): Promise<WriteResult> {
  const sizeBytes = codec.needleSize(needle)
  const lengthBytes = codec.recordLength(sizeBytes)
  const frame = Buffer.allocUnsafeSlow(lengthBytes - needle.data.length)
  const encoded = codec.encodeNeedle(needle, frame, false)
  const result = { checksum: encoded.checksum, sizeBytes }
  if (await isUnchanged(volume, needle, encoded.checksum)) {
    volume.sync.noteWrite()
    return { ...result, unchanged: true }
  }
  volume.sync.prepare()
  const place = await reserve(volume, needle, lengthBytes)
  try {
    codec.sealRecord(frame, encoded, volume.seal(place.offsetUnits, place.time), needle.data.length)
    await writePieces(volume.context.disk, place, frame, needle.data)
    publishLarge(volume, needle, place, sizeBytes)
  } catch (error) {
    await abandon(volume, place, error)
    throw toStoreError(error)
  } finally {
    volume.slot.unpin(place.pin)
  }
  volume.sync.noteWrite()
  return { ...result, unchanged: false }
}

/** A place at the tail, noted as being written. Waits while a compaction drains, or too many large writes run. */
async function reserve(volume: Volume, needle: NewNeedle, lengthBytes: number): Promise<Reservation> {
  const { slot } = volume
  for (;;) {
    slot.lock()
    try {
      if (!slot.hasFlag(FLAG.draining)) {
        volume.assertWritable(lengthBytes)
        volume.existingHeader(needle)
        const offsetUnits = slot.get(WORD.tailUnits)
        const entry = slot.addLargeWrite(offsetUnits)
        if (entry !== undefined) {
          const time = volume.appendClock.next(slot)
          slot.set(WORD.tailUnits, offsetUnits + lengthBytes / 8)
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
  await disk.write(place.handle, frame, codec.DATA_OFFSET, restBytes, position + codec.DATA_OFFSET + data.length)
}

/** Makes it visible, unless a newer write or delete of the key came meanwhile: places grow with append times. */
function publishLarge(volume: Volume, needle: NewNeedle, place: Reservation, sizeBytes: number): void {
  const { slot, index } = volume
  const { keyHigh, keyLow } = needle
  slot.lock()
  try {
    const superseded = index.get(keyHigh, keyLow) && index.offsetUnits > place.offsetUnits
    if (!superseded) {
      const entry = { keyHigh, keyLow, offsetUnits: place.offsetUnits, sizeBytes }
      volume.writeIdxEntry(entry)
      volume.publish(entry, place.lengthBytes)
    }
    slot.removeLargeWrite(place.entry)
  } finally {
    slot.unlock()
  }
}

/** Gives the place back: cut off when it is still the last, else covered by fillers. */
async function abandon(volume: Volume, place: Reservation, cause: unknown): Promise<void> {
  const { slot, context } = volume
  volume.noteWriteFailure(cause)
  try {
    slot.lock()
    try {
      if (slot.get(WORD.tailUnits) === place.offsetUnits + place.lengthBytes / 8) {
        context.disk.truncateSync(place.handle, place.offsetUnits * 8)
        slot.set(WORD.tailUnits, place.offsetUnits)
        return
      }
    } finally {
      slot.unlock()
    }
    fillHole(context.disk, slot, { ...place, datHandle: place.handle })
  } catch {
    slot.setFlag(FLAG.failed)
  } finally {
    slot.lock()
    slot.removeLargeWrite(place.entry)
    slot.unlock()
  }
}

export interface Hole {
  datHandle: number
  offsetUnits: number
  lengthBytes: number
  time: AppendTime
}

/** Covers a hole with fillers, of which SeaweedFS's tools see records of a key that nobody has. Throws the disk's error. */
export function fillHole(disk: Disk, slot: VolumeSlot, hole: Hole): void {
  const buffer = Buffer.allocUnsafeSlow(1024 * 1024)
  const end = hole.offsetUnits * 8 + hole.lengthBytes
  for (let start = hole.offsetUnits * 8; start < end; ) {
    const left = end - start
    const lengthBytes = left > codec.FILLER_BYTES_MAX ? codec.FILLER_BYTES_MAX / 2 : left
    const checksumOf = (from: number, count: number) => {
      let crc = 0
      for (let at = 0; at < count; at += buffer.length) {
        const wanted = Math.min(buffer.length, count - at)
        const got = disk.readSync(hole.datHandle, buffer, 0, wanted, start + from + at)
        buffer.fill(0, got, wanted)
        crc = crc32c(buffer.subarray(0, wanted), crc)
      }
      return crc
    }
    const seed = codec.recordSeed(slot.get(WORD.salt), start / 8)
    const seal = { seed, appendNsHigh: hole.time.high, appendNsLow: hole.time.low }
    const { head, rest } = codec.encodeFiller(lengthBytes, seal, checksumOf)
    disk.writeSync(hole.datHandle, head, 0, head.length, start)
    disk.writeSync(hole.datHandle, rest, 0, rest.length, start + lengthBytes - rest.length)
    start += lengthBytes
  }
}

async function isUnchanged(volume: Volume, needle: NewNeedle, checksum: number): Promise<boolean> {
  if (needle.ttl !== 0) return false
  const fid = { volumeId: volume.id, keyHigh: needle.keyHigh, keyLow: needle.keyLow, cookie: needle.cookie }
  const stored = await Promise.resolve(volume.read(fid)).catch(() => undefined)
  if (stored === undefined) return false
  if (stored.dataSizeBytes !== needle.data.length || stored.checksum !== checksum || !sameFields(stored, needle)) {
    stored.large?.close()
    return false
  }
  return sameLargeData(stored, needle.data).catch(() => false)
}

/** The fields that a user gives, the time aside. */
export function sameFields(stored: codec.Needle, given: NewNeedle): boolean {
  return (
    stored.gzipped === given.gzipped &&
    stored.manifest === given.manifest &&
    sameBytes(stored.name, given.name) &&
    sameBytes(stored.mime, given.mime) &&
    sameBytes(stored.pairs, given.pairs)
  )
}

function sameBytes(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b)
}
