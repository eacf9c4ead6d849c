/** Buckets as rows: made, found, changed, removed. */
import { StoreError } from '../base/errors.ts'
import { BUCKETS_PER_OWNER_MAX } from '../base/limits.ts'
import { query, type Row, type Script, type Steps } from '../meta/meta-store.ts'
import { ensureInstallationId } from './installation.ts'
import { parseDefaultRetention } from './lock-rules.ts'
import type { Bucket, BucketChange, BucketConfig, BucketUsage } from './object-store.ts'
import { VERSIONING_ENABLED, VERSIONING_OFF, VERSIONING_SUSPENDED } from './put-version.ts'
import { usageOf } from './usage-steps.ts'

const COLUMNS = 'bucket_id, name, owner, created_ms, versioning, object_lock, quota_bytes, moves, revision'
const VERSIONINGS = ['off', 'enabled', 'suspended'] as const

/** A bucket as scripts give it: with plain pairs, which can be posted. */
export interface BucketRecord {
  row: Row
  configs: (readonly [kind: string, value: string])[]
}

export interface CreateBucket {
  bucketId: number
  name: string
  owner: string
  objectLock: boolean
  configs: Partial<Record<BucketConfig, string>>
  nowMs: number
}

/** Throws `bucket_exists`, `conflict`, `bad_request`. */
export const createBucket: Script<CreateBucket, BucketRecord> = {
  name: 'buckets.create',
  *steps(args) {
    const taken = yield query('select bucket_id from bucket where name = ?', args.name)
    if (taken.length > 0) throw new StoreError('bucket_exists', `bucket ${args.name} exists`)
    const [owned] = yield query('select count(*) as count from bucket where owner = ?', args.owner)
    if ((owned!.count as number) >= BUCKETS_PER_OWNER_MAX)
      throw new StoreError('conflict', `an owner has at most ${BUCKETS_PER_OWNER_MAX} buckets`)
    const versioning = args.objectLock ? VERSIONING_ENABLED : VERSIONING_OFF
    yield query(
      `insert into bucket (${COLUMNS}) values (?, ?, ?, ?, ?, ?, 0, 0, 1)`,
      ...[args.bucketId, args.name, args.owner, args.nowMs, versioning, args.objectLock ? 1 : 0],
    )
    yield* setConfigs(args.bucketId, args.configs, args.objectLock)
    yield* ensureInstallationId(args.bucketId)
    return (yield* recordOf(args.bucketId))!
  },
}

/** Two point queries. */
export const findBucket: Script<{ name: string }, BucketRecord | undefined> = {
  name: 'buckets.find',
  *steps({ name }) {
    const [row] = yield query(`select ${COLUMNS} from bucket where name = ?`, name)
    return row === undefined ? undefined : yield* withConfigs(row)
  },
}

export interface ListBuckets {
  owner: string | undefined
  /** Names are ASCII: `end` is behind all with the prefix. */
  start: string
  end: string
  isStartListed: boolean
  limit: number
}

export const listBuckets: Script<ListBuckets, BucketRecord[]> = {
  name: 'buckets.list',
  *steps({ owner, start, end, isStartListed, limit }) {
    const from = isStartListed ? 'name >= ?' : 'name > ?'
    const rows =
      owner === undefined
        ? yield query(
            `select ${COLUMNS} from bucket where ${from} and name < ? order by name limit ?`,
            start,
            end,
            limit,
          )
        : yield query(
            `select ${COLUMNS} from bucket where owner = ? and ${from} and name < ? order by name limit ?`,
            ...[owner, start, end, limit],
          )
    const records: BucketRecord[] = []
    for (const row of rows) records.push(yield* withConfigs(row))
    return records
  },
}

export interface ChangeBucket {
  bucketId: number
  change: BucketChange
}

