/** UploadPart: one part of an object, in place of what the part was before. */
import type { Outcome } from '../../../net/reply.ts'
import type { ChecksumAlgorithm } from '../../../objects/object-store.ts'
import { checksumHeader } from '../digest-headers.ts'
import { refuseEncryption } from '../object-headers.ts'
import { partNumber } from '../object-range.ts'
import type { S3Context } from '../s3-context.ts'
import { S3Error } from '../s3-error.ts'
import { assertBodySize, assertHasLength } from './put-object.ts'

export async function uploadPart(context: S3Context): Promise<Outcome> {
  const { request, objects } = context
  refuseEncryption(request)
  assertHasLength(context)
  const at = uploadOf(context)
  const number = partNumber(request.param('partNumber'))
  const { body, check, algorithm } = context.openUpload()
  assertBodySize(body)
  if (algorithm !== undefined) await assertSameAlgorithm(context, algorithm)
  const { etag, checksum } = await objects.putPart({ ...at, number, body, check })
  const headers = ['ETag', `"${etag}"`]
  if (checksum !== undefined) headers.push(checksumHeader(checksum.algorithm), checksum.value)
  return { status: 200, headers, body: undefined }
}

/** The upload that a request names. */
export function uploadOf({ bucket, key, request }: S3Context) {
  return { bucket, key, uploadId: request.param('uploadId') ?? '' }
}

/** All parts of an upload have the kind of checksum that it was begun with. */
async function assertSameAlgorithm(context: S3Context, algorithm: ChecksumAlgorithm): Promise<void> {
  const { upload } = await context.objects.listParts(uploadOf(context), { after: 0, limit: 0 })
  const expected = upload.checksum?.algorithm
  if (expected === undefined || expected === algorithm) return
  throw new S3Error(
    'InvalidRequest',
    `Checksum Type mismatch occurred, expected checksum Type: ${expected.toLowerCase()}, actual checksum Type: ${algorithm.toLowerCase()}`,
  )
}
