/**
 * GET and HEAD of a file. The usual case, a small file without any condition, goes straight from row to reply; everything
 * else (conditions, ranges, overrides, large files, directories) goes by `readPath`.
 */
import { StoreError } from '../../../base/errors.ts'
import { rangeOutcome, rangesOutcome, wholeOutcome } from '../../../net/byte-source.ts'
import { evaluateConditions, formatHttpDate, ifRangeHolds } from '../../../net/conditional.ts'
import { formatContentDisposition } from '../../../net/content-disposition.ts'
import { mimeTypeOfName } from '../../../net/mime-types.ts'
import { parseRanges } from '../../../net/ranges.ts'
import { isStream, jsonOutcome, type Outcome, primeStream, rawHeader } from '../../../net/reply.ts'
import { MARK } from '../../../net/request-marks.ts'
import type { Bucket, FoundObject, ObjectInfo } from '../../../objects/object-store.ts'
import type { FilerContext, FilerRequest } from './context.ts'
import { entryJson } from './entry-json.ts'
import { storedHeaders } from './file-headers.ts'
import { nameOfKey } from './filer-path.ts'
import { isHeaderValue, responseHeaders } from './filer-query.ts'
import { sourceOf } from './read-pieces.ts'

/** Bodies up to this size leave as a latin1 string, together with their head, in one write. */
const STRING_BODY_BYTES_MAX = 16 * 1024
/** Read as a whole before the reply begins. */
const WHOLE_BYTES_MAX = 1024 * 1024

/** The file as a plain reply; undefined where it takes more than one look: it is large, far, or no file. */
export function readPlain(
  context: FilerContext,
  bucket: Bucket,
  key: string,
): Outcome | Promise<Outcome> | undefined {
  let found: FoundObject | Promise<FoundObject>
  try {
    found = context.objects.find(bucket, key)
  } catch (error) {
    // Perhaps a directory; or a key that nothing can have.
    if (error instanceof StoreError && (error.code === 'not_found' || error.code === 'key_too_long'))
      return undefined
    throw error
  }
  if (found instanceof Promise) return undefined
  const { info } = found
  if (info.isDeleteMarker || info.sizeBytes > WHOLE_BYTES_MAX) return undefined
  const headers = fileHeaders(info, false)
  const bytes = info.sizeBytes === 0 ? Buffer.alloc(0) : found.read(0, info.sizeBytes)
  if (Buffer.isBuffer(bytes)) return plainOutcome(headers, bytes)
  if (!(bytes instanceof Promise)) return undefined
  return bytes.then((arrived) => plainOutcome(headers, arrived))
}

function plainOutcome(headers: string[], bytes: Buffer): Outcome {
  const body = bytes.length <= STRING_BODY_BYTES_MAX ? bytes.toString('latin1') : bytes
  return { status: 200, headers, body }
}

/** The file of a key; undefined: there is none. */
export async function findFile(
  context: FilerContext,
  bucket: Bucket,
  key: string,
): Promise<FoundObject | undefined> {
  if (key === '') return undefined
  try {
    const found = await context.objects.find(bucket, key)
    return found.info.isDeleteMarker ? undefined : found
  } catch (error) {
    if (error instanceof StoreError && error.code === 'not_found') return undefined
    throw error
  }
}

/** Headers of a whole file's reply. */
function fileHeaders(info: ObjectInfo, isDownload: boolean): string[] {
  const { attributes, key } = info
  const name = nameOfKey(key)
  const headers = ['Accept-Ranges', 'bytes', 'ETag', `"${info.etag}"`]
  headers.push('Last-Modified', formatHttpDate(Math.floor(info.modifiedMs / 1_000)))
  const { contentType, contentDisposition: stored } = attributes
  const isUsable = contentType !== undefined && isHeaderValue(contentType)
  headers.push('Content-Type', isUsable ? contentType : mimeTypeOfName(name))
  const own = stored !== undefined && isHeaderValue(stored) && !isDownload ? stored : undefined
  const kind = isDownload ? 'attachment' : 'inline'
  const latin1 = /^[\x20-\x7e]*$/.test(name) ? name : Buffer.from(name).toString('latin1')
  headers.push('Content-Disposition', own ?? formatContentDisposition(kind, latin1))
  const others = storedHeaders(attributes)
  let exposed = ''
  for (let i = 0; i < others.length; i += 2) {
    headers.push(others[i]!, others[i + 1]!)
    if (others[i]!.startsWith('Seaweed-')) exposed += `${others[i]},`
  }
  headers.push('Access-Control-Expose-Headers', `${exposed}Content-Disposition`)
  return headers
}

