/** Changes of a version that leave its bytes: tags, attributes, locks. */
import { StoreError } from '../base/errors.ts'
import { query, type Script, type Steps } from '../meta/meta-store.ts'
import { type FoundVersion, nothingAt, versionAt, type WhichVersion } from './find-steps.ts'
import { changedLock, checkLock } from './lock-rules.ts'
import type { ObjectAttributes, ObjectLock } from './object-store.ts'
import { FLAG_COMPLIANCE, FLAG_GOVERNANCE, FLAG_HOLD_OFF, FLAG_LEGAL_HOLD, type VersionRow } from './parts.ts'
import { type WriteFacts, writeFacts } from './put-version.ts'
import { attributesOf, attributesText, isMarker, lockFlags, versionIdOfRow } from './rows.ts'

const LOCK_FLAGS = FLAG_GOVERNANCE | FLAG_COMPLIANCE | FLAG_LEGAL_HOLD | FLAG_HOLD_OFF

interface At {
  bucketId: number
  key: Buffer
  version: WhichVersion
}

interface Changed {
  versionId: string
}

/** Throws `bucket_not_found`, `not_found`, `version_not_found`, `method_not_allowed` (a delete marker), `unavailable`. */
export const setTags: Script<At & { tags: string | null }, Changed> = {
  name: 'objects.setTags',
  *steps(args) {
    const { found } = yield* changeable(args)
    return yield* change(found, 'tags = ?', args.tags)
  },
}

/** Attributes that are given replace those that the version has; undefined ones are removed. Throws as `setTags` does. */
export const setAttributes: Script<At & { change: Partial<ObjectAttributes> }, Changed> = {
  name: 'objects.setAttributes',
  *steps(args) {
    const { found } = yield* changeable(args)
    const attributes = { ...attributesOf(found.row), ...args.change }
    return yield* change(found, 'attributes = ?', attributesText(attributes))
  },
}

/** Throws as `setTags` does, and `object_locked`, `bad_request`. */
export const setLock: Script<At & { lock: ObjectLock; bypassGovernance: boolean; nowMs: number }, Changed> = {
  name: 'objects.setLock',
  *steps(args) {
    const { found, facts } = yield* changeable(args)
    if (facts.object_lock === 0) throw new StoreError('bad_request', 'the bucket has no object lock')
    checkLock(args.lock, args.nowMs)
    const lock = changedLock(found.row, args.lock, args)
    const flags = (found.row.flags & ~LOCK_FLAGS) | lockFlags(lock)
    return yield* change(found, 'flags = ?, lock_until_ms = ?', flags, lock.untilMs ?? 0)
  },
}

function* changeable(at: At): Steps<{ found: FoundVersion; facts: WriteFacts }> {
  const facts = yield* writeFacts(at)
  const found = yield* versionAt(at)
  if (found === undefined) throw nothingAt(at.version)
  if (isMarker(found.row)) throw new StoreError('method_not_allowed', 'the version is a delete marker')
  return { found, facts }
}

type Settable = 'tags = ?' | 'attributes = ?' | 'flags = ?, lock_until_ms = ?'

function* change(found: FoundVersion, set: Settable, ...values: (string | number | null)[]): Steps<Changed> {
  const { row, table } = found as { row: VersionRow; table: 'object' | 'version' }
  yield query(
    `update ${table} set ${set} where bucket_id = ? and key = ? and rank = ?`,
    ...values,
    row.bucket_id,
    row.key,
    row.rank,
  )
  return { versionId: versionIdOfRow(row) }
}
