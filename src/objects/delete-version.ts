/** Removing objects: by a delete marker where versions are kept, and for good where one is named. */
import { query, type Script, type Steps } from '../meta/meta-store.ts'
import { checkDelete } from './conditions.ts'
import { releaseContent } from './content-steps.ts'
import { writeEvent } from './events.ts'
import { nothingAt, versionAt, type WhichVersion } from './find-steps.ts'
import { checkRemovable } from './lock-rules.ts'
import type { Conditions, DeleteResult } from './object-store.ts'
import { FLAG_MARKER, FLAG_NULL, VERSION_COLUMNS, type VersionRow } from './parts.ts'
import {
  makeRoom,
  presentOf,
  VERSIONING_ENABLED,
  VERSIONING_OFF,
  type WriteContext,
  type WriteFacts,
  writeFacts,
} from './put-version.ts'
import { isMarker, placeOf, rankAt, versionIdOfRow } from './rows.ts'
import { addUsage } from './usage-steps.ts'

export interface DeleteVersion extends WriteContext {
  version: WhichVersion
  conditions?: Conditions | undefined
  bypassGovernance: boolean
}

/** Throws `bucket_not_found`, `version_not_found`, `precondition_failed`, `object_locked`, `unavailable`. */
export const deleteVersion: Script<DeleteVersion, DeleteResult> = {
  name: 'objects.delete',
  *steps(args) {
    return yield* deleteSteps(args)
  },
}

export function* deleteSteps(args: DeleteVersion): Steps<DeleteResult> {
  const facts = yield* writeFacts(args)
  if (args.version !== undefined) return yield* removeVersion(args, facts)
  const present = presentOf(facts)
  // A delete marker is something that is there, too, though it has neither an ETag nor a length.
  const there = present ?? (yield* newestMarker(args))
  // What a condition is about is gone already: no marker has to say so.
  if (args.conditions !== undefined && there === undefined)
    return { versionId: undefined, isDeleteMarker: false }
  checkDelete(args.conditions, there)
  if (facts.versioning !== VERSIONING_OFF) return yield* makeMarker(args, facts)
  if (present === undefined) return { versionId: undefined, isDeleteMarker: false }
  yield* removeObject(args)
  yield* forget(args, present)
  yield* announce(args, facts, { event: 'ObjectRemoved:Delete', rank: rankAt(args.nowMs, present.rank) })
  return { versionId: 'null', isDeleteMarker: false }
}

function* newestMarker(args: DeleteVersion): Steps<VersionRow | undefined> {
  if (args.conditions === undefined) return undefined
  const [row] = yield query(
    `select ${VERSION_COLUMNS} from version where bucket_id = ? and key = ? order by rank limit 1`,
    args.bucketId,
    args.key,
  )
  return row as VersionRow | undefined
}

function* makeMarker(args: DeleteVersion, facts: WriteFacts): Steps<DeleteResult> {
  const { rank, replaced } = yield* makeRoom(args, facts)
  if (replaced !== undefined) {
    if (replaced === presentOf(facts)) yield* removeObject(args)
    yield* forget(args, replaced)
  }
  const flags = FLAG_MARKER | (facts.versioning === VERSIONING_ENABLED ? 0 : FLAG_NULL)
  yield query(
    `insert into version (${VERSION_COLUMNS}) values (?, ?, ?, ?, 0, ?, '', null, null, '{}', null, 0)`,
    ...[args.bucketId, args.key, rank, flags, args.nowMs],
  )
  const versionId = versionIdOfRow({ flags, rank })
  yield* announce(args, facts, { event: 'ObjectRemoved:DeleteMarkerCreated', rank, versionId })
  return { versionId, isDeleteMarker: true }
}

function* removeVersion(args: DeleteVersion, facts: WriteFacts): Steps<DeleteResult> {
  const found = yield* versionAt(args)
  if (found === undefined) throw nothingAt(args.version)
  const { row, table, isLatest } = found
  checkDelete(args.conditions, row)
  if (!isMarker(row)) checkRemovable(row, args.nowMs, args.bypassGovernance)
  if (table === 'object') yield* removeObject(args)
  else
    yield query(
      'delete from version where bucket_id = ? and key = ? and rank = ?',
      args.bucketId,
      args.key,
      row.rank,
    )
  if (isLatest && facts.versioning !== VERSIONING_OFF) yield* promote(args)
  yield* forget(args, row)
  const versionId = versionIdOfRow(row)
  const rank = rankAt(args.nowMs, row.rank)
  yield* announce(args, facts, { event: 'ObjectRemoved:Delete', rank, versionId })
  return { versionId, isDeleteMarker: isMarker(row) }
}

/** Now that the latest version is gone, the newest remaining one is the latest; a delete marker stays where it is. */
function* promote(at: WriteContext): Steps<void> {
  const [newest] = yield query(
    'select rank, flags from version where bucket_id = ? and key = ? order by rank limit 1',
    at.bucketId,
    at.key,
  )
  if (newest === undefined || isMarker(newest as unknown as VersionRow)) return
  const where = 'where bucket_id = ? and key = ? and rank = ?'
  const params = [at.bucketId, at.key, newest.rank!] as const
  yield query(
    `insert into object (${VERSION_COLUMNS}) select ${VERSION_COLUMNS} from version ${where}`,
    ...params,
  )
  yield query(`delete from version ${where}`, ...params)
}

function* removeObject(at: WriteContext): Steps<void> {
  yield query('delete from object where bucket_id = ? and key = ?', at.bucketId, at.key)
}

/** The bytes and the counters of a row that is gone. */
function* forget(args: WriteContext, row: VersionRow): Steps<void> {
  if (isMarker(row)) return
  yield* releaseContent(placeOf(row), args.nowMs)
  yield* addUsage({ bucketId: args.bucketId, part: args.usagePart, objects: -1, bytes: -row.size })
}

function* announce(
  args: DeleteVersion,
  facts: WriteFacts,
  what: { event: string; rank: number; versionId?: string },
): Steps<void> {
  if (facts.notification === null) return
  yield writeEvent({ ...args, ...what, versionId: what.versionId })
}