/** GET and HEAD of a file that was found, as the request asks for it. Throws what reading throws before the reply begins. */
export async function readFile(
  context: FilerContext,
  request: FilerRequest,
  found: FoundObject,
): Promise<Outcome> {
  const { info } = found
  const { query, path, rawHeaders } = request
  if (query.flag('metadata')) {
    const entry = entryJson({ fullPath: path.display, isDirectory: false, info })
    return jsonOutcome(200, entry, query.pretty)
  }
  found.assertKey()
  const validators = { etag: `"${info.etag}"`, lastModifiedS: Math.floor(info.modifiedMs / 1_000) }
  if ((request.marks & MARK.conditional) !== 0) {
    const status = evaluateConditions(conditionsOf(rawHeaders), validators)
    const headers = ['ETag', validators.etag, 'Last-Modified', formatHttpDate(validators.lastModifiedS)]
    if (status !== undefined) return { status, headers, body: undefined }
  }
  const headers = fileHeaders(info, query.flag('dl'))
  const overrides = responseHeaders(query)
  for (let i = 0; i < overrides.length; i += 2) replaceHeader(headers, overrides[i]!, overrides[i + 1]!)
  if (request.method === 'HEAD') return { status: 200, headers, body: undefined, sizeBytes: info.sizeBytes }
  const outcome = rangedOutcome(context, request, { found, headers, validators })
  if (!isStream(outcome.body)) return outcome
  return { ...outcome, body: await primeStream(outcome.body) }
}

interface Reading {
  found: FoundObject
  headers: string[]
  validators: { etag: string; lastModifiedS: number }
}

function rangedOutcome(context: FilerContext, request: FilerRequest, reading: Reading): Outcome {
  const { found, headers, validators } = reading
  const source = sourceOf(found)
  if (source.sizeBytes === 0) source.whole = Buffer.alloc(0)
  const wantsRange =
    (request.marks & MARK.range) !== 0 && ifRangeHolds(rawHeader(request.rawHeaders, 'if-range'), validators)
  const ranges = wantsRange
    ? parseRanges(rawHeader(request.rawHeaders, 'range'), source.sizeBytes)
    : undefined
  if (ranges === undefined) return wholeOutcome(source, headers)
  if (ranges === 'invalid') {
    const refusal = ['Content-Type', 'text/plain; charset=utf-8', 'X-Content-Type-Options', 'nosniff']
    refusal.push('Accept-Ranges', 'bytes', 'Content-Range', `bytes */${source.sizeBytes}`)
    return { status: 416, headers: refusal, body: 'invalid range\n' }
  }
  if (ranges.length === 1) return rangeOutcome(source, headers, ranges[0]!)
  const contentType = removeHeader(headers, 'Content-Type')
  const boundary = context.random.bytes(16).toString('hex')
  return rangesOutcome(source, headers, { ranges, boundary, contentType })
}

function conditionsOf(rawHeaders: readonly string[]) {
  return {
    ifMatch: rawHeader(rawHeaders, 'if-match'),
    ifNoneMatch: rawHeader(rawHeaders, 'if-none-match'),
    ifModifiedSince: rawHeader(rawHeaders, 'if-modified-since'),
    ifUnmodifiedSince: rawHeader(rawHeaders, 'if-unmodified-since'),
  }
}

function replaceHeader(headers: string[], name: string, value: string): void {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== name) continue
    headers[i + 1] = value
    return
  }
  headers.push(name, value)
}

function removeHeader(headers: string[], name: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === name) return headers.splice(i, 2)[1]
  }
  return undefined
}
