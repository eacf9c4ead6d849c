/** `mv.from` and `cp.from`: a file or directory gets another name, a file is copied. */
import { StoreError } from '../../../base/errors.ts'
import { errorOutcome, type Outcome } from '../../../net/reply.ts'
import type { Bucket, TreeEntry } from '../../../objects/object-store.ts'
import { secondsLeft } from '../../../objects/tree-life.ts'
import {
  bucketOf,
  bucketToWrite,
  type FilerContext,
  type FilerRequest,
  findBucket,
  isTree,
} from './context.ts'
import { assertNamesFit, type FilerPath, filerPathOf, nameOfKey } from './filer-path.ts'
import { makeParents } from './put-file.ts'

const DONE: Outcome = { status: 204, headers: [], body: undefined }

interface Ends {
  from: FilerPath
  source: TreeEntry
  sourceBucket: Bucket
  bucket: Bucket
  key: string
  /** What is at `key` now. */
  target: TreeEntry | undefined
}

/** Throws what the store throws; what SeaweedFS answers with 400 is that. */
export async function movePath(context: FilerContext, request: FilerRequest): Promise<Outcome> {
  const { query, path } = request
  const ends = await endsOf(context, request, 'mv.from')
  if ('status' in ends) return ends
  const { from, source, sourceBucket, bucket, key, target } = ends
  if (sourceBucket.id !== bucket.id) {
    return errorOutcome(400, `cannot move ${from.display} from one bucket to another`, query.pretty)
  }
  if (from.key === key) return DONE
  if (source.isDirectory && target !== undefined && !target.isDirectory) {
    const reason = `move: cannot overwrite non-directory '${path.display}' with directory '${from.display}'`
    return errorOutcome(400, reason, query.pretty)
  }
  if (isTree(bucket)) await makeParents(context, bucket, { key })
  await context.objects.rename(bucket, from.key, key)
  if (source.isDirectory) context.directories.clear()
  return DONE
}

/** Throws what the store throws. */
export async function copyPath(context: FilerContext, request: FilerRequest): Promise<Outcome> {
  const { query, path } = request
  const ends = await endsOf(context, request, 'cp.from')
  if ('status' in ends) return ends
  const { from, source, sourceBucket, bucket, key, target } = ends
  if (source.isDirectory) {
    return errorOutcome(400, `copy: cannot copy directory '${from.display}'`, query.pretty)
  }
  const isItself = sourceBucket.id === bucket.id && from.key === key
  if (target !== undefined && (target.isDirectory || isItself || !query.flag('overwrite'))) {
    return errorOutcome(409, `destination ${path.display} already exists`, query.pretty)
  }
  if (isTree(bucket)) await makeParents(context, bucket, { key })
  const nowMs = context.clock.nowMs()
  const { attributes } = source.info!
  const left = secondsLeft(source.info!, nowMs)
  // The bytes are shared, and so is the time that they live.
  const aged = { ...attributes.posix, ttlSeconds: Math.max(1, Math.floor(left ?? 0)), createdMs: nowMs }
  await context.objects.copy({
    source: { bucket: sourceBucket, key: from.key },
    ...{ bucket, key },
    ...(left === undefined ? {} : { attributes: { ...attributes, posix: aged } }),
  })
  return DONE
}

/** What is moved or copied, and where to: a directory that is there takes it in. */
async function endsOf(
  context: FilerContext,
  request: FilerRequest,
  parameter: 'mv.from' | 'cp.from',
): Promise<Ends | Outcome> {
  const { query, path } = request
  const text = query.text(parameter)
  const from = filerPathOf(text.startsWith('/') ? text : `/${text}`, { showsBuckets: context.showsBuckets })
  if (from.key === '') return errorOutcome(400, `invalid source '${from.display || '/'}'`, query.pretty)
  const sourceBucket = await findBucket(context, from.bucket!)
  const source = sourceBucket && (await context.objects.stat(sourceBucket, from.key))
  if (sourceBucket === undefined || source === undefined) {
    const reason = `failed to get src entry '${from.display}', err: no such file or directory`
    return errorOutcome(400, reason, query.pretty)
  }
  const bucket =
    path.bucket === from.bucket ? await bucketOf(context, path) : await bucketToWrite(context, path)
  let key = path.key
  let target = key === '' ? undefined : await context.objects.stat(bucket, key)
  if (key === '' || path.endsWithSlash || target?.isDirectory) {
    if (target !== undefined && !target.isDirectory)
      throw new StoreError('conflict', `${path.display} is a file`)
    key = key === '' ? nameOfKey(from.key) : `${key}/${nameOfKey(from.key)}`
    target = await context.objects.stat(bucket, key)
  }
  assertNamesFit(key)
  return { from, source, sourceBucket, bucket, key, target }
}
