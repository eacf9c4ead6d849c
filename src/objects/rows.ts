/** Between rows and what callers see: keys, version ids, flags, and the JSON of attributes and tags. */
import { StoreError } from '../base/errors.ts'
import { OBJECT_KEY_BYTES_MAX } from '../base/limits.ts'
import type { ObjectAttributes, ObjectInfo, ObjectLock, Tag } from './object-store.ts'
import {
  type ContentPlace,
  FLAG_COMPLIANCE,
  FLAG_GOVERNANCE,
  FLAG_HOLD_OFF,
  FLAG_LEGAL_HOLD,
  FLAG_MARKER,
  FLAG_NULL,
  type ShownRow,
  type StoredContent,
  type VersionRow,
} from './parts.ts'

const RANK_MAX = Number.MAX_SAFE_INTEGER
/** Versions of one key that one millisecond can order before ranks run ahead of the clock. */
const RANKS_PER_MS = 1024
const RANK_DIGITS = 14
const VERSION_ID = /^[0-9a-f]{32}$/

/** Above every byte that begins a character in UTF-8. */
const BEYOND = Buffer.from([0xff])

/** Throws `key_too_long`, `bad_request`. */
export function keyBytes(key: string): Buffer {
  if (key.length === 0) throw new StoreError('bad_request', 'a key has at least one character')
  const bytes = textBytes(key, 'key')
  if (bytes.length > OBJECT_KEY_BYTES_MAX)
    throw new StoreError('key_too_long', `a key has at most ${OBJECT_KEY_BYTES_MAX} bytes`)
  return bytes
}

/** A prefix, delimiter or place to go on from: any well-formed text. */
export function textBytes(text: string, what: string): Buffer {
  if (!text.isWellFormed()) throw new StoreError('bad_request', `the ${what} is not well-formed Unicode`)
  return Buffer.from(text)
}

/** The least bytes that are above everything that begins with `prefix`. */
export function beyondPrefix(prefix: Uint8Array): Buffer {
  if (prefix.length === 0) return BEYOND
  const bytes = Buffer.from(prefix)
  // No byte of UTF-8 is 0xff, so that the last one can always be raised.
  bytes[bytes.length - 1]!++
  return bytes
}

/** The least bytes above `key`. */
export function beyondKey(key: Uint8Array): Buffer {
  const bytes = Buffer.alloc(key.length + 1)
  bytes.set(key)
  return bytes
}

export function startsWith(key: Uint8Array, prefix: Uint8Array): boolean {
  return key.length >= prefix.length && Buffer.compare(key.subarray(0, prefix.length), prefix) === 0
}

// Versions

/** The rank of a version made now, lower than `before`, the lowest one of its key. */
export function rankAt(nowMs: number, before: number | null | undefined): number {
  return Math.min(RANK_MAX - nowMs * RANKS_PER_MS, (before ?? RANK_MAX) - 1)
}

/** Where versions are counted: which one it is of its key, from 1. */
export const numberOfRank = (rank: number) => RANK_MAX - rank
export const rankOfNumber = (number: number) => RANK_MAX - number

/** 32 hex digits. The last 18 repeat the rank in disguise, so that few guesses are well-formed. */
export function versionIdOf(rank: number): string {
  const high = Math.floor(rank / 2 ** 32)
  const low = rank >>> 0
  const a = mixed(low ^ mixed(high))
  const b = mixed(high ^ mixed(low ^ 0x5bd1e995))
  const tail = a.toString(16).padStart(8, '0') + b.toString(16).padStart(8, '0')
  return `${rank.toString(16).padStart(RANK_DIGITS, '0')}${tail}${((a ^ b) & 0xff).toString(16).padStart(2, '0')}`
}

/** Undefined: no version can have this id. */
export function rankOf(versionId: string): number | undefined {
  if (!VERSION_ID.test(versionId)) return undefined
  const rank = Number.parseInt(versionId.slice(0, RANK_DIGITS), 16)
  return versionIdOf(rank) === versionId ? rank : undefined
}

/** The rank that a version id names, or 'null'. Throws `bad_request`. */
export function versionOf(versionId: string): number | 'null' {
  const rank = versionId === 'null' ? 'null' : rankOf(versionId)
  if (rank === undefined) throw new StoreError('bad_request', 'this is no version id')
  return rank
}

/** Grows with each change of a key: for those who must order its events. */
export function sequencerOf(rank: number): string {
  return (RANK_MAX - rank).toString(16).padStart(RANK_DIGITS, '0').toUpperCase()
}

/** A step of MurmurHash3: spreads 32 bits. */
function mixed(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

export const isMarker = (row: { flags: number }) => (row.flags & FLAG_MARKER) !== 0
export const isNullVersion = (row: { flags: number }) => (row.flags & FLAG_NULL) !== 0

export const versionIdOfRow = (row: { flags: number; rank: number }) =>
  isNullVersion(row) ? 'null' : versionIdOf(row.rank)

// Locks

export function lockFlags(lock: ObjectLock): number {
  let flags = 0
  if (lock.legalHold !== undefined) flags = lock.legalHold ? FLAG_LEGAL_HOLD : FLAG_HOLD_OFF
  if (lock.mode === 'GOVERNANCE') flags |= FLAG_GOVERNANCE
  if (lock.mode === 'COMPLIANCE') flags |= FLAG_COMPLIANCE
  return flags
}

export function lockOf(row: { flags: number; lock_until_ms: number }): ObjectLock {
  const lock: ObjectLock = {}
  if (row.flags & (FLAG_GOVERNANCE | FLAG_COMPLIANCE)) {
    lock.mode = row.flags & FLAG_COMPLIANCE ? 'COMPLIANCE' : 'GOVERNANCE'
    lock.untilMs = row.lock_until_ms
  }
  if (row.flags & FLAG_LEGAL_HOLD) lock.legalHold = true
  else if (row.flags & FLAG_HOLD_OFF) lock.legalHold = false
  return lock
}

// Attributes and tags

const NO_TAGS: readonly Tag[] = []

export const attributesText = (attributes: ObjectAttributes) => JSON.stringify(attributes)
export const attributesOf = (row: { attributes: string }) => JSON.parse(row.attributes) as ObjectAttributes

export const tagsText = (tags: readonly Tag[] | undefined) =>
  tags === undefined || tags.length === 0 ? null : JSON.stringify(tags)
const tagsOf = (row: { tags: string | null }) =>
  row.tags === null ? NO_TAGS : (JSON.parse(row.tags) as Tag[])

// Rows

export const contentOf = (row: VersionRow, attributes = attributesOf(row)): StoredContent => ({
  blobs: row.blobs ?? undefined,
  contentId: row.content_id ?? undefined,
  sizeBytes: row.size,
  encryption: attributes.encryption,
})

export const placeOf = (row: VersionRow): ContentPlace => ({ blobs: row.blobs, contentId: row.content_id })

/** `key` and `attributes` where they are known already. */
export function infoOf(
  row: ShownRow,
  isLatest: boolean,
  key = row.key.toString(),
  attributes = attributesOf(row),
): ObjectInfo {
  return {
    key,
    versionId: versionIdOfRow(row),
    isLatest,
    isDeleteMarker: isMarker(row),
    sizeBytes: row.size,
    etag: row.etag,
    modifiedMs: row.modified_ms,
    attributes,
    tags: tagsOf(row),
    lock: lockOf(row),
  }
}
