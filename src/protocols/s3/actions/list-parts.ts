/** ListParts: what an upload has so far. */
import type { Outcome } from '../../../net/reply.ts'
import type { PartInfo } from '../../../objects/object-store.ts'
import { pageSize, STORAGE_CLASS_DEFAULT } from '../list-params.ts'
import { ownerXml, xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { invalidArgument } from '../s3-error.ts'
import { isoTime, optionalTag, tag, wrap } from '../xml-writer.ts'
import { uploadOf } from './upload-part.ts'

export async function listParts(context: S3Context): Promise<Outcome> {
  const { request, bucket, key, objects } = context
  const at = uploadOf(context)
  const limit = pageSize(request, 'max-parts')
  const after = partMarker(request.filledParam('part-number-marker'))
  const { upload, parts, next } = await objects.listParts(at, { after, limit })
  const owner = upload.attributes.owner ?? bucket.owner
  const isTruncated = next !== undefined && limit > 0
  return xmlOutcome(
    'ListPartsResult',
    tag('Bucket', bucket.name) +
      tag('Key', key) +
      tag('UploadId', at.uploadId) +
      ownerXml(context, owner, 'Initiator') +
      ownerXml(context, owner) +
      tag('StorageClass', upload.attributes.storageClass ?? STORAGE_CLASS_DEFAULT) +
      tag('PartNumberMarker', after) +
      tag('NextPartNumberMarker', parts.at(-1)?.number ?? 0) +
      tag('MaxParts', limit) +
      tag('IsTruncated', isTruncated) +
      optionalTag('ChecksumAlgorithm', upload.checksum?.algorithm) +
      optionalTag('ChecksumType', upload.checksum?.type) +
      parts.map(partXml).join(''),
  )
}

function partMarker(text: string | undefined): number {
  if (text === undefined) return 0
  if (/^[0-9]{1,9}$/.test(text)) return Number(text)
  const name = 'part-number-marker'
  throw invalidArgument(`Provided ${name} not an integer or within integer range`, name, text)
}

function partXml({ number, modifiedMs, etag, sizeBytes, checksum }: PartInfo): string {
  return wrap(
    'Part',
    tag('PartNumber', number) +
      tag('LastModified', isoTime(modifiedMs)) +
      tag('ETag', `"${etag}"`) +
      tag('Size', sizeBytes) +
      (checksum === undefined ? '' : tag(`Checksum${checksum.algorithm}`, checksum.value)),
  )
}
