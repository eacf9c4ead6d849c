/** What lies under one key of a hashed store. */
import { hash } from 'node:crypto'
import { StoreError } from '../base/errors.ts'
import type { BlobKey, KeyedBlob } from '../blobs/keyed-blobs.ts'
import { decodeHashedItems, type HashedItem } from './hashed-record.ts'

/** A key's blobs, read. */
export interface Found {
  /** Of the latest blob. */
  items: HashedItem[]
  /** Blobs from the oldest to the latest. */
  blobs: Pick<KeyedBlob, 'volumeId'>[]
}

const NOTHING: Found = { items: [], blobs: [] }

/** Throws `corrupt`, `unsupported`. */
export function foundIn(blobs: KeyedBlob[]): Found {
  if (blobs.length === 0) return NOTHING
  const read = blobs.map((blob) => ({ blob, items: decodeHashedItems(blob.data) }))
  if (read.length > 1)
    read.sort((a, b) => versionOf(a.items) - versionOf(b.items) || touchesOf(a) - touchesOf(b))
  return { items: read.at(-1)!.items, blobs: read.map(({ blob }) => blob) }
}

const versionOf = (items: readonly HashedItem[]) => Math.max(...items.map(({ version }) => version))

/** Where several names share a blob, all that changes it rises a version. */
const touchesOf = ({ items }: { items: readonly HashedItem[] }) =>
  items.length === 1 ? items[0]!.touches : 0

/** The first 64 bits of its SHA-256. */
export function hashOfName(name: Buffer): BlobKey {
  const digest = hash('sha256', name, 'buffer')
  // Key 0 marks holes of volumes.
  return { keyHigh: digest.readUInt32BE(0), keyLow: digest.readUInt32BE(4) || 1 }
}

/** For who keeps it, as the cache's memory changes. */
export function ownedCopy({ name, flags, version, touches, expiresMs, value }: HashedItem): HashedItem {
  return { name: Buffer.from(name), flags, version, touches, expiresMs, value: Buffer.from(value) }
}

export function isDamage(error: unknown): boolean {
  return error instanceof StoreError && error.code === 'corrupt'
}

/** What keeps a blob from being removed. */
const MAY_STAY: ReadonlySet<string> = new Set(['read_only', 'io_error', 'disk_full', 'volume_full'])

/** Whether a blob that another one replaces may stay where its removal failed so. */
export function mayStay(error: unknown): boolean {
  return error instanceof StoreError && MAY_STAY.has(error.code)
}
