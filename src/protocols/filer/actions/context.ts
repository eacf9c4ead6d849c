/** What the filer's actions share: the store behind them, and one request as they see it. */
import type { Clock } from '../../../base/clock.ts'
import { StoreError } from '../../../base/errors.ts'
import type { Log } from '../../../base/log.ts'
import type { Random } from '../../../base/random.ts'
import type { Bucket, ObjectStore } from '../../../objects/object-store.ts'
import type { FilerPath } from './filer-path.ts'
import { FILES_BUCKET } from './filer-path.ts'
import type { FilerQuery } from './filer-query.ts'
import type { FilesBucket } from './files-bucket.ts'
import type { KnownDirectories } from './known-directories.ts'

export interface FilerContext {
  objects: ObjectStore
  clock: Clock
  random: Random
  log: Log
  version: string
  /** `/buckets/<bucket>/<key>` shows the other buckets. */
  showsBuckets: boolean
  /** Account that owns the buckets that are made here. */
  owner: string
  directories: KnownDirectories
  files: FilesBucket
}

export interface FilerRequest {
  method: string
  path: FilerPath
  query: FilerQuery
  rawHeaders: readonly string[]
  /** Bits of MARK. */
  marks: number
}

/** Undefined: there is no bucket of that name. */
export function findBucket(
  { objects, files }: FilerContext,
  name: string,
): Bucket | undefined | Promise<Bucket | undefined> {
  return name === FILES_BUCKET ? files.find() : objects.bucket(name)
}

/** The bucket that a path is in. Throws `bucket_not_found`. */
export async function bucketOf(context: FilerContext, path: FilerPath): Promise<Bucket> {
  if (path.bucket === undefined) throw new StoreError('bad_request', 'a bucket is missing behind /buckets')
  const bucket = await findBucket(context, path.bucket)
  if (bucket === undefined) throw new StoreError('bucket_not_found', `there is no bucket ${path.bucket}`)
  return bucket
}

/** As `bucketOf`; `files` is made when it is first written to. */
export async function bucketToWrite(context: FilerContext, path: FilerPath): Promise<Bucket> {
  if (path.bucket !== FILES_BUCKET) return bucketOf(context, path)
  const { objects, owner, files } = context
  const bucket = await files.find()
  if (bucket !== undefined) return bucket
  try {
    return await objects.createBucket({ name: FILES_BUCKET, owner })
  } catch (error) {
    // Another thread was first.
    if (!(error instanceof StoreError) || error.code !== 'bucket_exists') throw error
    return bucketOf(context, path)
  }
}

/** Rules of a tree (a file has nothing below it) are kept in the filer's own bucket; keys of other buckets are free. */
export function isTree(bucket: Bucket): boolean {
  return bucket.name === FILES_BUCKET
}
