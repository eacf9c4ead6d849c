/** Replies that carry an object, or only its headers: GET and HEAD. */
import { formatHttpDate } from '../../net/conditional.ts'
import { type BodyStream, type Outcome, primeStream } from '../../net/reply.ts'
import type { FoundObject, ObjectInfo, ObjectPieces } from '../../objects/object-store.ts'
import { addChecksum } from './digest-headers.ts'
import { customerKeyOf, encryptionHeaders } from './encryption-headers.ts'
import { fitsHeader, metadataHeader, rawText } from './header-values.ts'
import { STORAGE_CLASS_DEFAULT } from './list-params.ts'
import { isNotModified } from './object-conditions.ts'
import { type Part, partOf, rangeOf } from './object-range.ts'
import type { S3Context } from './s3-context.ts'
import { invalidArgument, S3Error } from './s3-error.ts'

const MS_PER_S = 1_000
export const CONTENT_TYPE_DEFAULT = 'binary/octet-stream'

/** The answer to a GET or HEAD, without a body yet. */
export interface ObjectHead {
  status: 200 | 206 | 304
  headers: string[]
  /** What of the object is sent. */
  start: number
  end: number
}

/** Judges conditions and ranges. Throws PreconditionFailed, InvalidRange, InvalidPartNumber and the like. */
export function objectHead(context: S3Context): ObjectHead {
  const { request, found } = context
  const { info } = found
  const headers = validatorHeaders(found)
  const { attributes, sizeBytes } = info
  assertReadable(context)
  const overrides = request.params.length === 0 ? NO_OVERRIDES : overridesOf(context)
  if (isNotModified(request, info)) {
    if (attributes.cacheControl !== undefined) headers.push('Cache-Control', rawText(attributes.cacheControl))
    if (attributes.expires !== undefined) headers.push('Expires', rawText(attributes.expires))
    return { status: 304, headers, start: 0, end: 0 }
  }
  const part = partOf(request, info)
  const range = part ?? rangeOf(request, info)
  headers.push('Accept-Ranges', 'bytes')
  addContentHeaders(headers, attributes, overrides)
  addStoredHeaders(headers, attributes)
  headers.push(...encryptionHeaders(attributes.encryption?.kind, request))
  context.services.expiration.add(headers, context.bucket, info)
  addTagsAndLock(context, headers)
  addChecksumOf(context, headers, { part, isWhole: range === undefined })
  if (range === undefined) return { status: 200, headers, start: 0, end: sizeBytes }
  if (part?.count !== undefined) headers.push('x-amz-mp-parts-count', String(part.count))
  const { start, end } = range
  if (end > start) headers.push('Content-Range', `bytes ${start}-${end - 1}/${sizeBytes}`)
  return { status: 206, headers, start, end }
}

/** Throws InvalidArgument, InvalidRequest, AccessDenied where the key of the object is missing or wrong (SSE-C). */
export function assertReadable(context: S3Context): void {
  const customerKey = customerKeyOf(context, { isRead: true })
  const { found } = context
  if (customerKey !== undefined || found.info.attributes.encryption?.kind === 'SSE-C') found.assertKey()
}

function validatorHeaders({ info, isVersioned }: FoundObject): string[] {
  const modified = formatHttpDate(Math.floor(info.modifiedMs / MS_PER_S))
  const headers = ['Last-Modified', modified, 'ETag', `"${info.etag}"`]
  if (isVersioned) headers.push('x-amz-version-id', info.versionId)
  return headers
}

// Headers that a request may set otherwise

type Overrides = ReadonlyMap<string, string>

const NO_OVERRIDES: Overrides = new Map()
const OVERRIDABLE: ReadonlyMap<string, string> = new Map(
  [
    'Content-Type',
    'Cache-Control',
    'Content-Disposition',
    'Content-Encoding',
    'Content-Language',
    'Expires',
  ].map((name) => [`response-${name.toLowerCase()}`, name]),
)

function overridesOf({ request, account }: S3Context): Overrides {
  let overrides: Map<string, string> | undefined
  const { params } = request
  for (let i = 0; i < params.length; i += 2) {
    const given = params[i]!
    if (!given.startsWith('response-')) continue
    const name = OVERRIDABLE.get(given)
    const value = params[i + 1]!
    if (name === undefined)
      throw invalidArgument(`${given} is not in the set of overridable response headers`, given, value)
    if (account === undefined) {
      throw new S3Error(
        'InvalidRequest',
        'Request specific response headers cannot be used for anonymous GET requests.',
      )
    }
    if (!fitsHeader(value)) throw invalidArgument('Header value cannot be represented', given, value)
    overrides ??= new Map()
    if (!overrides.has(name)) overrides.set(name, value)
  }
  return overrides ?? NO_OVERRIDES
}

