/** Files with a time to live: how that is stored, what their bytes are stored with, and when they are gone. */
import { ttlSeconds } from '../base/ttl.ts'
import type { ObjectAttributes, ObjectInfo, PutObject } from './object-store.ts'
import { attributesOf } from './rows.ts'

const COUNT_MAX = 255

export type LivingObject = Pick<ObjectInfo, 'attributes' | 'modifiedMs'>

/** What a file carries so that it ends `ttl` (as volumes store it) after `nowMs`. */
export function posixOfTtl(ttl: number, nowMs: number): NonNullable<ObjectAttributes['posix']> {
  return { ttlSeconds: ttlSeconds(ttl), createdMs: nowMs }
}

/** The TTL of its blobs: one unit longer, because bytes must outlive the name that they are given later. */
export function blobTtl(ttl: number): number {
  const count = ttl >> 8
  return count === 0 || count >= COUNT_MAX ? ttl : ttl + 0x100
}

/** Where bytes go that have no end of their own: a name with an end lets go of them all the same. */
export function lastingPlacement(placement: PutObject['placement']): PutObject['placement'] {
  return placement?.collection === undefined ? undefined : { collection: placement.collection }
}

/** Seconds that are left of a file; undefined: no end. 0 and less: it is gone. */
export function secondsLeft(info: LivingObject, nowMs: number): number | undefined {
  const { posix } = info.attributes
  if (posix?.ttlSeconds === undefined || posix.ttlSeconds <= 0) return undefined
  return ((posix.createdMs ?? info.modifiedMs) + posix.ttlSeconds * 1_000 - nowMs) / 1_000
}

/** Whether its time is over: then it is not there, though nobody has removed it yet. */
export function isExpired(info: LivingObject, nowMs: number): boolean {
  const left = secondsLeft(info, nowMs)
  return left !== undefined && left <= 0
}

/** As `isExpired`, of a row. */
export function isExpiredRow(row: { attributes: string; modified_ms: number }, nowMs: number): boolean {
  // Nearly all rows have no time to live, and need no parsing to tell.
  if (!row.attributes.includes('"ttlSeconds"')) return false
  return isExpired({ attributes: attributesOf(row), modifiedMs: row.modified_ms }, nowMs)
}
