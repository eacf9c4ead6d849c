/**
 * The needle codec: one record of a volume file, SeaweedFS's version 3 with Cairn's trailer.
 *
 *   cookie u32 | key u64 | size u32 | dataSize u32 | data | flags u8 | name | mime | lastModified | ttl | pairs | trailer
 *   | CRC32C of data u32 | append time u64 ns | padding to a multiple of 8, never 0 bytes
 *
 * `size` counts from dataSize to the trailer. The trailer ends in: length u16 | version u8 | CRC32C u32, that CRC covering
 * all of the record but data and padding, seeded with the volume's salt and the record's place. So a flipped bit is
 * found, and bytes that look like a record but were not written here, at this place of this volume, are not one.
 * Full description: `docs/formats/volume.md`. All integers big-endian.
 */
import { assert } from '../base/assert.ts'
import { crc32c, crc32cBetween, crc32cShift, joinCrc32c, solveCrc32cStart } from '../base/checksum.ts'
import { StoreError } from '../base/errors.ts'
import * as limits from '../base/limits.ts'

export const HEADER_BYTES = 16
/** CRC32C of the data and append time, behind `size`. */
export const TAIL_BYTES = 12
/** A record of size 0: a delete marker or an empty file. */
export const EMPTY_RECORD_BYTES = 32
const TRAILER_VERSION = 1
/** length, version, CRC32C. */
const TRAILER_END_BYTES = 7
export const DATA_OFFSET = HEADER_BYTES + 4

export const FLAG_GZIP = 0x01
export const FLAG_NAME = 0x02
export const FLAG_MIME = 0x04
export const FLAG_LAST_MODIFIED = 0x08
export const FLAG_TTL = 0x10
export const FLAG_PAIRS = 0x20
export const FLAG_TRAILER = 0x40
export const FLAG_MANIFEST = 0x80

/** What a writer gives. */
export interface NewNeedle {
  keyHigh: number
  keyLow: number
  cookie: number
  data: Buffer
  gzipped: boolean
  manifest: boolean
  /** UTF-8, at most NAME_BYTES_MAX. */
  name: Buffer | undefined
  /** At most MIME_BYTES_MAX. */
  mime: Buffer | undefined
  /** Seconds since 1970, below 2^40. */
  lastModifiedS: number | undefined
  /** count << 8 | unit; 0 = none. */
  ttl: number
  /** A JSON object as text, at most PAIRS_BYTES_MAX. */
  pairs: Buffer | undefined
}

export interface NeedleWrite extends NewNeedle {
  /** A repair: `not_found` instead of a write where the volume knows that the key was deleted. */
  isRepair?: boolean
  /** The writer knows the key's cookie, and that what it has is not the same: that is not looked at. */
  isKnownToDiffer?: boolean
}

/** A needle of bytes and nothing else. */
export function bytesNeedle(
  id: { keyHigh: number; keyLow: number; cookie: number },
  data: Buffer,
): NewNeedle {
  return {
    keyHigh: id.keyHigh,
    keyLow: id.keyLow,
    cookie: id.cookie,
    data,
    gzipped: false,
    manifest: false,
    name: undefined,
    mime: undefined,
    lastModifiedS: undefined,
    ttl: 0,
    pairs: undefined,
  }
}

/** What a reader gets, verified. */
export interface Needle {
  keyHigh: number
  keyLow: number
  cookie: number
  /** The record's `size` field; 0 for an empty file. */
  sizeBytes: number
  dataSizeBytes: number
  /** CRC32C of the stored data. */
  checksum: number
  gzipped: boolean
  manifest: boolean
  name: Buffer | undefined
  mime: Buffer | undefined
  lastModifiedS: number | undefined
  ttl: number
  pairs: Buffer | undefined
  appendNsHigh: number
  appendNsLow: number
  /** All of the data, unless `large` is there. When `borrowed`, valid only until this thread's next read. */
  data: Buffer | undefined
  borrowed: boolean
  /** A way to the data of a record above SMALL_RECORD_BYTES_MAX. */
  large: LargeData | undefined
}