function addContentHeaders(
  headers: string[],
  attributes: ObjectInfo['attributes'],
  overrides: Overrides,
): void {
  const { contentType, cacheControl, contentDisposition, contentEncoding, contentLanguage, expires } =
    attributes
  if (overrides.size === 0) {
    headers.push('Content-Type', contentType === undefined ? CONTENT_TYPE_DEFAULT : rawText(contentType))
    if (cacheControl !== undefined) headers.push('Cache-Control', rawText(cacheControl))
    if (contentDisposition !== undefined) headers.push('Content-Disposition', rawText(contentDisposition))
    if (contentEncoding !== undefined) headers.push('Content-Encoding', rawText(contentEncoding))
    if (contentLanguage !== undefined) headers.push('Content-Language', rawText(contentLanguage))
    if (expires !== undefined) headers.push('Expires', rawText(expires))
    return
  }
  const add = (name: string, stored: string | undefined) => {
    const value = overrides.get(name) ?? stored
    if (value !== undefined) headers.push(name, rawText(value))
  }
  add('Content-Type', contentType ?? CONTENT_TYPE_DEFAULT)
  add('Cache-Control', cacheControl)
  add('Content-Disposition', contentDisposition)
  add('Content-Encoding', contentEncoding)
  add('Content-Language', contentLanguage)
  add('Expires', expires)
}

const META_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

function addStoredHeaders(headers: string[], attributes: ObjectInfo['attributes']): void {
  const { storageClass, websiteRedirect, userMetadata } = attributes
  if (storageClass !== undefined && storageClass !== STORAGE_CLASS_DEFAULT)
    headers.push('x-amz-storage-class', storageClass)
  if (websiteRedirect !== undefined) headers.push('x-amz-website-redirect-location', rawText(websiteRedirect))
  if (userMetadata === undefined) return
  let missing = 0
  for (const [name, value] of userMetadata) {
    if (META_NAME.test(name) && fitsHeader(value)) headers.push(`x-amz-meta-${name}`, metadataHeader(value))
    else missing++
  }
  if (missing > 0) headers.push('x-amz-missing-meta', String(missing))
}

/** Tags and locks are told to those who may read them. */
function addTagsAndLock(context: S3Context, headers: string[]): void {
  const { found, bucket, key } = context
  const { tags, lock } = found.info
  const may = (action: string) => context.allows(action, { bucket, key, object: found.info })
  if (tags.length > 0 && may('s3:GetObjectTagging')) headers.push('x-amz-tagging-count', String(tags.length))
  if (lock.mode !== undefined && may('s3:GetObjectRetention')) {
    headers.push('x-amz-object-lock-mode', lock.mode)
    headers.push('x-amz-object-lock-retain-until-date', new Date(lock.untilMs!).toISOString())
  }
  if (lock.legalHold !== undefined && may('s3:GetObjectLegalHold'))
    headers.push('x-amz-object-lock-legal-hold', lock.legalHold ? 'ON' : 'OFF')
}

/** Of the whole object or of one part: a checksum of other ranges is not known. */
function addChecksumOf(
  { request, found }: S3Context,
  headers: string[],
  { part, isWhole }: { part: Part | undefined; isWhole: boolean },
): void {
  if (request.header('x-amz-checksum-mode')?.toUpperCase() !== 'ENABLED') return
  const { checksum, partChecksums } = found.info.attributes
  if (checksum === undefined) return
  if (isWhole || (part !== undefined && part.count === undefined)) addChecksum(headers, checksum)
  else if (part !== undefined) {
    const value = partChecksums?.[part.number - 1]
    if (value !== undefined) addChecksum(headers, { ...checksum, value })
  }
}

// The bytes

/** The bytes of a head, as a reply. Damage that shows at once becomes an error, not a reply that breaks off. */
export function withBytes(found: FoundObject, head: ObjectHead): Outcome | Promise<Outcome> {
  const { status, headers, start, end } = head
  const read = found.read(start, end)
  if (Buffer.isBuffer(read)) return { status, headers, body: inOneWrite(read) }
  if (read instanceof Promise) return read.then((body) => ({ status, headers, body: inOneWrite(body) }))
  return primeStream(streamOf(read)).then((body) => ({ status, headers, body }))
}

const ONE_WRITE_BYTES_MAX = 4096

/** As a string a short body leaves together with its head, in one write. */
function inOneWrite(bytes: Buffer): Buffer | string {
  return bytes.length <= ONE_WRITE_BYTES_MAX ? bytes.toString('latin1') : bytes
}

function streamOf(pieces: ObjectPieces): BodyStream {
  return { sizeBytes: pieces.sizeBytes, pieces: () => pieces.pieces(), close() {} }
}
