/** One entry of a `.idx` file, 16 bytes: key u64, offset / 8 u32, size u32 (0xFFFFFFFF = deleted). SeaweedFS's format. */

export const IDX_ENTRY_BYTES = 16
export const IDX_SIZE_DELETED = 0xffffffff

export interface IdxEntry {
  keyHigh: number
  keyLow: number
  offsetUnits: number
  /** The record's size field, or IDX_SIZE_DELETED. */
  sizeBytes: number
}

export function encodeIdxEntry(entry: IdxEntry, into: Buffer, at = 0): void {
  into.writeUInt32BE(entry.keyHigh, at)
  into.writeUInt32BE(entry.keyLow, at + 4)
  into.writeUInt32BE(entry.offsetUnits, at + 8)
  into.writeUInt32BE(entry.sizeBytes, at + 12)
}

export function decodeIdxEntry(from: Buffer, at = 0): IdxEntry {
  return {
    keyHigh: from.readUInt32BE(at),
    keyLow: from.readUInt32BE(at + 4),
    offsetUnits: from.readUInt32BE(at + 8),
    sizeBytes: from.readUInt32BE(at + 12),
  }
}
