/** Finding versions: the latest of a key, or one by its id. */
import { StoreError } from '../base/errors.ts'
import { query, type Script, type Steps } from '../meta/meta-store.ts'
import { VERSION_COLUMNS, type VersionRow } from './parts.ts'
import { VERSIONING_OFF } from './put-version.ts'
import { isMarker } from './rows.ts'
import { readMoves, rowKey } from './tree-moves.ts'

/** A version by its rank, the null version, or (undefined) the latest one. */
export type WhichVersion = number | 'null' | undefined

export interface FindVersion {
  bucketId: number
  key: Buffer
  version: WhichVersion
}

export interface FoundVersion {
  row: VersionRow
  table: 'object' | 'version'
  isLatest: boolean
}

const OBJECT_COLUMNS = VERSION_COLUMNS.split(', ')
  .map((column) => `o.${column}`)
  .join(', ')
const FIND = `select b.versioning, b.moves, ${OBJECT_COLUMNS}
  from bucket b left join object o on o.bucket_id = b.bucket_id and o.key = ? where b.bucket_id = ?`
const BY_KEY = 'from version where bucket_id = ? and key = ?'
const LOWEST = `select ${VERSION_COLUMNS} ${BY_KEY} order by rank limit 1`
const BY_RANK = `select ${VERSION_COLUMNS} ${BY_KEY} and rank = ?`
const NULL_VERSION = `select ${VERSION_COLUMNS} ${BY_KEY} and (flags & 1) = 1`

interface FindFacts {
  versioning: number
  moves: number
}

export interface Found extends FoundVersion {
  isVersioned: boolean
  /** It stands in the row of that very key, and the bucket has no rename under way: so it is until one of the two rows changes. */
  isPlain: boolean
}

/** One point query for the latest version. Throws `bucket_not_found`, `not_found`, `version_not_found`. */
export const findVersion: Script<FindVersion, Found> = {
  name: 'objects.find',
  *steps(args) {
    const [facts] = yield query(FIND, args.key, args.bucketId)
    if (facts === undefined) throw new StoreError('bucket_not_found', 'the bucket is gone')
    const isVersioned = facts.versioning !== VERSIONING_OFF
    if (facts.moves === 0 && facts.rank !== null && args.version === undefined)
      return { row: facts as VersionRow, table: 'object', isLatest: true, isVersioned, isPlain: true }
    const found = yield* findElsewhere(args, facts as unknown as FindFacts)
    return { ...found, isVersioned, isPlain: false }
  },
}

function* findElsewhere(args: FindVersion, facts: FindFacts): Steps<FoundVersion> {
  const key = facts.moves === 0 ? args.key : rowKey(yield* readMoves(args.bucketId), args.key)
  const found = key === undefined ? undefined : yield* versionAt({ ...args, key })
  if (found === undefined) throw nothingAt(args.version)
  return found
}

export function nothingAt(version: WhichVersion): StoreError {
  return version === undefined
    ? new StoreError('not_found', 'there is no such object')
    : new StoreError('version_not_found', 'the object has no such version')
}

/** A version, wherever its row is; the latest one may be a delete marker. */
export function* versionAt(at: FindVersion): Steps<FoundVersion | undefined> {
  const { bucketId, key, version } = at
  const [present] = (yield query(
    `select ${VERSION_COLUMNS} from object where bucket_id = ? and key = ?`,
    bucketId,
    key,
  )) as VersionRow[]
  if (present !== undefined && isVersion(present, version))
    return { row: present, table: 'object', isLatest: true }
  if (present !== undefined && version === undefined) return undefined
  const rows = (yield typeof version === 'number'
    ? query(BY_RANK, bucketId, key, version)
    : query(version === 'null' ? NULL_VERSION : LOWEST, bucketId, key)) as VersionRow[]
  const row = rows[0]
  if (row === undefined) return undefined
  const isLatest = present === undefined && isMarker(row) && (yield* isLowest(row))
  return { row, table: 'version', isLatest }
}

function isVersion(row: VersionRow, version: WhichVersion): boolean {
  if (version === undefined) return true
  return version === 'null' ? (row.flags & 1) === 1 : row.rank === version
}

function* isLowest(row: VersionRow): Steps<boolean> {
  const [lowest] = yield query(
    'select rank from version where bucket_id = ? and key = ? order by rank limit 1',
    row.bucket_id,
    row.key,
  )
  return lowest?.rank === row.rank
}
