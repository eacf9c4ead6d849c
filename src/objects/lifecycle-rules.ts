/**
 * Lifecycle rules: what a bucket wants to be rid of by itself, and when it is due. Only decisions are here, on values; who
 * carries them out is `lifecycle.ts`.
 */
import type { ObjectInfo, Tag } from './object-store.ts'

/** One rule of a bucket's `lifecycle` document, which is a list of them as JSON. */
export interface LifecycleRule {
  id: string
  isEnabled: boolean
  /** Keys that begin so; '' is all. */
  prefix: string
  /** All of them must be on the object. */
  tags: readonly Tag[]
  /** Both exclusive. */
  sizeBytesAbove?: number
  sizeBytesBelow?: number
  /** The front door was given the prefix in its older form, and gives it back so. */
  isPrefixOnly?: true
  /** Of the latest version. */
  expiration?: { days: number } | { dateMs: number } | { expiredDeleteMarker: true }
  /** Of the others: days since they were replaced; that many of the newest are kept in any case. */
  noncurrent?: { days: number; newerKept: number }
  /** Days since an upload began that was neither completed nor aborted. */
  abortUploadDays?: number
}

export const DAY_MS = 86_400_000

/** A version in its place among those of its key. */
export interface PlacedVersion {
  info: ObjectInfo
  /** When a newer one took its place; undefined for the latest. */
  replacedMs: number | undefined
  /** Noncurrent versions of its key that are newer. */
  newerNoncurrent: number
  /** There is no other version of its key. */
  isOnly: boolean
}

/**
 * Days are counted from the midnight (UTC) that follows, as S3 counts them. With a shorter day, for trials, from the moment
 * itself.
 */
function dueMs(sinceMs: number, days: number, dayMs: number): number {
  const due = sinceMs + days * dayMs
  return dayMs === DAY_MS ? Math.ceil(due / DAY_MS) * DAY_MS : due
}

/** What a rule says of a version. `expire`: as a delete without a version id; `remove`: this version, for good. */
export type Verdict = 'keep' | 'expire' | 'remove'

export interface LifecycleClock {
  nowMs: number
  dayMs: number
}

/** The strongest verdict of all rules that match. */
export function verdictOf(
  rules: readonly LifecycleRule[],
  version: PlacedVersion,
  clock: LifecycleClock,
): Verdict {
  for (const rule of rules) {
    if (!rule.isEnabled) continue
    const verdict = ruleVerdict(rule, version, clock)
    if (verdict !== 'keep') return verdict
  }
  return 'keep'
}

function ruleVerdict(rule: LifecycleRule, version: PlacedVersion, clock: LifecycleClock): Verdict {
  const { info, replacedMs } = version
  if (!info.key.startsWith(rule.prefix)) return 'keep'
  if (replacedMs !== undefined) return noncurrentVerdict(rule, version, clock)
  if (info.isDeleteMarker) return markerVerdict(rule, version, clock)
  if (rule.expiration === undefined || !matchesObject(rule, info)) return 'keep'
  return isExpired(rule.expiration, info.modifiedMs, clock) ? 'expire' : 'keep'
}

function isExpired(
  expiration: NonNullable<LifecycleRule['expiration']>,
  modifiedMs: number,
  { nowMs, dayMs }: LifecycleClock,
): boolean {
  if ('days' in expiration) return dueMs(modifiedMs, expiration.days, dayMs) <= nowMs
  return 'dateMs' in expiration && expiration.dateMs <= nowMs
}

/** A delete marker with nothing behind it goes when a rule says so, or when an object of its age would have gone. */
function markerVerdict(rule: LifecycleRule, version: PlacedVersion, clock: LifecycleClock): Verdict {
  const { expiration } = rule
  if (!version.isOnly || expiration === undefined || hasObjectFilter(rule)) return 'keep'
  if ('expiredDeleteMarker' in expiration) return 'remove'
  return isExpired(expiration, version.info.modifiedMs, clock) ? 'remove' : 'keep'
}

function noncurrentVerdict(rule: LifecycleRule, version: PlacedVersion, clock: LifecycleClock): Verdict {
  const { info, replacedMs, newerNoncurrent } = version
  const { noncurrent } = rule
  if (noncurrent === undefined || newerNoncurrent < noncurrent.newerKept) return 'keep'
  if (info.isDeleteMarker ? hasObjectFilter(rule) : !matchesObject(rule, info)) return 'keep'
  return dueMs(replacedMs!, noncurrent.days, clock.dayMs) <= clock.nowMs ? 'remove' : 'keep'
}

/** It asks for more than a prefix: delete markers have no tags and no size. */
export function hasObjectFilter({ tags, sizeBytesAbove, sizeBytesBelow }: LifecycleRule): boolean {
  return tags.length > 0 || sizeBytesAbove !== undefined || sizeBytesBelow !== undefined
}

function matchesObject(rule: LifecycleRule, info: Pick<ObjectInfo, 'sizeBytes' | 'tags'>): boolean {
  const { tags, sizeBytesAbove = -1, sizeBytesBelow = Number.POSITIVE_INFINITY } = rule
  if (info.sizeBytes <= sizeBytesAbove || info.sizeBytes >= sizeBytesBelow) return false
  return tags.every(([key, value]) => info.tags.some((tag) => tag[0] === key && tag[1] === value))
}

/** Whether an unfinished upload is due. */
export function isUploadDue(
  rules: readonly LifecycleRule[],
  upload: { key: string; createdMs: number },
  { nowMs, dayMs }: LifecycleClock,
): boolean {
  return rules.some(
    ({ isEnabled, prefix, abortUploadDays }) =>
      isEnabled &&
      abortUploadDays !== undefined &&
      upload.key.startsWith(prefix) &&
      dueMs(upload.createdMs, abortUploadDays, dayMs) <= nowMs,
  )
}

/** When the latest version will expire, and by which rule; for the header that tells clients. */
export function expiryOf(
  rules: readonly LifecycleRule[],
  info: Pick<ObjectInfo, 'key' | 'sizeBytes' | 'modifiedMs' | 'tags'>,
  dayMs: number,
): { atMs: number; ruleId: string } | undefined {
  let soonest: { atMs: number; ruleId: string } | undefined
  for (const rule of rules) {
    const { expiration, isEnabled, prefix, id } = rule
    if (!isEnabled || expiration === undefined || 'expiredDeleteMarker' in expiration) continue
    if (!info.key.startsWith(prefix) || !matchesObject(rule, info)) continue
    const atMs = 'dateMs' in expiration ? expiration.dateMs : dueMs(info.modifiedMs, expiration.days, dayMs)
    if (soonest === undefined || atMs < soonest.atMs) soonest = { atMs, ruleId: id }
  }
  return soonest
}
