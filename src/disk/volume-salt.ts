/** Finding a volume's salt in its records, should `.cairn` be lost: a CRC is linear in its start value. */
import type { Disk } from './disk.ts'
import * as codec from './needle.ts'
import { SUPER_BLOCK_BYTES } from './super-block.ts'

const RECORDS_MAX = 100_000
const RECORD_BYTES_MAX = 4 * 1024 * 1024
const VOTES_MAX = 16

/** The salt on which most of the first records with a trailer agree; undefined when none has one. */
export function saltFromRecords(
  disk: Disk,
  datHandle: number,
  compactionRevision: number,
): number | undefined {
  const endBytes = disk.sizeSync(datHandle)
  const votes = new Map<number, number>()
  const header = Buffer.alloc(codec.HEADER_BYTES)
  let found = 0
  for (let at = SUPER_BLOCK_BYTES, records = 0; found < VOTES_MAX && records < RECORDS_MAX; records++) {
    if (disk.readSync(datHandle, header, 0, header.length, at) < header.length) break
    const lengthBytes = codec.recordLength(header.readUInt32BE(12))
    if (at + lengthBytes > endBytes) break
    if (lengthBytes <= RECORD_BYTES_MAX) {
      const record = Buffer.allocUnsafe(lengthBytes)
      disk.readSync(datHandle, record, 0, lengthBytes, at)
      const seed = codec.seedOfRecord(record)
      if (seed !== undefined) {
        const salt = codec.revisionSalt(codec.recordSeed(seed, at / 8), compactionRevision)
        votes.set(salt, (votes.get(salt) ?? 0) + 1)
        found++
      }
    }
    at += lengthBytes
  }
  return [...votes].sort((a, b) => b[1] - a[1])[0]?.[0]
}
