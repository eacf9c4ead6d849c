/** From the headers and body of a POST or PUT to the needle that is stored. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { StoreError } from '../../base/errors.ts'
import type { Fid } from '../../base/fid.ts'
import type { HeavyJobs } from '../../base/heavy-jobs.ts'
import { MANIFEST_BYTES_MAX, MIME_BYTES_MAX, NAME_BYTES_MAX } from '../../base/limits.ts'
import { bytesNeedle, type NeedleWrite, type NewNeedle } from '../../disk/needle.ts'
import { parseContentDisposition } from '../../net/content-disposition.ts'
import { OCTET_STREAM } from '../../net/mime-types.ts'
import { fileOfForm, formBoundary } from '../../net/multipart.ts'
import { inflateAtOnce, inflatedPieces } from './inflate.ts'
import { ofGzippedManifest, parseManifest } from './manifest.ts'
import { encodePairs, PAIR_PREFIX } from './pairs.ts'
import { type FileQuery, isHeaderValue } from './query.ts'

/** The request headers that an upload looks at. */
export interface UploadHeaders {
  contentType: string
  contentEncoding: string
  contentMd5: string
  contentDisposition: string
  /** `Seaweed-*`: name without prefix, value, … */
  pairs: string[] | undefined
}

export interface Upload {
  needle: NewNeedle
  /** Length of the file as its reader sees it. */
  sizeBytes: number
  /** The Content-MD5 that was sent and found right; '' without one. */
  contentMd5: string
}

/** Picks them out of a raw header list in one pass. */
export function uploadHeadersOf(rawHeaders: readonly string[]): UploadHeaders {
  const headers: UploadHeaders = {
    contentType: '',
    contentEncoding: '',
    contentMd5: '',
    contentDisposition: '',
    pairs: undefined,
  }
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    const first = name.charCodeAt(0) | 0x20
    if (first === 0x63) setContentHeader(headers, name.toLowerCase(), rawHeaders[i + 1]!)
    else if (
      first === 0x73 &&
      name.length > PAIR_PREFIX.length &&
      name.toLowerCase().startsWith(PAIR_PREFIX)
    ) {
      headers.pairs ??= []
      headers.pairs.push(name.slice(PAIR_PREFIX.length), rawHeaders[i + 1]!)
    }
  }
  return headers
}

function setContentHeader(headers: UploadHeaders, name: string, value: string): void {
  if (name === 'content-type') headers.contentType = value
  else if (name === 'content-encoding') headers.contentEncoding = value
  else if (name === 'content-md5') headers.contentMd5 = value
  else if (name === 'content-disposition') headers.contentDisposition = value
}

/** What the sender calls its file, and how it describes the bytes. Texts are latin1 bytes. */
interface UploadedFile {
  data: Buffer
  name: string
  mime: string
  isGzipped: boolean
  contentMd5: string
}

export interface UploadRequest {
  fid: Fid
  headers: UploadHeaders
  body: Buffer
  query: Readonly<FileQuery>
  /** Last part of the path: the name of a raw body that has no other. */
  pathName: string
  /** Seconds since 1970. */
  nowS: number
  inflatedBytesMax: number
  /** Long gzipped manifests are inflated as some of them. */
  jobs: HeavyJobs
}

/**
 * Makes the needle. A promise only where gzip must be inflated to learn the file's length.
 * Throws (or rejects with) `bad_request`, `too_large` and `too_many_requests` with the reason.
 */
export function parseUpload(request: UploadRequest): Upload | Promise<Upload> {
  const { query, headers } = request
  if (query.isBlob) {
    const needle: NeedleWrite = bytesNeedle(request.fid, request.body)
    if (query.isRepair) needle.isRepair = true
    if (query.blobHash !== undefined)
      needle.name = Buffer.from(Buffer.from(query.blobHash, 'base64url').toString('base64'))
    return { needle, sizeBytes: request.body.length, contentMd5: '' }
  }
  const boundary = formBoundary(headers.contentType)
  const file = boundary === undefined ? rawFile(request) : formFile(request, boundary)
  const needle: NewNeedle = {
    keyHigh: request.fid.keyHigh,
    keyLow: request.fid.keyLow,
    cookie: request.fid.cookie,
    data: file.data,
    gzipped: file.isGzipped,
    manifest: query.manifest === true,
    name: limited(file.name, NAME_BYTES_MAX, 'name'),
    mime: isUsefulMime(file.mime, query) ? limited(file.mime, MIME_BYTES_MAX, 'mime') : undefined,
    lastModifiedS: query.lastModifiedS ?? request.nowS,
    ttl: query.ttl ?? 0,
    pairs: headers.pairs === undefined ? undefined : encodePairs(headers.pairs),
  }
  if (!file.isGzipped) return checked(needle, file, file.data)
  return inflated(needle, file, request)
}