export interface LargeData {
  /** The bytes from `start` up to `end` in pieces of at most 1 MiB, each verified, each the caller's to keep, or to give back (`LentPiece`). */
  read(start: number, end: number): AsyncIterable<Buffer>
  /** Call it once, always. */
  close(): void
  /** All of the data, verified, into memory of exactly its length. Throws `corrupt`, `io_error`. */
  readInto(whole: Buffer): Promise<void>
}

/** What a record is, when its fields are decoded but its data not yet verified. */
export interface RecordFields {
  needle: Needle
  /** Where the block CRCs are in the record; 0 when there are none. */
  blockChecksumsOffset: number
  hasTrailer: boolean
}

/** Length in bytes of the whole record with that `size`. */
export function recordLength(sizeBytes: number): number {
  const unpadded = HEADER_BYTES + sizeBytes + TAIL_BYTES
  return unpadded + 8 - (unpadded % 8)
}

/** The salt of one generation of a volume's files: what a compaction left behind is no record of the new file. */
export function revisionSalt(salt: number, compactionRevision: number): number {
  return (salt ^ Math.imul(compactionRevision, 0x85ebca6b)) >>> 0
}

/** The start value of a record's checksums: bound to the file by its `revisionSalt`, and to the place by the offset. */
export function recordSeed(fileSalt: number, offsetUnits: number): number {
  return (fileSalt ^ Math.imul(offsetUnits, 0x9e3779b1)) >>> 0
}

function blockCount(dataBytes: number): number {
  return dataBytes > limits.CHECKSUM_BLOCK_BYTES ? Math.ceil(dataBytes / limits.CHECKSUM_BLOCK_BYTES) : 0
}

function trailerLength(dataBytes: number): number {
  return TAIL_BYTES + blockCount(dataBytes) * 4 + TRAILER_END_BYTES
}

/** All of a record but its data is at most this long. */
export const FRAME_BYTES_MAX =
  DATA_OFFSET + 1 + 2 * 256 + 5 + 2 + 2 + limits.PAIRS_BYTES_MAX + 65_535 + TAIL_BYTES + 8

/** Largest data whose trailer length fits in 16 bits. */
export const DATA_BYTES_MAX =
  Math.floor((65_535 - TAIL_BYTES - TRAILER_END_BYTES) / 4) * limits.CHECKSUM_BLOCK_BYTES

/** The `size` field that a needle will have. */
export function needleSize(needle: NewNeedle): number {
  if (isEmpty(needle)) return 0
  let size = 4 + needle.data.length + 1 + trailerLength(needle.data.length)
  if (needle.name !== undefined) size += 1 + needle.name.length
  if (needle.mime !== undefined) size += 1 + needle.mime.length
  if (needle.lastModifiedS !== undefined) size += 5
  if (needle.ttl !== 0) size += 2
  if (needle.pairs !== undefined) size += 2 + needle.pairs.length
  return size
}

/** As in SeaweedFS, a file of no bytes keeps none of its other fields. */
function isEmpty(needle: NewNeedle): boolean {
  return needle.data.length === 0
}

/** Throws `too_large` or `bad_request` for what the format cannot hold. */
export function checkNeedle(needle: NewNeedle): void {
  if (needle.data.length > DATA_BYTES_MAX)
    throw new StoreError('too_large', `data above ${DATA_BYTES_MAX} bytes`)
  if (needle.name !== undefined && needle.name.length > limits.NAME_BYTES_MAX) {
    throw new StoreError('too_large', `name above ${limits.NAME_BYTES_MAX} bytes`)
  }
  if (needle.mime !== undefined && needle.mime.length > limits.MIME_BYTES_MAX) {
    throw new StoreError('too_large', `mime above ${limits.MIME_BYTES_MAX} bytes`)
  }
  if (needle.pairs !== undefined && needle.pairs.length > limits.PAIRS_BYTES_MAX) {
    throw new StoreError('too_large', `pairs above ${limits.PAIRS_BYTES_MAX} bytes`)
  }
  const modified = needle.lastModifiedS
  if (modified !== undefined && !(Number.isInteger(modified) && modified >= 0 && modified < 2 ** 40)) {
    throw new StoreError('bad_request', `last modified out of range: ${modified}`)
  }
}

