/** What a copy is made of: the object that `x-amz-copy-source` names, if the caller may read it. */
import { StoreError } from '../../base/errors.ts'
import { isBucketName } from '../../objects/bucket-name.ts'
import type { Bucket, FoundObject, ObjectInfo } from '../../objects/object-store.ts'
import { rankOf } from '../../objects/rows.ts'
import { sourceKeyOf } from './encryption-headers.ts'
import { unknownVersion } from './read-options.ts'
import type { S3Context } from './s3-context.ts'
import { invalidArgument, S3Error } from './s3-error.ts'
import { decodeUri } from './s3-request.ts'

const HEADER = 'x-amz-copy-source'
const VERSION = '?versionId='

export interface CopySource {
  bucket: Bucket
  key: string
  versionId: string | undefined
  info: ObjectInfo
  /** The version id is to be told. */
  isVersioned: boolean
  /** SSE-C: the right one. */
  customerKey?: Buffer
}

interface SourceName {
  bucketName: string
  key: string
  versionId: string | undefined
}

/** Throws InvalidArgument. */
export function parseCopySource(text: string): SourceName {
  const mark = text.lastIndexOf(VERSION)
  const path = decodeSource(mark < 0 ? text : text.slice(0, mark), text)
  const versionId = mark < 0 ? undefined : decodeSource(text.slice(mark + VERSION.length), text)
  const start = path.startsWith('/') ? 1 : 0
  const slash = path.indexOf('/', start)
  if (slash <= start || slash === path.length - 1)
    throw invalidArgument(
      'Copy Source must mention the source bucket and key: sourcebucket/sourcekey',
      HEADER,
      text,
    )
  if (!isBucketName(path.slice(start, slash)))
    throw invalidArgument('Invalid copy source bucket name', HEADER, text)
  if (versionId !== undefined && versionId !== 'null' && rankOf(versionId) === undefined)
    throw unknownVersion(versionId, path.slice(slash + 1))
  return { bucketName: path.slice(start, slash), key: path.slice(slash + 1), versionId }
}

function decodeSource(part: string, whole: string): string {
  try {
    return decodeUri(part)
  } catch (cause) {
    throw new S3Error('InvalidArgument', 'Invalid copy source encoding.', {
      extra: { ArgumentName: HEADER, ArgumentValue: whole },
      cause,
    })
  }
}

/** Throws NoSuchBucket, NoSuchKey, NoSuchVersion, AccessDenied, InvalidRequest for a delete marker. */
export async function findCopySource(context: S3Context): Promise<CopySource> {
  const { bucketName, key, versionId } = parseCopySource(context.request.header(HEADER)!)
  const bucket = bucketName === context.bucket.name ? context.bucket : await context.findBucket(bucketName)
  const expected = context.request.header('x-amz-source-expected-bucket-owner')
  if (expected !== undefined && expected !== bucket.owner) throw new S3Error('AccessDenied')
  const customerKey = sourceKeyOf(context)
  const found = await find(context, { bucket, key, versionId, ...(customerKey && { customerKey }) })
  const action = versionId === undefined ? 's3:GetObject' : 's3:GetObjectVersion'
  const object = found instanceof Error ? undefined : found.info
  context.demand(action, { bucket, key, ...(object && { object }), told: { versionId } })
  if (found instanceof Error) throw asSeen(context, bucket, found)
  const { info, isVersioned } = found
  if (!info.isDeleteMarker) {
    found.assertKey()
    return { bucket, key, versionId, info, isVersioned, ...(customerKey && { customerKey }) }
  }
  if (versionId === undefined) throw asSeen(context, bucket, noKey(key))
  throw new S3Error(
    'InvalidRequest',
    'The source of a copy request may not specifically refer to a delete marker by version id.',
  )
}

async function find(
  { objects }: S3Context,
  at: { bucket: Bucket; key: string; versionId: string | undefined; customerKey?: Buffer },
): Promise<FoundObject | S3Error> {
  const { bucket, key, ...options } = at
  try {
    return await objects.find(bucket, key, options)
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    if (error.code === 'not_found') return noKey(key)
    if (error.code === 'version_not_found')
      return new S3Error('NoSuchVersion', undefined, { extra: { Key: key, VersionId: options.versionId! } })
    throw error
  }
}

const noKey = (key: string) => new S3Error('NoSuchKey', undefined, { extra: { Key: key } })

/** Who may not list the bucket does not learn what it has. */
function asSeen(context: S3Context, bucket: Bucket, missing: S3Error): S3Error {
  return context.allows('s3:ListBucket', { bucket }) ? missing : new S3Error('AccessDenied')
}

/** For the reply. */
export function sourceVersionHeaders({ isVersioned, info }: CopySource): string[] {
  return isVersioned ? ['x-amz-copy-source-version-id', info.versionId] : []
}
