/** UploadPart: one part of an object, in place of what the part was before. */
import { StoreError } from '../../../base/errors.ts'
import type { Outcome } from '../../../net/reply.ts'
import type { ChecksumAlgorithm } from '../../../objects/object-store.ts'
import { checksumHeader } from '../digest-headers.ts'
import { customerKeyOf, encryptionHeaders } from '../encryption-headers.ts'
import { partNumber } from '../object-range.ts'
import type { S3Context } from '../s3-context.ts'
import { S3Error } from '../s3-error.ts'
import { assertBodySize, assertHasLength } from './put-object.ts'

export async function uploadPart(context: S3Context): Promise<Outcome> {
  const { request, objects } = context
  const customerKey = customerKeyOf(context, { isRead: false })
  assertHasLength(context)
  const at = uploadOf(context)
  const number = partNumber(request.param('partNumber'))
  const { body, check, algorithm } = context.openUpload()
  assertBodySize(body)
  await assertSameAlgorithm(context, algorithm)
  const part = await objects
    .putPart({ ...at, number, body, check, ...(customerKey && { customerKey }) })
    .catch((error) => {
      throw partError(error)
    })
  const { etag, checksum } = part
  const headers = ['ETag', `"${etag}"`, ...encryptionHeaders(part.encryption, request)]
  if (checksum !== undefined) headers.push(checksumHeader(checksum.algorithm), checksum.value)
  return { status: 200, headers, body: undefined }
}

/** The upload that a request names. */
export function uploadOf({ bucket, key, request }: S3Context) {
  return { bucket, key, uploadId: request.param('uploadId') ?? '' }
}

/** What is wrong with the key of a part: the upload has been told one, or none. */
export function partError(error: unknown): unknown {
  if (!(error instanceof StoreError)) return error
  if (error.code === 'wrong_key') {
    const message = 'The provided encryption parameters did not match the ones used originally.'
    return new S3Error('InvalidRequest', message, { cause: error })
  }
  if (error.code !== 'key_required' && error.code !== 'key_not_needed') return error
  const message =
    'The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters.'
  return new S3Error('InvalidRequest', message, { cause: error })
}

/** All parts of an upload have the kind of checksum that it was begun with; those of a whole object's may have none. */
async function assertSameAlgorithm(
  context: S3Context,
  algorithm: ChecksumAlgorithm | undefined,
): Promise<void> {
  const { upload } = await context.objects.listParts(uploadOf(context), { after: 0, limit: 0 })
  const expected = upload.checksum?.algorithm
  if (expected === undefined || expected === algorithm) return
  if (algorithm === undefined && upload.checksum?.type === 'FULL_OBJECT') return
  throw new S3Error(
    'InvalidRequest',
    `Checksum Type mismatch occurred, expected checksum Type: ${expected.toLowerCase()}, actual checksum Type: ${algorithm?.toLowerCase() ?? 'null'}`,
  )
}
