/** CreateMultipartUpload: begins an object that comes in parts; all that it has beside its bytes is said here. */
import type { Outcome } from '../../../net/reply.ts'
import type { NewUpload } from '../../../objects/object-store.ts'
import { algorithmNamed, checksumTypeOf } from '../digest-headers.ts'
import { encryptionHeaders } from '../encryption-headers.ts'
import { assertWritable, newObject } from '../object-headers.ts'
import type { S3Context } from '../s3-context.ts'
import { S3Error } from '../s3-error.ts'
import type { S3Request } from '../s3-request.ts'
import { tag, XML_HEADERS, xmlDocument } from '../xml-writer.ts'
import { unsupportedChecksum } from './copy-object.ts'

export async function createMultipartUpload(context: S3Context): Promise<Outcome> {
  const { request, bucket, key, objects, account } = context
  assertWritable(context)
  const checksum = wantedChecksum(request)
  const upload = await objects.createUpload({
    ...{ bucket, key, checksum },
    ...newObject(context, request, account?.id),
  })
  const headers = [...XML_HEADERS, ...encryptionHeaders(upload.attributes.encryption?.kind, request)]
  if (checksum !== undefined) {
    headers.push('x-amz-checksum-algorithm', checksum.algorithm, 'x-amz-checksum-type', checksum.type)
  }
  const xml = tag('Bucket', bucket.name) + tag('Key', key) + tag('UploadId', upload.uploadId)
  return { status: 200, headers, body: xmlDocument('InitiateMultipartUploadResult', xml) }
}

function wantedChecksum(request: S3Request): NewUpload['checksum'] {
  const name = request.header('x-amz-checksum-algorithm')
  const type = checksumTypeOf(request)
  if (name === undefined || name === '') {
    if (type === undefined) return undefined
    throw new S3Error(
      'InvalidRequest',
      'The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.',
    )
  }
  const algorithm = algorithmNamed(name)
  if (algorithm === undefined) throw unsupportedChecksum()
  if (type === undefined) return { algorithm, type: algorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE' }
  const isImpossible = type === 'COMPOSITE' ? algorithm === 'CRC64NVME' : !algorithm.startsWith('CRC')
  if (isImpossible) {
    throw new S3Error(
      'InvalidRequest',
      `The ${type} checksum type cannot be used with the ${algorithm.toLowerCase()} checksum algorithm.`,
    )
  }
  return { algorithm, type }
}