/** A record that still lacks place and time, which `sealRecord` adds. */
export interface EncodedNeedle {
  sizeBytes: number
  lengthBytes: number
  checksum: number
}

/**
 * Writes a record with room for it at `into[at]`; place and time follow by `sealRecord`. With `copyData` false the data's
 * place is left as it is and the bytes behind the data come right behind the head, for records written in pieces.
 */
export function encodeNeedle(needle: NewNeedle, into: Buffer, copyData = true): EncodedNeedle {
  const { data } = needle
  const sizeBytes = needleSize(needle)
  const lengthBytes = recordLength(sizeBytes)
  writeHeader(into, needle, sizeBytes)
  if (sizeBytes === 0) {
    into.fill(0, HEADER_BYTES, EMPTY_RECORD_BYTES)
    return { sizeBytes, lengthBytes, checksum: 0 }
  }
  into.writeUInt32BE(data.length, HEADER_BYTES)
  if (copyData) into.set(data, DATA_OFFSET)
  let at = writeFields(needle, into, DATA_OFFSET + (copyData ? data.length : 0))
  const trailerAt = at
  at += TAIL_BYTES
  const blocks = blockCount(data.length)
  for (let i = 0; i < blocks; i++) {
    const start = i * limits.CHECKSUM_BLOCK_BYTES
    at = into.writeUInt32BE(crc32c(data.subarray(start, start + limits.CHECKSUM_BLOCK_BYTES)), at)
  }
  const checksum = blocks === 0 ? crc32c(data) : checksumOfBlocks(into, trailerAt + TAIL_BYTES, data.length)
  at = into.writeUInt16BE(at - trailerAt + TRAILER_END_BYTES, at)
  at = into.writeUInt8(TRAILER_VERSION, at)
  at = into.writeUInt32BE(checksum, at + 4)
  for (const end = at + lengthBytes - HEADER_BYTES - sizeBytes - 4; at < end; at++) into[at] = 0
  return { sizeBytes, lengthBytes, checksum }
}

/** That of the data, from those of its blocks: it is not read twice. */
function checksumOfBlocks(record: Buffer, at: number, dataBytes: number): number {
  const [blocks, blockBytes] = [blockCount(dataBytes), limits.CHECKSUM_BLOCK_BYTES]
  const shift = crc32cShift(blockBytes)
  const lastBytes = dataBytes - (blocks - 1) * blockBytes
  let checksum = 0
  for (let i = 0; i < blocks; i++) {
    const isShort = i === blocks - 1 && lastBytes < blockBytes
    checksum = joinCrc32c(checksum, record.readUInt32BE(at + 4 * i), isShort ? crc32cShift(lastBytes) : shift)
  }
  return checksum
}

function writeHeader(
  into: Buffer,
  key: { keyHigh: number; keyLow: number; cookie: number },
  sizeBytes: number,
): void {
  into.writeUInt32BE(key.cookie, 0)
  into.writeUInt32BE(key.keyHigh, 4)
  into.writeUInt32BE(key.keyLow, 8)
  into.writeUInt32BE(sizeBytes, 12)
}

