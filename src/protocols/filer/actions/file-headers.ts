/** Between HTTP headers and what an object carries: of uploads, of tagging, of replies. Values are bytes as latin1 strings. */
import { StoreError } from '../../../base/errors.ts'
import { PAIRS_BYTES_MAX } from '../../../base/limits.ts'
import { parseEtagList } from '../../../net/conditional.ts'
import { isToken } from '../../../net/content-disposition.ts'
import { OCTET_STREAM } from '../../../net/mime-types.ts'
import type { Conditions, ObjectAttributes } from '../../../objects/object-store.ts'
import { isHeaderValue } from './filer-query.ts'

/** What the request headers of an upload say. */
export interface UploadHeaders {
  contentType: string
  contentMd5: string
  contentDisposition: string
  attributes: ObjectAttributes
  conditions: Conditions | undefined
}

const PAIR_PREFIX = 'seaweed-'

/** Picks them out of a raw header list in one pass. Throws `too_large`, `bad_request`. */
export function uploadHeadersOf(rawHeaders: readonly string[]): UploadHeaders {
  const attributes: ObjectAttributes = {}
  const headers: UploadHeaders = {
    ...{ contentType: '', contentMd5: '', contentDisposition: '' },
    ...{ attributes, conditions: undefined },
  }
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    const first = name.charCodeAt(0) | 0x20
    // c, e, i, s: all that matter begin so.
    if (first === 0x63 || first === 0x65 || first === 0x69)
      setHeader(headers, name.toLowerCase(), rawHeaders[i + 1]!)
  }
  const pairs = pairsOf(rawHeaders)
  if (pairs.length > 0) attributes.extended = pairs
  return headers
}

function setHeader(headers: UploadHeaders, name: string, value: string): void {
  if (value === '') return
  const { attributes } = headers
  switch (name) {
    case 'content-type':
      headers.contentType = value
      break
    case 'content-md5':
      headers.contentMd5 = value
      break
    case 'content-disposition':
      headers.contentDisposition = value
      attributes.contentDisposition = value
      break
    case 'content-encoding':
      if (value.toLowerCase() !== 'identity') attributes.contentEncoding = value
      break
    case 'content-language':
      attributes.contentLanguage = value
      break
    case 'cache-control':
      attributes.cacheControl = value
      break
    case 'expires':
      attributes.expires = value
      break
    case 'if-match':
      headers.conditions = { ...headers.conditions, ifMatch: etagsOf(value, 'strong') }
      break
    case 'if-none-match':
      headers.conditions = { ...headers.conditions, ifNoneMatch: etagsOf(value, 'weak') }
      break
  }
}

/** The members of a list of entity tags. Throws `bad_request`. */
function etagsOf(value: string, comparison: 'strong' | 'weak'): string[] | '*' {
  const tags = parseEtagList(value, comparison)
  if (tags === undefined) throw new StoreError('bad_request', 'malformed list of entity tags in a condition')
  return tags
}

/** The `Seaweed-*` headers, names as Go writes them, the first of each. Throws `too_large`. */
export function pairsOf(rawHeaders: readonly string[]): [name: string, value: string][] {
  const pairs: [string, string][] = []
  let bytes = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    if ((name.charCodeAt(0) | 0x20) !== 0x73 || name.length <= PAIR_PREFIX.length) continue
    if (!name.toLowerCase().startsWith(PAIR_PREFIX) || rawHeaders[i + 1] === '') continue
    const canonical = canonicalName(name)
    if (pairs.some(([known]) => known === canonical)) continue
    bytes += name.length + rawHeaders[i + 1]!.length
    if (bytes > PAIRS_BYTES_MAX)
      throw new StoreError('too_large', `Seaweed-* headers over ${PAIRS_BYTES_MAX} bytes`)
    pairs.push([canonical, rawHeaders[i + 1]!])
  }
  return pairs
}

/** `seaweed-OWNER` to `Seaweed-Owner`. */
export function canonicalName(name: string): string {
  return name.toLowerCase().replace(/(^|-)[a-z]/g, (letters) => letters.toUpperCase())
}

/** The content type to keep: what says nothing is not kept. Throws `bad_request`. */
export function keptContentType(type: string): string | undefined {
  if (type === '' || type.startsWith(OCTET_STREAM)) return undefined
  if (!isHeaderValue(type)) throw new StoreError('bad_request', 'a control character in the content type')
  return type
}

/** Stored headers of a file, as a reply sends them: name, value, …. What cannot be a header is left out. */
export function storedHeaders(attributes: ObjectAttributes): string[] {
  const headers: string[] = []
  const { cacheControl, contentEncoding, contentLanguage, expires, extended } = attributes
  add(headers, 'Cache-Control', cacheControl)
  add(headers, 'Content-Encoding', contentEncoding)
  add(headers, 'Content-Language', contentLanguage)
  add(headers, 'Expires', expires)
  if (extended !== undefined) {
    for (const [name, value] of extended)
      if (isToken(name) && name.toLowerCase().startsWith(PAIR_PREFIX)) add(headers, name, value)
  }
  return headers
}

function add(headers: string[], name: string, value: string | undefined): void {
  if (value !== undefined && isHeaderValue(value)) headers.push(name, value)
}
