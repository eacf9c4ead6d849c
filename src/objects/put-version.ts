/** Making a version current: the one way by which objects come into being, whatever asked for it. */
import { StoreError } from '../base/errors.ts'
import { query, type Row, type Script, type Steps } from '../meta/meta-store.ts'
import { checkWrite } from './conditions.ts'
import { insertContent, releaseContent } from './content-steps.ts'
import { writeEvent } from './events.ts'
import { checkLock, checkRemovable, lockOnPut } from './lock-rules.ts'
import type { Conditions, ObjectLock } from './object-store.ts'
import { FLAG_NULL, type NewContent, VERSION_COLUMNS, type VersionRow } from './parts.ts'
import { beyondPrefix, isMarker, lockFlags, placeOf, rankAt, versionIdOf } from './rows.ts'
import { isExpiredRow } from './tree-life.ts'
import { isMoving, readMoves } from './tree-moves.ts'
import { addUsage, checkQuota } from './usage-steps.ts'

/** `bucket.versioning`. */
export const VERSIONING_OFF = 0
export const VERSIONING_ENABLED = 1
export const VERSIONING_SUSPENDED = 2

/** What every write of a key is given beside its own arguments. */
export interface WriteContext {
  bucketId: number
  key: Buffer
  nowMs: number
  /** Part of the counters to change. */
  usagePart: number
  /** 16 random bytes: names an event, if one is written. */
  nonce: Uint8Array
}

export interface PutVersion extends WriteContext {
  content: NewContent
  sizeBytes: number
  etag: string
  /** JSON, as `attributesText` and `tagsText` make it. */
  attributes: string
  tags: string | null
  /** Undefined: the bucket's default retention. */
  lock?: ObjectLock | undefined
  conditions?: Conditions | undefined
  /** The content has the bytes of the row that it replaces: they are not released. For appends, and copies onto itself. */
  keepsReplaced?: boolean
  /** Refused where the key is a directory. */
  fileOnly?: boolean | undefined
  /** FLAG_DIRECTORY, or none. */
  flags?: number
  /** As notifications name it, such as `ObjectCreated:Put`. */
  event: string
}

/** What was made; PutResult without what the caller knows. */
export interface PutOutcome {
  versionId: string
  modifiedMs: number
  isVersioned: boolean
}

/** The bucket as a write finds it, and the key's row in `object`. */
export interface WriteFacts extends Row {
  versioning: number
  object_lock: number
  quota_bytes: number
  moves: number
  /** JSON of the default retention. */
  retention: string | null
  notification: string | null
  /** Not null: versions are counted (`version-numbers.ts`). */
  numbers: string | null
  rank: number | null
}

const FACTS = `select b.versioning, b.object_lock, b.quota_bytes, b.moves,
    (select value from bucket_config c where c.bucket_id = b.bucket_id and c.kind = 'object_lock') as retention,
    (select value from bucket_config c where c.bucket_id = b.bucket_id and c.kind = 'notification') as notification,
    (select value from bucket_config c where c.bucket_id = b.bucket_id and c.kind = 'version_numbers') as numbers,
    o.rank, o.flags, o.size, o.modified_ms, o.etag, o.content_id, o.blobs, o.lock_until_ms
  from bucket b left join object o on o.bucket_id = b.bucket_id and o.key = ?
  where b.bucket_id = ?`

/** Facts for writing a key. Throws `bucket_not_found`, and `unavailable` while a rename there is under way. */
export function* writeFacts(at: { bucketId: number; key: Buffer }): Steps<WriteFacts> {
  const [facts] = yield query(FACTS, at.key, at.bucketId)
  if (facts === undefined) throw new StoreError('bucket_not_found', 'the bucket is gone')
  if (facts.moves !== 0) yield* checkMoves(at)
  return facts as WriteFacts
}

/** Throws `unavailable` when the key takes part in a rename that is under way. */
export function* checkMoves(at: { bucketId: number; key: Buffer }): Steps<void> {
  if (isMoving(yield* readMoves(at.bucketId), at.key))
    throw new StoreError('unavailable', 'a directory above is being renamed')
}

/** The present object of the facts; undefined: the key has none, or a delete marker. */
export const presentOf = (facts: WriteFacts) =>
  facts.rank === null ? undefined : (facts as unknown as VersionRow)

/** A whole put. Throws `bucket_not_found`, `not_found`, `precondition_failed`, `quota_exceeded`, `bad_request`, `unavailable`. */
export function* putVersion(args: PutVersion): Steps<PutOutcome> {
  const facts = yield* writeFacts(args)
  const present = presentOf(facts)
  if (args.conditions !== undefined) checkWrite(args.conditions, yield* living(args, present))
  if (args.fileOnly) yield* checkNoDirectory(args)
  const lock = lockFor(args, facts)
  const { rank, replaced } = yield* makeRoom(args, facts)
  const place = yield* insertContent(args)
  if (replaced !== undefined && !args.keepsReplaced) yield* releaseContent(placeOf(replaced), args.nowMs)
  const bytes = args.sizeBytes - (replaced?.size ?? 0)
  const objects = replaced === undefined || isMarker(replaced) ? 1 : 0
  yield* checkQuota(args.bucketId, facts.quota_bytes, bytes)
  const isVersioned = facts.versioning === VERSIONING_ENABLED
  const flags = (isVersioned ? 0 : FLAG_NULL) | (args.flags ?? 0) | lockFlags(lock)
  yield query(
    `insert into object (${VERSION_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     on conflict (bucket_id, key) do update set rank = excluded.rank, flags = excluded.flags, size = excluded.size,
       modified_ms = excluded.modified_ms, etag = excluded.etag, content_id = excluded.content_id,
       blobs = excluded.blobs, attributes = excluded.attributes, tags = excluded.tags,
       lock_until_ms = excluded.lock_until_ms`,
    ...[args.bucketId, args.key, rank, flags, args.sizeBytes, args.nowMs, args.etag],
    ...[place.contentId, place.blobs, args.attributes, args.tags, lock.untilMs ?? 0],
  )
  yield* addUsage({ bucketId: args.bucketId, part: args.usagePart, objects, bytes })
  if (args.attributes.includes('"ttlSeconds"')) yield noteExpiring(args.bucketId)
  const versionId = isVersioned ? versionIdOf(rank) : 'null'
  if (facts.notification !== null)
    yield writeEvent({
      ...args,
      rank,
      versionId: facts.versioning === VERSIONING_OFF ? undefined : versionId,
    })
  return { versionId, modifiedMs: args.nowMs, isVersioned }
}

