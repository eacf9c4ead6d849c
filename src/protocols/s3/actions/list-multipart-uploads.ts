/** ListMultipartUploads: uploads that are neither completed nor aborted. */
import type { Outcome } from '../../../net/reply.ts'
import type { UploadInfo } from '../../../objects/object-store.ts'
import {
  encodingTag,
  filledKeyTag,
  keyTag,
  type ListParams,
  listParams,
  prefixesXml,
  STORAGE_CLASS_DEFAULT,
} from '../list-params.ts'
import { ownerXml, xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { invalidArgument } from '../s3-error.ts'
import { isoTime, optionalTag, tag } from '../xml-writer.ts'

const UPLOAD_ID = /^[0-9a-f]{32}$/

export async function listMultipartUploads(context: S3Context): Promise<Outcome> {
  const { request, bucket, objects } = context
  const params = listParams(request, 'max-uploads')
  const { prefix, delimiter, limit } = params
  const keyMarker = request.param('key-marker') ?? ''
  // It means nothing without a key.
  const uploadMarker = keyMarker === '' ? '' : (request.param('upload-id-marker') ?? '')
  if (uploadMarker !== '' && !UPLOAD_ID.test(uploadMarker))
    throw invalidArgument('Invalid uploadId marker', 'upload-id-marker', uploadMarker)
  const page = await objects.listUploads({
    bucket,
    prefix,
    delimiter,
    after: keyMarker,
    limit,
    ...(uploadMarker === '' ? {} : { afterUploadId: uploadMarker }),
  })
  const next = limit > 0 ? page.next : undefined
  return xmlOutcome(
    'ListMultipartUploadsResult',
    tag('Bucket', bucket.name) +
      keyTag('KeyMarker', keyMarker, params) +
      tag('UploadIdMarker', uploadMarker) +
      keyTag('NextKeyMarker', next?.key ?? '', params) +
      tag('NextUploadIdMarker', next?.uploadId ?? '') +
      keyTag('Prefix', prefix, params) +
      filledKeyTag('Delimiter', delimiter, params) +
      encodingTag(params) +
      tag('MaxUploads', limit) +
      tag('IsTruncated', next !== undefined) +
      page.uploads.map((upload) => uploadXml(context, upload, params)).join('') +
      prefixesXml(page.prefixes, params),
  )
}

function uploadXml(context: S3Context, upload: UploadInfo, params: ListParams): string {
  const { key, uploadId, createdMs, attributes, checksum } = upload
  const owner = attributes.owner ?? context.bucket.owner
  return (
    `<Upload>${keyTag('Key', key, params)}${tag('UploadId', uploadId)}` +
    ownerXml(context, owner, 'Initiator') +
    ownerXml(context, owner) +
    tag('StorageClass', attributes.storageClass ?? STORAGE_CLASS_DEFAULT) +
    tag('Initiated', isoTime(createdMs)) +
    optionalTag('ChecksumAlgorithm', checksum?.algorithm) +
    `${optionalTag('ChecksumType', checksum?.type)}</Upload>`
  )
}