function writeFields(needle: NewNeedle, into: Buffer, at: number): number {
  const { name, mime, lastModifiedS, ttl, pairs } = needle
  let flags = FLAG_TRAILER
  if (needle.gzipped) flags |= FLAG_GZIP
  if (needle.manifest) flags |= FLAG_MANIFEST
  const flagsAt = at++
  if (name !== undefined) {
    flags |= FLAG_NAME
    into[at] = name.length
    at += 1 + name.copy(into, at + 1)
  }
  if (mime !== undefined) {
    flags |= FLAG_MIME
    into[at] = mime.length
    at += 1 + mime.copy(into, at + 1)
  }
  if (lastModifiedS !== undefined) {
    flags |= FLAG_LAST_MODIFIED
    into[at] = Math.floor(lastModifiedS / 2 ** 32)
    at = into.writeUInt32BE(lastModifiedS % 2 ** 32, at + 1)
  }
  if (ttl !== 0) {
    flags |= FLAG_TTL
    at = into.writeUInt16BE(ttl, at)
  }
  if (pairs !== undefined) {
    flags |= FLAG_PAIRS
    at = into.writeUInt16BE(pairs.length, at)
    at += pairs.copy(into, at)
  }
  into[flagsAt] = flags
  return at
}

/** Place, time and kind of a record that is about to be written. */
export interface Seal {
  seed: number
  appendNsHigh: number
  appendNsLow: number
}

/**
 * Completes an encoded record: append time and the trailer's CRC, or the mark in the padding of a record of size 0.
 * `gapBytes` is the length of the data when it is not in the buffer (see `encodeNeedle`), else 0.
 */
export function sealRecord(record: Buffer, encoded: EncodedNeedle, seal: Seal, gapBytes = 0): void {
  const { sizeBytes } = encoded
  if (sizeBytes === 0) return sealEmpty(record, seal, 'E')
  const tailAt = HEADER_BYTES + sizeBytes - gapBytes
  record.writeUInt32BE(seal.appendNsHigh, tailAt + 4)
  record.writeUInt32BE(seal.appendNsLow, tailAt + 8)
  const dataBytes = record.readUInt32BE(HEADER_BYTES)
  const trailerAt = tailAt - trailerLength(dataBytes)
  for (let at = 0; at < TAIL_BYTES; at++) record[trailerAt + at] = record[tailAt + at]!
  const fieldsAt = DATA_OFFSET + dataBytes - gapBytes
  record.writeUInt32BE(trailerChecksum(record, fieldsAt, tailAt, seal.seed), tailAt - 4)
}

function trailerChecksum(record: Buffer, fieldsAt: number, tailAt: number, seed: number): number {
  let crc = crc32cBetween(record, 0, DATA_OFFSET, seed)
  crc = crc32cBetween(record, fieldsAt, tailAt - 4, crc)
  return crc32cBetween(record, tailAt, tailAt + TAIL_BYTES, crc)
}

const EMPTY_KIND = { D: Buffer.from('D'), E: Buffer.from('E') }

function emptyChecksum(record: Buffer, seed: number, kind: 'D' | 'E'): number {
  return crc32c(EMPTY_KIND[kind], crc32c(record.subarray(0, 28), seed))
}

function sealEmpty(record: Buffer, seal: Seal, kind: 'D' | 'E'): void {
  record.writeUInt32BE(seal.appendNsHigh, 20)
  record.writeUInt32BE(seal.appendNsLow, 24)
  record.writeUInt32BE(emptyChecksum(record, seal.seed, kind), 28)
}

/** Writes a delete marker (EMPTY_RECORD_BYTES) at the start of `into`. */
export function encodeDeleteMarker(
  key: { keyHigh: number; keyLow: number; cookie: number },
  seal: Seal,
  into: Buffer,
): void {
  writeHeader(into, key, 0)
  into.writeUInt32BE(0, HEADER_BYTES)
  sealEmpty(into, seal, 'D')
}

/** What the padding of a record of size 0 says: 'D' deleted, 'E' empty file, undefined not written by Cairn here. */
export function emptyRecordKind(record: Buffer, seed: number): 'D' | 'E' | undefined {
  const mark = record.readUInt32BE(28)
  if (mark === emptyChecksum(record, seed, 'E')) return 'E'
  if (mark === emptyChecksum(record, seed, 'D')) return 'D'
  return undefined
}

