/** Holes in a `.dat`: places that a failed or interrupted write left behind, and the fillers that cover them. */
import { crc32c } from '../base/checksum.ts'
import type { AppendTime } from './append-time.ts'
import type { Disk } from './disk.ts'
import { IDX_SIZE_DELETED, type IdxEntry } from './idx-entry.ts'
import * as codec from './needle.ts'

export interface Hole {
  datHandle: number
  fileSalt: number
  offsetUnits: number
  /** A multiple of 8, at least EMPTY_RECORD_BYTES. */
  lengthBytes: number
  time: AppendTime
}

/**
 * Covers a hole with fillers, in which SeaweedFS's tools see records of a key that nobody has. Returns their entries for
 * `.idx`. Not synced. Throws the disk's error.
 */
export function fillHole(disk: Disk, hole: Hole): IdxEntry[] {
  const entries: IdxEntry[] = []
  const end = hole.offsetUnits * 8 + hole.lengthBytes
  for (let start = hole.offsetUnits * 8; start < end; ) {
    const left = end - start
    const lengthBytes = left > codec.FILLER_BYTES_MAX ? codec.FILLER_BYTES_MAX / 2 : left
    const seal = {
      seed: codec.recordSeed(hole.fileSalt, start / 8),
      appendNsHigh: hole.time.high,
      appendNsLow: hole.time.low,
    }
    const checksumOf = (from: number, count: number) => checksum(disk, hole.datHandle, start + from, count)
    const { head, rest } = codec.encodeFiller(lengthBytes, seal, checksumOf)
    disk.writeSync(hole.datHandle, head, 0, head.length, start)
    if (rest.length > 0)
      disk.writeSync(hole.datHandle, rest, 0, rest.length, start + lengthBytes - rest.length)
    const size = head.readUInt32BE(12)
    entries.push({
      keyHigh: 0,
      keyLow: 0,
      offsetUnits: start / 8,
      sizeBytes: size === 0 ? IDX_SIZE_DELETED : size,
    })
    start += lengthBytes
  }
  return entries
}

function checksum(disk: Disk, handle: number, position: number, lengthBytes: number): number {
  const buffer = Buffer.allocUnsafe(Math.min(lengthBytes, 1024 * 1024))
  let crc = 0
  for (let at = 0; at < lengthBytes; at += buffer.length) {
    const wanted = Math.min(buffer.length, lengthBytes - at)
    const got = disk.readSync(handle, buffer, 0, wanted, position + at)
    buffer.fill(0, got, wanted)
    crc = crc32c(buffer.subarray(0, wanted), crc)
  }
  return crc
}
