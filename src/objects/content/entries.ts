/** Entries of contents as rows hold them: blobs of 20 bytes, segments of 32. `docs/formats/metadata.md` has the layout. */
import { assert } from '../../base/assert.ts'
import type { BlobId } from '../../blobs/blob-store.ts'

export const BLOB_ENTRY_BYTES = 20
export const SEGMENT_ENTRY_BYTES = 32
const CONTENT_ID_BYTES = 16

/** A blob of an object, and how many of its bytes it has. */
export interface BlobEntry extends BlobId {
  sizeBytes: number
}

/** A piece of another content. */
export interface SegmentEntry {
  contentId: Buffer
  offset: number
  sizeBytes: number
}

export function packBlobs(entries: readonly BlobEntry[]): Buffer {
  const bytes = Buffer.allocUnsafe(entries.length * BLOB_ENTRY_BYTES)
  let at = 0
  for (const { volumeId, keyHigh, keyLow, cookie, sizeBytes } of entries) {
    for (const word of [volumeId, keyHigh, keyLow, cookie, sizeBytes]) at = bytes.writeUInt32BE(word, at)
  }
  return bytes
}

/** The entry at an index of packed ones. */
export function blobAt(bytes: Buffer, index: number): BlobEntry {
  const at = index * BLOB_ENTRY_BYTES
  return {
    volumeId: bytes.readUInt32BE(at),
    keyHigh: bytes.readUInt32BE(at + 4),
    keyLow: bytes.readUInt32BE(at + 8),
    cookie: bytes.readUInt32BE(at + 12),
    sizeBytes: bytes.readUInt32BE(at + 16),
  }
}

export function unpackBlobs(bytes: Buffer): BlobEntry[] {
  assert(bytes.length % BLOB_ENTRY_BYTES === 0, 'packed blobs are whole')
  return Array.from({ length: bytes.length / BLOB_ENTRY_BYTES }, (_, index) => blobAt(bytes, index))
}

export function packSegments(entries: readonly SegmentEntry[]): Buffer {
  const bytes = Buffer.alloc(entries.length * SEGMENT_ENTRY_BYTES)
  let at = 0
  for (const { contentId, offset, sizeBytes } of entries) {
    assert(contentId.length === CONTENT_ID_BYTES, 'a content id has 16 bytes')
    contentId.copy(bytes, at)
    writeU64(bytes, offset, at + 16)
    writeU64(bytes, sizeBytes, at + 24)
    at += SEGMENT_ENTRY_BYTES
  }
  return bytes
}

export function unpackSegments(bytes: Buffer): SegmentEntry[] {
  assert(bytes.length % SEGMENT_ENTRY_BYTES === 0, 'packed segments are whole')
  const entries: SegmentEntry[] = []
  for (let at = 0; at < bytes.length; at += SEGMENT_ENTRY_BYTES) {
    entries.push({
      contentId: bytes.subarray(at, at + CONTENT_ID_BYTES),
      offset: readU64(bytes, at + 16),
      sizeBytes: readU64(bytes, at + 24),
    })
  }
  return entries
}

const U32 = 2 ** 32

/** A number below 2^53. */
export function readU64(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * U32 + bytes.readUInt32BE(at + 4)
}

export function writeU64(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32BE(Math.floor(value / U32), at)
  bytes.writeUInt32BE(value % U32, at + 4)
}