function corrupt(what: string): StoreError {
  return new StoreError('corrupt', `damaged record: ${what}`)
}

export interface RecordHeader {
  keyHigh: number
  keyLow: number
  cookie: number
  sizeBytes: number
}

export function decodeHeader(record: Buffer, at = 0): RecordHeader {
  return {
    cookie: record.readUInt32BE(at),
    keyHigh: record.readUInt32BE(at + 4),
    keyLow: record.readUInt32BE(at + 8),
    sizeBytes: record.readUInt32BE(at + 12),
  }
}

/**
 * Decodes a whole record and verifies its trailer, not its data. `record` starts at the header and holds the whole
 * record, but for `gapBytes` of data left out behind the head. Throws `corrupt`.
 */
export function decodeRecord(record: Buffer, seed: number, gapBytes = 0): RecordFields {
  const header = decodeHeader(record)
  const { sizeBytes } = header
  if (recordLength(sizeBytes) !== record.length + gapBytes) throw corrupt('its size differs from the index')
  const tailAt = HEADER_BYTES + sizeBytes - gapBytes
  const needle: Needle = {
    ...header,
    dataSizeBytes: 0,
    checksum: record.readUInt32BE(tailAt),
    gzipped: false,
    manifest: false,
    name: undefined,
    mime: undefined,
    lastModifiedS: undefined,
    ttl: 0,
    pairs: undefined,
    appendNsHigh: record.readUInt32BE(tailAt + 4),
    appendNsLow: record.readUInt32BE(tailAt + 8),
    data: undefined,
    borrowed: false,
    large: undefined,
  }
  if (sizeBytes === 0)
    return { needle, blockChecksumsOffset: 0, hasTrailer: emptyRecordKind(record, seed) === 'E' }
  needle.dataSizeBytes = record.readUInt32BE(HEADER_BYTES)
  if (needle.dataSizeBytes + 4 > sizeBytes) throw corrupt('its data is longer than the record')
  const fieldsAt = DATA_OFFSET + needle.dataSizeBytes - gapBytes
  const end = decodeFields(record, fieldsAt, tailAt, needle)
  const flags = fieldsAt < tailAt ? (record[fieldsAt] as number) : 0
  if ((flags & FLAG_TRAILER) === 0) {
    if (end !== tailAt) throw corrupt('bytes behind its last field')
  }
  if (end === tailAt) {
    // A flipped flag can make a trailer look like one more field.
    if (endsInTrailer(record, tailAt, needle.dataSizeBytes)) throw corrupt('its flags do not match')
    return { needle, blockChecksumsOffset: 0, hasTrailer: false }
  }
  if (tailAt - end !== trailerLength(needle.dataSizeBytes)) throw corrupt('its trailer has a wrong length')
  if (record.readUInt16BE(tailAt - 7) !== tailAt - end) throw corrupt('its trailer has a wrong length')
  if (record[tailAt - 5] !== TRAILER_VERSION) throw corrupt('its trailer has an unknown version')
  if (record.readUInt32BE(tailAt - 4) !== trailerChecksum(record, fieldsAt, tailAt, seed)) {
    throw corrupt('its trailer does not match')
  }
  const blocks = blockCount(needle.dataSizeBytes)
  return { needle, blockChecksumsOffset: blocks > 0 ? end + TAIL_BYTES : 0, hasTrailer: true }
}

function endsInTrailer(record: Buffer, tailAt: number, dataBytes: number): boolean {
  return tailAt > DATA_OFFSET && looksLikeTrailer(record.subarray(tailAt - 7, tailAt - 4), dataBytes)
}

