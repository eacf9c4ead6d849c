/** GetObjectAttributes: what is known of an object without its bytes. */
import { LIST_KEYS_MAX } from '../../../base/limits.ts'
import { formatHttpDate } from '../../../net/conditional.ts'
import type { Outcome } from '../../../net/reply.ts'
import type { ObjectInfo } from '../../../objects/object-store.ts'
import { checksumXml } from '../digest-headers.ts'
import { STORAGE_CLASS_DEFAULT } from '../list-params.ts'
import { assertReadable } from '../object-reply.ts'
import { versionHeaders } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { invalidArgument, S3Error } from '../s3-error.ts'
import type { S3Request } from '../s3-request.ts'
import { optionalTag, tag, wrap, XML_HEADERS, xmlDocument } from '../xml-writer.ts'

const NAMES = ['ETag', 'Checksum', 'ObjectParts', 'StorageClass', 'ObjectSize'] as const
type Name = (typeof NAMES)[number]
const MS_PER_S = 1_000
const HEADER = 'x-amz-object-attributes'

export function getObjectAttributes(context: S3Context): Outcome {
  const { request, found } = context
  const names = askedNames(request)
  assertReadable(context)
  const { info } = found
  const { attributes, sizeBytes, etag, modifiedMs } = info
  const render: Record<Name, () => string> = {
    ETag: () => tag('ETag', etag),
    Checksum: () =>
      attributes.checksum === undefined ? '' : wrap('Checksum', checksumXml(attributes.checksum)),
    ObjectParts: () => partsXml(request, info),
    StorageClass: () => tag('StorageClass', attributes.storageClass ?? STORAGE_CLASS_DEFAULT),
    ObjectSize: () => tag('ObjectSize', sizeBytes),
  }
  const xml = NAMES.filter((name) => names.has(name))
    .map((name) => render[name]())
    .join('')
  const modified = formatHttpDate(Math.floor(modifiedMs / MS_PER_S))
  const headers = [...XML_HEADERS, 'Last-Modified', modified, ...versionHeaders(found)]
  return { status: 200, headers, body: xmlDocument('GetObjectAttributesResponse', xml) }
}

/** The attributes that are asked for. Throws InvalidArgument, InvalidRequest. */
export function askedNames({ rawHeaders }: S3Request): Set<Name> {
  const names = new Set<Name>()
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]!.toLowerCase() !== HEADER) continue
    for (const text of rawHeaders[i + 1]!.split(',')) {
      const asked = text.trim()
      if (asked === '') continue
      const name = NAMES.find((each) => each === asked)
      if (name === undefined) throw invalidArgument('Invalid attribute name specified.', HEADER, asked)
      names.add(name)
    }
  }
  if (names.size === 0)
    throw new S3Error(
      'InvalidRequest',
      'The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty',
    )
  return names
}

/** Nothing for what was not uploaded in parts. */
function partsXml(request: S3Request, { attributes }: ObjectInfo): string {
  const { partSizes, partChecksums, checksum } = attributes
  if (partSizes === undefined) return ''
  const after = count(request, 'x-amz-part-number-marker', 0)
  const limit = Math.min(count(request, 'x-amz-max-parts', LIST_KEYS_MAX), LIST_KEYS_MAX)
  const page = partSizes.slice(after, after + limit)
  const isTruncated = after + page.length < partSizes.length
  const parts = page.map((sizeBytes, at) => {
    const value = partChecksums?.[after + at]
    const sum = checksum === undefined ? '' : optionalTag(`Checksum${checksum.algorithm}`, value)
    return wrap('Part', tag('PartNumber', after + at + 1) + tag('Size', sizeBytes) + sum)
  })
  return wrap(
    'ObjectParts',
    tag('PartsCount', partSizes.length) +
      tag('PartNumberMarker', after) +
      tag('NextPartNumberMarker', after + page.length) +
      tag('MaxParts', limit) +
      tag('IsTruncated', isTruncated) +
      parts.join(''),
  )
}

function count(request: S3Request, header: string, otherwise: number): number {
  const text = request.header(header)
  if (text === undefined || text === '') return otherwise
  if (!/^[0-9]{1,9}$/.test(text)) throw invalidArgument(`Provided ${header} not an integer`, header, text)
  return Number(text)
}
