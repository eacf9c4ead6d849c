/** What the listings have in common: their parameters, and the pieces of their documents. */
import { LIST_KEYS_MAX } from '../../base/limits.ts'
import type { ObjectInfo } from '../../objects/object-store.ts'
import { ownerXml } from './replies.ts'
import type { S3Context } from './s3-context.ts'
import { invalidArgument } from './s3-error.ts'
import type { S3Request } from './s3-request.ts'
import { encodeUrl, escapeXml, isoTime, optionalTag, tag } from './xml-writer.ts'

const COUNT_MAX = 2_147_483_647

/** `max-keys` and the like: more than a page is a page. Throws InvalidArgument. */
export function pageSize(request: S3Request, name: string, pageMax: number = LIST_KEYS_MAX): number {
  const text = request.filledParam(name)
  if (text === undefined) return pageMax
  const count = /^[+-]?[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (!(Math.abs(count) <= COUNT_MAX))
    throw invalidArgument(`Provided ${name} not an integer or within integer range`, name, text)
  if (count >= 0) return Math.min(count, pageMax)
  // S3 calls this one by another name.
  const argument = name === 'max-keys' ? 'maxKeys' : name
  throw invalidArgument(`Argument ${argument} must be an integer between 0 and ${COUNT_MAX}`, argument, text)
}

export interface ListParams {
  prefix: string
  delimiter: string
  limit: number
  isUrlEncoded: boolean
  /** Keys and their like, as the reply has them. */
  encode(text: string): string
}

/** Throws InvalidArgument. */
export function listParams(request: S3Request, countName: string): ListParams {
  const encoding = request.filledParam('encoding-type')
  if (encoding !== undefined && encoding.toLowerCase() !== 'url')
    throw invalidArgument('Invalid Encoding Method specified in Request', 'encoding-type', encoding)
  const isUrlEncoded = encoding !== undefined
  return {
    prefix: request.param('prefix') ?? '',
    delimiter: request.param('delimiter') ?? '',
    limit: pageSize(request, countName),
    isUrlEncoded,
    encode: isUrlEncoded ? encodeUrl : escapeXml,
  }
}

/** An element whose text is a key, prefix or delimiter. */
export function keyTag(name: string, text: string, { encode }: ListParams): string {
  return `<${name}>${encode(text)}</${name}>`
}

/** The same, or nothing where there is none. */
export function filledKeyTag(name: string, text: string | undefined, params: ListParams): string {
  return text === undefined || text === '' ? '' : keyTag(name, text, params)
}

export function encodingTag({ isUrlEncoded }: ListParams): string {
  return isUrlEncoded ? tag('EncodingType', 'url') : ''
}

export function prefixesXml(prefixes: readonly string[], { encode }: ListParams): string {
  let xml = ''
  for (const prefix of prefixes) xml += `<CommonPrefixes><Prefix>${encode(prefix)}</Prefix></CommonPrefixes>`
  return xml
}

/** Who owns it; objects without an owner of their own are the bucket's owner's. */
export function objectOwnerXml(context: S3Context, info: { attributes: ObjectInfo['attributes'] }): string {
  return ownerXml(context, info.attributes.owner ?? context.bucket.owner)
}

export const STORAGE_CLASS_DEFAULT = 'STANDARD'

/** Elements of an object's bytes, from LastModified to Size. */
export function objectXml(info: ObjectInfo): string {
  const { checksum } = info.attributes
  return (
    `<LastModified>${isoTime(info.modifiedMs)}</LastModified><ETag>&quot;${info.etag}&quot;</ETag>` +
    (checksum === undefined
      ? ''
      : tag('ChecksumAlgorithm', checksum.algorithm) + optionalTag('ChecksumType', checksum.type)) +
    `<Size>${info.sizeBytes}</Size>`
  )
}

export function contentsXml(objects: readonly ObjectInfo[], params: ListParams, owner: OwnerOf): string {
  let xml = ''
  for (const info of objects) {
    const storageClass = info.attributes.storageClass ?? STORAGE_CLASS_DEFAULT
    xml +=
      `<Contents><Key>${params.encode(info.key)}</Key>${objectXml(info)}${owner(info)}` +
      `<StorageClass>${storageClass}</StorageClass></Contents>`
  }
  return xml
}

export type OwnerOf = (info: ObjectInfo) => string