/** Throws `bucket_not_found`, `conflict`, `bad_request`. */
export const changeBucket: Script<ChangeBucket, BucketRecord> = {
  name: 'buckets.change',
  *steps({ bucketId, change }) {
    const record = yield* recordOf(bucketId)
    if (record === undefined) throw new StoreError('bucket_not_found', 'the bucket is gone')
    const { row } = record
    const hasLock = row.object_lock === 1 || change.objectLock === true
    const versioning = changedVersioning(row.versioning as number, change)
    if (hasLock && versioning !== VERSIONING_ENABLED)
      throw new StoreError('conflict', 'a bucket with object lock keeps versions')
    yield query(
      `update bucket set versioning = ?, object_lock = ?, quota_bytes = ?, owner = ?, revision = revision + 1
       where bucket_id = ?`,
      versioning,
      hasLock ? 1 : 0,
      change.quotaBytes ?? row.quota_bytes!,
      change.owner ?? row.owner!,
      bucketId,
    )
    yield* setConfigs(bucketId, change.configs ?? {}, hasLock)
    return (yield* recordOf(bucketId))!
  },
}

/** Throws `bucket_not_found`, `bucket_not_empty`. */
export const deleteBucket: Script<{ bucketId: number }, null> = {
  name: 'buckets.delete',
  *steps({ bucketId }) {
    const found = yield query('select bucket_id from bucket where bucket_id = ?', bucketId)
    if (found.length === 0) throw new StoreError('bucket_not_found', 'the bucket is gone')
    for (const table of ['object', 'version', 'upload'] as const) {
      const rows = yield query(`select bucket_id from ${table} where bucket_id = ? limit 1`, bucketId)
      if (rows.length > 0) throw new StoreError('bucket_not_empty', 'the bucket is not empty')
    }
    for (const table of ['bucket_config', 'bucket_usage', 'bucket'] as const)
      yield query(`delete from ${table} where bucket_id = ?`, bucketId)
    return null
  },
}

/** Throws `bucket_not_found`. */
export const bucketUsage: Script<{ bucketId: number }, BucketUsage> = {
  name: 'buckets.usage',
  *steps({ bucketId }) {
    const found = yield query('select bucket_id from bucket where bucket_id = ?', bucketId)
    if (found.length === 0) throw new StoreError('bucket_not_found', 'the bucket is gone')
    return yield* usageOf(bucketId)
  },
}

function changedVersioning(present: number, change: BucketChange): number {
  if (change.versioning === undefined) return present
  return change.versioning === 'enabled' ? VERSIONING_ENABLED : VERSIONING_SUSPENDED
}

function* setConfigs(
  bucketId: number,
  configs: NonNullable<BucketChange['configs']>,
  hasLock: boolean,
): Steps<void> {
  for (const [kind, value] of Object.entries(configs)) {
    if (value === undefined) continue
    if (kind === 'object_lock' && value !== null) {
      if (!hasLock) throw new StoreError('conflict', 'the bucket has no object lock')
      parseDefaultRetention(value)
    }
    if (value === null) {
      yield query('delete from bucket_config where bucket_id = ? and kind = ?', bucketId, kind)
      continue
    }
    yield query(
      `insert into bucket_config (bucket_id, kind, value) values (?, ?, ?)
       on conflict (bucket_id, kind) do update set value = excluded.value`,
      ...[bucketId, kind, value],
    )
  }
}

function* recordOf(bucketId: number): Steps<BucketRecord | undefined> {
  const [row] = yield query(`select ${COLUMNS} from bucket where bucket_id = ?`, bucketId)
  return row === undefined ? undefined : yield* withConfigs(row)
}

function* withConfigs(row: Row): Steps<BucketRecord> {
  const rows = yield query(
    'select kind, value from bucket_config where bucket_id = ? order by kind',
    row.bucket_id!,
  )
  return { row, configs: rows.map(({ kind, value }) => [kind as string, value as string] as const) }
}

export function bucketOf({ row, configs }: BucketRecord): Bucket {
  return {
    id: row.bucket_id as number,
    name: row.name as string,
    owner: row.owner as string,
    createdMs: row.created_ms as number,
    versioning: VERSIONINGS[row.versioning as number]!,
    objectLock: row.object_lock === 1,
    quotaBytes: row.quota_bytes as number,
    configs: new Map(configs as (readonly [BucketConfig, string])[]),
    revision: row.revision as number,
  }
}
