/** ListObjectVersions: every version and delete marker, of each key the newest first. */
import type { Outcome } from '../../../net/reply.ts'
import type { ObjectInfo } from '../../../objects/object-store.ts'
import {
  encodingTag,
  filledKeyTag,
  keyTag,
  type ListParams,
  listParams,
  objectOwnerXml,
  objectXml,
  prefixesXml,
  STORAGE_CLASS_DEFAULT,
} from '../list-params.ts'
import { xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { invalidArgument } from '../s3-error.ts'
import { isoTime, optionalTag, tag } from '../xml-writer.ts'

export async function listObjectVersions(context: S3Context): Promise<Outcome> {
  const { request, bucket, objects } = context
  const params = listParams(request, 'max-keys')
  const { prefix, delimiter, limit } = params
  const keyMarker = request.param('key-marker') ?? ''
  const versionMarker = versionMarkerOf(context, keyMarker)
  const page = await objects.listVersions({
    bucket,
    prefix,
    delimiter,
    after: keyMarker,
    limit,
    ...(versionMarker === '' ? {} : { afterVersionId: versionMarker }),
  })
  const next = limit > 0 ? page.next : undefined
  return xmlOutcome(
    'ListVersionsResult',
    tag('Name', bucket.name) +
      keyTag('Prefix', prefix, params) +
      keyTag('KeyMarker', keyMarker, params) +
      tag('VersionIdMarker', versionMarker) +
      filledKeyTag('NextKeyMarker', next?.key, params) +
      optionalTag('NextVersionIdMarker', next?.versionId) +
      tag('MaxKeys', limit) +
      filledKeyTag('Delimiter', delimiter, params) +
      encodingTag(params) +
      tag('IsTruncated', next !== undefined) +
      page.versions.map((info) => versionXml(context, info, params)).join('') +
      prefixesXml(page.prefixes, params),
  )
}

function versionMarkerOf({ request }: S3Context, keyMarker: string): string {
  const versionMarker = request.param('version-id-marker')
  if (versionMarker === undefined) return ''
  if (versionMarker === '' && keyMarker !== '')
    throw invalidArgument('A version-id marker cannot be empty.', 'version-id-marker', '')
  if (versionMarker !== '' && keyMarker === '') {
    const message = 'A version-id marker cannot be specified without a key marker.'
    throw invalidArgument(message, 'version-id-marker', versionMarker)
  }
  return versionMarker
}

function versionXml(context: S3Context, info: ObjectInfo, { encode }: ListParams): string {
  const head =
    `<Key>${encode(info.key)}</Key><VersionId>${info.versionId}</VersionId>` +
    `<IsLatest>${info.isLatest}</IsLatest>`
  const owner = objectOwnerXml(context, info)
  if (info.isDeleteMarker)
    return `<DeleteMarker>${head}${tag('LastModified', isoTime(info.modifiedMs))}${owner}</DeleteMarker>`
  const storageClass = tag('StorageClass', info.attributes.storageClass ?? STORAGE_CLASS_DEFAULT)
  return `<Version>${head}${objectXml(info)}${owner}${storageClass}</Version>`
}
