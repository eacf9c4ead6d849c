/** DELETE: a file; a directory, with all in it when that is asked for. */
import { StoreError } from '../../../base/errors.ts'
import { errorOutcome, type Outcome } from '../../../net/reply.ts'
import type { Bucket } from '../../../objects/object-store.ts'
import { type FilerContext, type FilerRequest, findBucket } from './context.ts'

const GONE: Outcome = { status: 204, headers: [], body: undefined }

/** Throws what the store throws. What is not there counts as deleted. */
export async function deletePath(context: FilerContext, request: FilerRequest): Promise<Outcome> {
  const { path, query } = request
  if (path.display === '' || path.bucket === undefined)
    throw new StoreError('bad_request', `${path.display || '/'} cannot be deleted`)
  const bucket = await findBucket(context, path.bucket)
  if (bucket === undefined) return GONE
  try {
    return await remove(context, request, bucket)
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    if (error.code === 'not_found' || error.code === 'key_too_long') return GONE
    if (error.code === 'directory_not_empty' || error.code === 'bucket_not_empty') {
      const { display } = path
      const reason = `delete directory ${display}: fail to delete non-empty folder: ${display}`
      return errorOutcome(500, reason, query.pretty)
    }
    throw error
  }
}

async function remove(context: FilerContext, request: FilerRequest, bucket: Bucket): Promise<Outcome> {
  const { objects, directories } = context
  const { path, query } = request
  const recursive = query.flag('recursive')
  if (path.key !== '') {
    const there = await objects.stat(bucket, path.key)
    if (there === undefined) return GONE
    if (!there.isDirectory) {
      await objects.delete({ bucket, key: path.key })
      return GONE
    }
  }
  try {
    if (recursive || path.key !== '') await objects.removeDirectory(bucket, path.key, { recursive })
  } catch (error) {
    const isIgnored = recursive && query.flag('ignoreRecursiveError')
    if (!isIgnored || !(error instanceof StoreError)) throw error
  } finally {
    directories.clear()
  }
  if (path.key === '') {
    await objects.deleteBucket(bucket)
    context.files.forget()
  }
  return GONE
}