/** Says that the bucket is worth a look for files whose time is over. */
const noteExpiring = (bucketId: number) =>
  query(
    `insert into bucket_config (bucket_id, kind, value) values (?, 'expiring', '') on conflict (bucket_id, kind) do nothing`,
    bucketId,
  )

/** What a condition sees: a file whose time is over is not there. */
function* living(args: PutVersion, present: VersionRow | undefined): Steps<VersionRow | undefined> {
  if (present === undefined) return undefined
  const [row] = (yield query(
    'select attributes, modified_ms from object where bucket_id = ? and key = ?',
    args.bucketId,
    args.key,
  )) as Pick<VersionRow, 'attributes' | 'modified_ms'>[]
  return row === undefined || isExpiredRow(row, args.nowMs) ? undefined : present
}

/** `putVersion` by itself. */
export const putObject: Script<PutVersion, PutOutcome> = {
  name: 'objects.put',
  steps: putVersion,
}

/** Throws `directory_exists` when keys lie below the key and a slash. */
function* checkNoDirectory({ bucketId, key }: PutVersion): Steps<void> {
  const directory = Buffer.concat([key, Buffer.from('/')])
  const rows = yield query(
    'select 1 as one from object where bucket_id = ? and key >= ? and key < ? limit 1',
    ...[bucketId, directory, beyondPrefix(directory)],
  )
  if (rows.length > 0)
    throw new StoreError('directory_exists', `existing /${Buffer.from(key)} is a directory`)
}

function lockFor(args: PutVersion, facts: WriteFacts): ObjectLock {
  if (facts.object_lock === 0) {
    if (args.lock?.mode === undefined && !args.lock?.legalHold) return {}
    throw new StoreError('bad_request', 'the bucket has no object lock')
  }
  if (args.lock !== undefined) checkLock(args.lock, args.nowMs)
  return lockOnPut(args.lock, facts.retention, args.nowMs)
}

export interface Room {
  /** Of the version that comes. */
  rank: number
  /** The row whose place it takes: gone already, or about to be overwritten. Its bytes are still counted. */
  replaced: VersionRow | undefined
}

/**
 * Clears the way for a new latest version: what was the latest becomes an earlier one, or is replaced; so is the null
 * version, where the new one is to be it. Afterwards a row in `object` may still be there, to be overwritten.
 */
export function* makeRoom(args: WriteContext, facts: WriteFacts): Steps<Room> {
  const present = presentOf(facts)
  if (facts.versioning === VERSIONING_OFF)
    return { rank: rankAt(args.nowMs, present?.rank), replaced: present }
  const before = present?.rank ?? (yield* lowestRank(args))
  // Counted from the beginning of time, the ranks of a key go down by one.
  const rank = rankAt(facts.numbers === null ? args.nowMs : 0, before)
  const presentIsNull = present !== undefined && (present.flags & FLAG_NULL) !== 0
  if (facts.versioning === VERSIONING_SUSPENDED && presentIsNull) {
    checkRemovable(present, args.nowMs, false)
    return { rank, replaced: present }
  }
  if (present !== undefined) yield* demote(args)
  if (facts.versioning === VERSIONING_ENABLED) return { rank, replaced: undefined }
  return { rank, replaced: yield* takeNullVersion(args) }
}

function* lowestRank(at: WriteContext): Steps<number | undefined> {
  const [row] = yield query(
    'select rank from version where bucket_id = ? and key = ? order by rank limit 1',
    at.bucketId,
    at.key,
  )
  return row?.rank as number | undefined
}

/** The latest version becomes an earlier one. */
function* demote(at: WriteContext): Steps<void> {
  yield query(
    `insert into version (${VERSION_COLUMNS}) select ${VERSION_COLUMNS} from object where bucket_id = ? and key = ?`,
    at.bucketId,
    at.key,
  )
  yield query('delete from object where bucket_id = ? and key = ?', at.bucketId, at.key)
}

/** Takes the null version out of `version`. */
function* takeNullVersion(at: WriteContext): Steps<VersionRow | undefined> {
  const [row] = (yield query(
    `select ${VERSION_COLUMNS} from version where bucket_id = ? and key = ? and (flags & 1) = 1`,
    at.bucketId,
    at.key,
  )) as VersionRow[]
  if (row === undefined) return undefined
  checkRemovable(row, at.nowMs, false)
  yield query(
    'delete from version where bucket_id = ? and key = ? and rank = ?',
    at.bucketId,
    at.key,
    row.rank,
  )
  return row
}