/** Fills in the optional fields; returns where they end. Throws `corrupt` when they pass `end`. */
function decodeFields(record: Buffer, at: number, end: number, needle: Needle): number {
  if (at >= end) return at
  const flags = record[at++] as number
  needle.gzipped = (flags & FLAG_GZIP) !== 0
  needle.manifest = (flags & FLAG_MANIFEST) !== 0
  if ((flags & FLAG_NAME) !== 0) {
    const length = record[at] as number
    needle.name = record.subarray(at + 1, at + 1 + length)
    at += 1 + length
  }
  if ((flags & FLAG_MIME) !== 0 && at < end) {
    const length = record[at] as number
    needle.mime = record.subarray(at + 1, at + 1 + length)
    at += 1 + length
  }
  if ((flags & FLAG_LAST_MODIFIED) !== 0 && at + 5 <= end) {
    needle.lastModifiedS = (record[at] as number) * 2 ** 32 + record.readUInt32BE(at + 1)
    at += 5
  }
  if ((flags & FLAG_TTL) !== 0 && at + 2 <= end) {
    needle.ttl = record.readUInt16BE(at)
    at += 2
  }
  if ((flags & FLAG_PAIRS) !== 0 && at + 2 <= end) {
    const length = record.readUInt16BE(at)
    needle.pairs = record.subarray(at + 2, at + 2 + length)
    at += 2 + length
  }
  if (at > end) throw corrupt('its fields pass its end')
  return at
}

/** SeaweedFS before 3.x stored the checksum masked; its servers still accept that, and so do we where no trailer says better. */
function maskedChecksum(crc: number): number {
  return ((((crc >>> 15) | (crc << 17)) >>> 0) + 0xa282ead8) >>> 0
}

/** True when the data has the checksum that the record says. */
export function dataMatches(fields: RecordFields, data: Buffer): boolean {
  return checksumMatches(fields, crc32c(data))
}

export function checksumMatches(fields: RecordFields, crc: number): boolean {
  const { checksum } = fields.needle
  return crc === checksum || (!fields.hasTrailer && maskedChecksum(crc) === checksum)
}

/** Decodes and verifies a whole record that is in memory. Throws `corrupt`. The fields are views of `record`. */
export function decodeWhole(record: Buffer, seed: number): RecordFields {
  const fields = decodeRecord(record, seed)
  const { needle } = fields
  const data = record.subarray(DATA_OFFSET, DATA_OFFSET + needle.dataSizeBytes)
  if (!dataMatches(fields, data)) throw corrupt('its data does not match its checksum')
  needle.data = data
  return fields
}

/** How long a decoded record is behind `moveRecord`. */
export function movedLength(record: Buffer, { needle, hasTrailer }: RecordFields): number {
  return hasTrailer ? record.length : recordLength(needleSize(withData(needle)))
}

/**
 * Writes a record of `decodeWhole` for another place, with a trailer if it had none. The data is not summed again: its sum was right, and
 * is part of what the trailer covers. Gives the new `size`.
 */
export function moveRecord(record: Buffer, fields: RecordFields, seed: number, into: Buffer): number {
  const { needle, hasTrailer } = fields
  const { appendNsHigh, appendNsLow } = needle
  const seal = { seed, appendNsHigh, appendNsLow }
  if (!hasTrailer) {
    const encoded = encodeNeedle(withData(needle), into)
    sealRecord(into, encoded, seal)
    return encoded.sizeBytes
  }
  const { sizeBytes, checksum } = needle
  into.set(record)
  if (sizeBytes > 0) into.fill(0, HEADER_BYTES + sizeBytes + TAIL_BYTES, record.length)
  sealRecord(into, { sizeBytes, lengthBytes: record.length, checksum }, seal)
  return sizeBytes
}

function withData(needle: Needle): NewNeedle {
  return { ...needle, data: needle.data as Buffer }
}

/** CRC32C of block `index` of the data, from a decoded record's block table. */
export function blockChecksum(record: Buffer, fields: RecordFields, index: number): number {
  assert(fields.blockChecksumsOffset > 0, 'a block table is there')
  return record.readUInt32BE(fields.blockChecksumsOffset + index * 4)
}

