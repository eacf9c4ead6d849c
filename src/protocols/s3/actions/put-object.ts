/** PutObject: the whole object in one body. */
import { PART_BYTES_MAX } from '../../../base/limits.ts'
import type { Outcome } from '../../../net/reply.ts'
import type { ObjectBody, ObjectLock, PutObject, PutResult } from '../../../objects/object-store.ts'
import { addChecksum, hasDigest } from '../digest-headers.ts'
import { encryptionHeaders } from '../encryption-headers.ts'
import { withCondition, writeConditions } from '../object-conditions.ts'
import { assertWritable, newObject } from '../object-headers.ts'
import type { S3Context } from '../s3-context.ts'
import { S3Error } from '../s3-error.ts'

export async function putObject(context: S3Context): Promise<Outcome> {
  const { request, bucket, key, account } = context
  assertWritable(context)
  assertHasLength(context)
  const object = newObject(context, request, account?.id)
  if (bucket.objectLock) assertDigestForLock(context, object.lock)
  const conditions = writeConditions(request)
  const { body, check } = context.openUpload()
  assertBodySize(body)
  const result = await putWhole(context, { bucket, key, body, ...object, conditions, check })
  const headers = ['ETag', `"${result.etag}"`]
  if (result.isVersioned) headers.push('x-amz-version-id', result.versionId)
  headers.push(...encryptionHeaders(result.encryption, request))
  addChecksum(headers, result.checksum)
  context.services.expiration.add(headers, bucket, { ...result, key, tags: object.tags ?? [] })
  return { status: 200, headers, body: undefined }
}

/** The put itself; errors name the condition that failed. */
export async function putWhole(context: S3Context, put: PutObject): Promise<PutResult> {
  try {
    return await context.objects.put(put)
  } catch (error) {
    throw withCondition(error, put.conditions)
  }
}

/** What cannot be put right later must have come unharmed. Throws InvalidRequest. */
function assertDigestForLock({ request, bucket }: S3Context, lock: ObjectLock | undefined): void {
  if (lock === undefined && !bucket.configs.has('object_lock')) return
  if (hasDigest(request)) return
  throw new S3Error(
    'InvalidRequest',
    'Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters',
  )
}

/** Throws MissingContentLength for a body whose end nothing announces. */
export function assertHasLength({ request }: S3Context): void {
  if (request.header('content-length') === undefined && request.header('transfer-encoding') === undefined)
    throw new S3Error('MissingContentLength')
}

/** Throws EntityTooLarge for what no single body may have. */
export function assertBodySize({ sizeBytes }: Pick<ObjectBody, 'sizeBytes'>): void {
  if (sizeBytes === undefined || sizeBytes <= PART_BYTES_MAX) return
  throw new S3Error('EntityTooLarge', undefined, {
    extra: { ProposedSize: String(sizeBytes), MaxSizeAllowed: String(PART_BYTES_MAX) },
  })
}
