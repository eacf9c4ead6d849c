/** GET and HEAD: finds out what a path names, a file, a directory, or the list of buckets, and answers as that. */
import { StoreError } from '../../../base/errors.ts'
import { jsonOutcome, type Outcome } from '../../../net/reply.ts'
import { type FilerContext, type FilerRequest, findBucket } from './context.ts'
import { entryJson } from './entry-json.ts'
import { FILES_BUCKET } from './filer-path.ts'
import { readBuckets, readDirectory, readNothing } from './get-directory.ts'
import { findFile, readFile } from './get-file.ts'

const NOT_FOUND: Outcome = { status: 404, headers: [], body: undefined }

/** Throws what the store throws. */
export async function readPath(context: FilerContext, request: FilerRequest): Promise<Outcome> {
  try {
    return await read(context, request)
  } catch (error) {
    // What cannot be there is not there.
    if (error instanceof StoreError && error.code === 'key_too_long') return NOT_FOUND
    throw error
  }
}

async function read(context: FilerContext, request: FilerRequest): Promise<Outcome> {
  const { path, query } = request
  const { objects } = context
  if (path.bucket === undefined) return readBuckets(context, request)
  const bucket = await findBucket(context, path.bucket)
  if (bucket === undefined) {
    // The first file makes the bucket; its root is there before.
    return path.key === '' && path.bucket === FILES_BUCKET ? readNothing(context, request) : NOT_FOUND
  }
  if (!path.endsWithSlash) {
    const found = await findFile(context, bucket, path.key)
    if (found !== undefined) return readFile(context, request, found)
  }
  const directory = path.key === '' ? undefined : await objects.stat(bucket, `${path.key}/`)
  if (path.key !== '' && directory === undefined) return NOT_FOUND
  if (query.flag('metadata')) {
    const entry = { fullPath: path.display || '/', isDirectory: true, info: directory?.info }
    return jsonOutcome(200, entryJson(entry), query.pretty)
  }
  return readDirectory(context, request, bucket)
}
