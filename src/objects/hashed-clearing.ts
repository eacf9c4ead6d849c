/** What was cleared of a hashed store, and how that is kept. See `docs/formats/hashed-store.md`. */
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import type { HashedItem } from './hashed-record.ts'

/** All items up to a version are gone, and those up to a later one will be from a time on. */
export interface Clearing {
  version: number
  laterVersion: number
  /** 0: nothing is to be cleared later. */
  laterMs: number
}

export const NOTHING_CLEARED: Clearing = { version: 0, laterVersion: 0, laterMs: 0 }
const CLEARING_BYTES = 24

export function encodeClearing({ version, laterVersion, laterMs }: Clearing): Buffer {
  const mark = Buffer.alloc(CLEARING_BYTES)
  mark.writeBigUInt64BE(BigInt(version), 0)
  mark.writeBigUInt64BE(BigInt(laterVersion), 8)
  mark.writeBigUInt64BE(BigInt(laterMs), 16)
  return mark
}

/** Throws `corrupt`. */
export function decodeClearing(mark: Buffer): Clearing {
  if (mark.length !== CLEARING_BYTES) throw new StoreError('corrupt', 'damaged mark of a cleared store')
  const [version, laterVersion, laterMs] = [0, 8, 16].map((at) => Number(mark.readBigUInt64BE(at)))
  return { version: version!, laterVersion: laterVersion!, laterMs: laterMs! }
}

/** All up to this is gone by now. */
export function clearedVersion({ version, laterVersion, laterMs }: Clearing, nowMs: number): number {
  return laterMs !== 0 && laterMs <= nowMs ? Math.max(version, laterVersion) : version
}

/** Whether an item is neither expired nor cleared. */
export function isCurrent(
  { expiresMs, version }: Pick<HashedItem, 'expiresMs' | 'version'>,
  { version: cleared, laterVersion, laterMs }: Clearing,
  clock: Clock,
): boolean {
  if (version <= cleared) return false
  if (expiresMs === 0 && laterMs === 0) return true
  const now = clock.nowMs()
  if (expiresMs !== 0 && now >= expiresMs) return false
  return laterMs === 0 || now < laterMs || version > laterVersion
}