/** flags, tail, padding: a filler carries no trailer, as the tail stands where SeaweedFS looks for it anyway. */
const FILLER_REST_BYTES = 1 + TAIL_BYTES + 3
const FILLER_AROUND_BYTES = DATA_OFFSET + FILLER_REST_BYTES
/** A longer hole gets several fillers. */
export const FILLER_BYTES_MAX = 1024 ** 3

/**
 * A filler: a record of key 0, which is never assigned, that covers a hole of exactly `lengthBytes` (a multiple of 8 from
 * 32 to FILLER_BYTES_MAX) and keeps the hole's bytes as its data. Returns what to write at the hole's start and end.
 * `checksumOf` gives the CRC32C of bytes of the hole.
 */
export function encodeFiller(
  lengthBytes: number,
  seal: Seal,
  checksumOf: (startBytes: number, countBytes: number) => number,
): { head: Buffer; rest: Buffer } {
  assert(lengthBytes >= EMPTY_RECORD_BYTES && lengthBytes % 8 === 0, 'a filler fits in the hole')
  const key = { keyHigh: 0, keyLow: 0, cookie: 0 }
  if (lengthBytes === EMPTY_RECORD_BYTES) {
    const head = Buffer.alloc(EMPTY_RECORD_BYTES)
    encodeDeleteMarker(key, seal, head)
    return { head, rest: Buffer.alloc(0) }
  }
  const dataBytes = lengthBytes - FILLER_AROUND_BYTES
  assert(recordLength(4 + dataBytes + 1) === lengthBytes, 'the filler has the length of the hole')
  const head = Buffer.alloc(DATA_OFFSET)
  writeHeader(head, key, 4 + dataBytes + 1)
  head.writeUInt32BE(dataBytes, HEADER_BYTES)
  const rest = Buffer.alloc(FILLER_REST_BYTES)
  rest.writeUInt32BE(checksumOf(DATA_OFFSET, dataBytes), 1)
  rest.writeUInt32BE(seal.appendNsHigh, 5)
  rest.writeUInt32BE(seal.appendNsLow, 9)
  return { head, rest }
}

/**
 * The seed that a record's trailer was made with, when all else of the record is right; undefined when it has no trailer.
 * Serves to find a lost salt.
 */
export function seedOfRecord(record: Buffer): number | undefined {
  const sizeBytes = record.readUInt32BE(12)
  if (sizeBytes < 4 + 1 + TAIL_BYTES + TRAILER_END_BYTES || recordLength(sizeBytes) !== record.length)
    return undefined
  const tailAt = HEADER_BYTES + sizeBytes
  const dataBytes = record.readUInt32BE(HEADER_BYTES)
  const fieldsAt = DATA_OFFSET + dataBytes
  if (fieldsAt + 1 + trailerLength(dataBytes) > tailAt || ((record[fieldsAt] as number) & FLAG_TRAILER) === 0)
    return undefined
  if (record.readUInt16BE(tailAt - 7) !== trailerLength(dataBytes) || record[tailAt - 5] !== TRAILER_VERSION)
    return undefined
  if (crc32c(record.subarray(DATA_OFFSET, fieldsAt)) !== record.readUInt32BE(tailAt)) return undefined
  const coveredBytes = DATA_OFFSET + (tailAt - 4 - fieldsAt) + TAIL_BYTES
  return solveCrc32cStart(
    record.readUInt32BE(tailAt - 4),
    trailerChecksum(record, fieldsAt, tailAt, 0),
    coveredBytes,
  )
}

/** A cheap look at the 3 bytes before a trailer's CRC, for the search behind damage. */
export function looksLikeTrailer(lengthAndVersion: Buffer, dataBytes: number): boolean {
  return (
    lengthAndVersion[2] === TRAILER_VERSION && lengthAndVersion.readUInt16BE(0) === trailerLength(dataBytes)
  )
}
