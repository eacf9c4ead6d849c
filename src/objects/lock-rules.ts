/** Object lock: what a version is held by, and who may loosen it. */
import { StoreError } from '../base/errors.ts'
import type { ObjectLock } from './object-store.ts'
import { lockOf } from './rows.ts'

const DAY_MS = 86_400_000
const DAYS_PER_YEAR = 365

/** The bucket's `object_lock` document: retention that new versions get by default. */
export interface DefaultRetention {
  mode?: 'GOVERNANCE' | 'COMPLIANCE'
  days?: number
  years?: number
}

interface Locked {
  flags: number
  lock_until_ms: number
}

/** Throws `bad_request`. */
export function parseDefaultRetention(text: string): DefaultRetention {
  const bad = () =>
    new StoreError('bad_request', 'object_lock: {"mode": "GOVERNANCE" or "COMPLIANCE", "days" or "years"}')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw bad()
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad()
  const { mode, days, years } = value as DefaultRetention
  if (mode === undefined && days === undefined && years === undefined) return {}
  if (mode !== 'GOVERNANCE' && mode !== 'COMPLIANCE') throw bad()
  const count = days ?? years
  if (!Number.isSafeInteger(count) || count! < 1 || count! > 100 * DAYS_PER_YEAR) throw bad()
  if (days !== undefined && years !== undefined) throw bad()
  return { mode, days, years }
}

/** What a new version is locked by: its own lock, and the bucket's default where that names no retention. */
export function lockOnPut(lock: ObjectLock | undefined, defaults: string | null, nowMs: number): ObjectLock {
  if (lock?.mode !== undefined || defaults === null) return lock ?? {}
  const { mode, days, years } = parseDefaultRetention(defaults)
  if (mode === undefined) return lock ?? {}
  const untilMs = nowMs + (days ?? years! * DAYS_PER_YEAR) * DAY_MS
  return { ...lock, mode, untilMs }
}

/** Throws `bad_request`: half a retention, or one that is over already. */
export function checkLock(lock: ObjectLock, nowMs: number): void {
  if ((lock.mode === undefined) !== (lock.untilMs === undefined))
    throw new StoreError('bad_request', 'a retention has a mode and a date')
  if (lock.untilMs === undefined) return
  if (!Number.isSafeInteger(lock.untilMs) || lock.untilMs <= nowMs)
    throw new StoreError('bad_request', 'a retention ends in the future')
}

/** Throws `object_locked` when the version may not be removed or replaced. */
export function checkRemovable(row: Locked, nowMs: number, bypassGovernance: boolean): void {
  const lock = lockOf(row)
  if (lock.legalHold) throw new StoreError('object_locked', 'the version is under a legal hold')
  if (lock.mode === undefined || lock.untilMs! <= nowMs) return
  if (lock.mode === 'COMPLIANCE' || !bypassGovernance)
    throw new StoreError(
      'object_locked',
      `the version is retained until ${new Date(lock.untilMs!).toISOString()}`,
    )
}

/**
 * The lock that a version has after a change. A change that names only a legal hold leaves the retention; any other
 * one replaces the retention, or removes it when it names none. Compliance is only ever made longer; governance is
 * made shorter, or another mode, only by those who may bypass it. Throws `object_locked`.
 */
export function changedLock(
  row: Locked,
  change: ObjectLock,
  options: { nowMs: number; bypassGovernance: boolean },
): ObjectLock {
  const present = lockOf(row)
  const legalHold = change.legalHold ?? present.legalHold
  const keepsRetention =
    change.legalHold !== undefined && change.mode === undefined && change.untilMs === undefined
  if (keepsRetention) return { ...present, legalHold }
  const isActive = present.mode !== undefined && present.untilMs! > options.nowMs
  const isLonger = change.mode === present.mode && change.untilMs! >= present.untilMs!
  if (isActive && !isLonger && (present.mode === 'COMPLIANCE' || !options.bypassGovernance))
    throw new StoreError('object_locked', `the version is retained under ${present.mode!.toLowerCase()} mode`)
  return { mode: change.mode, untilMs: change.untilMs, legalHold }
}