function isUsefulMime(mime: string, query: Readonly<FileQuery>): boolean {
  return query.manifest !== true && mime !== '' && !mime.startsWith(OCTET_STREAM)
}

/** Checks what is gzipped. Of a long file only its length and digest are wanted, so it is not held. */
async function inflated(needle: NewNeedle, file: UploadedFile, request: UploadRequest): Promise<Upload> {
  const { data } = file
  const { inflatedBytesMax, jobs } = request
  try {
    if (needle.manifest) return await ofGzippedManifest(data, jobs, (json) => checked(needle, file, json))
    const plain = inflateAtOnce(data, inflatedBytesMax)
    if (plain !== undefined) return checked(needle, file, plain)
    const md5 = file.contentMd5 === '' ? undefined : createHash('md5')
    let sizeBytes = 0
    for await (const piece of inflatedPieces([data], inflatedBytesMax)) {
      sizeBytes += piece.length
      md5?.update(piece)
    }
    if (md5 !== undefined) checkMd5(file.contentMd5, md5.digest())
    return { needle, sizeBytes, contentMd5: file.contentMd5 }
  } catch (error) {
    const isDamaged = error instanceof StoreError && error.code === 'corrupt'
    throw isDamaged
      ? new StoreError('bad_request', `Content-Encoding is gzip, but the body is ${error.message}`)
      : error
  }
}

function rawFile({ headers, body, pathName }: UploadRequest): UploadedFile {
  return {
    data: body,
    name: rawName(headers.contentDisposition) || Buffer.from(pathName).toString('latin1'),
    mime: headers.contentType,
    isGzipped: isGzipEncoding(headers.contentEncoding),
    contentMd5: headers.contentMd5,
  }
}

/** `filename` or else `name` of a Content-Disposition, which senders also give without a type. */
function rawName(disposition: string): string {
  if (disposition === '') return ''
  const parsed = parseContentDisposition(disposition) ?? parseContentDisposition(`attachment; ${disposition}`)
  if (parsed === undefined) throw new StoreError('bad_request', 'malformed Content-Disposition')
  return baseName(parsed.parameters.get('filename') || parsed.parameters.get('name') || '')
}

function formFile({ headers, body }: UploadRequest, boundary: string): UploadedFile {
  const part = fileOfForm(body, boundary)
  return {
    data: part.data,
    name: baseName(part.filename ?? ''),
    mime: part.contentType ?? '',
    isGzipped: isGzipEncoding(part.contentEncoding ?? ''),
    contentMd5: part.contentMd5 ?? headers.contentMd5,
  }
}

/** Names are names: whatever directories the sender had them in stays with the sender. */
function baseName(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash < 0 ? path : path.slice(slash + 1)
}

function isGzipEncoding(encoding: string): boolean {
  if (encoding === '' || encoding === 'identity') return false
  if (encoding.toLowerCase() === 'gzip') return true
  throw new StoreError('bad_request', `unknown Content-Encoding ${encoding.slice(0, 32)}: only gzip is`)
}

function limited(latin1: string, bytesMax: number, what: string): Buffer | undefined {
  if (latin1 === '') return undefined
  if (latin1.length > bytesMax) throw new StoreError('bad_request', `${what} over ${bytesMax} bytes`)
  if (what === 'mime' && !isHeaderValue(latin1))
    throw new StoreError('bad_request', 'a control character in the mime')
  return Buffer.from(latin1, 'latin1')
}

function checked(needle: NewNeedle, file: UploadedFile, plain: Buffer): Upload {
  if (needle.manifest) checkManifest(plain)
  if (file.contentMd5 !== '') checkMd5(file.contentMd5, createHash('md5').update(plain).digest())
  return { needle, sizeBytes: plain.length, contentMd5: file.contentMd5 }
}

function checkManifest(json: Buffer): void {
  if (json.length > MANIFEST_BYTES_MAX)
    throw new StoreError('too_large', `manifest over ${MANIFEST_BYTES_MAX} bytes`)
  try {
    parseManifest(json)
  } catch (error) {
    throw new StoreError('bad_request', (error as Error).message, { cause: error })
  }
}

const MD5_BYTES = 16

function checkMd5(base64: string, actual: Buffer): void {
  const wanted = Buffer.from(base64, 'base64')
  if (wanted.length !== MD5_BYTES || wanted.toString('base64') !== base64) {
    throw new StoreError('bad_request', 'Content-MD5 is not the base64 of 16 bytes')
  }
  if (!timingSafeEqual(wanted, actual)) {
    throw new StoreError(
      'bad_request',
      `Content-MD5 did not match md5 of file data: expected ${base64}, received ${actual.toString('base64')}`,
    )
  }
}
