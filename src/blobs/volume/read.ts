/**
 * GET and HEAD of a file. The usual case, a small file without any condition, goes straight from needle to outcome;
 * everything else (ranges, conditions, stored gzip, manifests, large files) goes by `answerFully`.
 */
import { StoreError } from '../../base/errors.ts'
import { formatFid } from '../../base/fid.ts'
import { DATE_CACHE_ENTRIES, SMALL_RECORD_BYTES_MAX } from '../../base/limits.ts'
import type { Random } from '../../base/random.ts'
import type { Needle } from '../../disk/needle.ts'
import type { Volume } from '../../disk/volume.ts'
import {
  type ByteSource,
  memorySource,
  rangeOutcome,
  rangesOutcome,
  wholeOutcome,
} from '../../net/byte-source.ts'
import { evaluateConditions, formatHttpDate, ifRangeHolds } from '../../net/conditional.ts'
import { formatContentDisposition } from '../../net/content-disposition.ts'
import { mimeTypeOfName, OCTET_STREAM } from '../../net/mime-types.ts'
import { parseRanges } from '../../net/ranges.ts'
import { errorOutcome, isStream, type Outcome, primeStream, rawHeader } from '../../net/reply.ts'
import { MARK } from '../../net/request-marks.ts'
import { etagHex } from './etag.ts'
import type { ImageQuery } from './image-query.ts'
import { type Images, isImage } from './images.ts'
import { looksGzipped } from './inflate.ts'
import { type ChunkReader, manifestSource, storedManifest } from './manifest.ts'
import { pairHeaders } from './pairs.ts'
import { closeLarge, plainSource, storedSource } from './plain-source.ts'
import { type FileQuery, isHeaderValue, NO_QUERY } from './query.ts'
import type { ReadRequest } from './read-request.ts'

/** Bodies up to this size leave as a latin1 string, together with their head, in one write. */
const STRING_BODY_BYTES_MAX = 16 * 1024
const NOT_FOUND: Outcome = { status: 404, headers: [], body: undefined }
const READ = { borrow: true }
const READ_DELETED = { readDeleted: true, borrow: true }
/** What the memory of borrowed needles is replaced by, when it cannot be given back at once. */
const BORROWED_BYTES = SMALL_RECORD_BYTES_MAX
const SPECIAL_MARKS = MARK.range | MARK.conditional

export class FileReader {
  readonly #chunks: ChunkReader
  readonly #random: Random
  readonly #images: Images
  readonly #dates = new DateCache()

  constructor(options: ChunkReader & { random: Random; images: Images }) {
    this.#chunks = options
    this.#random = options.random
    this.#images = options.images
  }

  /** The reply. Throws or rejects with `corrupt`, `io_error`, `timeout`, `unavailable`. */
  read(request: ReadRequest): Outcome | Promise<Outcome> {
    const volume = this.#chunks.volumes.get(request.fid.volumeId)
    if (volume === undefined) return this.#readElsewhere(request)
    const found = volume.read(request.fid, request.query.readDeleted ? READ_DELETED : READ)
    if (found instanceof Promise) return found.then((needle) => this.#answer(request, volume, needle))
    return this.#answer(request, volume, found)
  }

  /** "There is none" is said only by a server that knows all its volumes. */
  #readElsewhere(request: ReadRequest): Outcome | Promise<Outcome> {
    const { volumes, elsewhere } = this.#chunks
    const outcome = elsewhere?.read(request) ?? NOT_FOUND
    const checked = (final: Outcome) => {
      if (final.status === 404) volumes.assertComplete()
      return final
    }
    return outcome instanceof Promise ? outcome.then(checked) : checked(outcome)
  }

  #answer(request: ReadRequest, volume: Volume, needle: Needle | undefined): Outcome | Promise<Outcome> {
    if (needle === undefined) return NOT_FOUND
    const isPlain =
      (request.marks & SPECIAL_MARKS) === 0 &&
      request.query === NO_QUERY &&
      request.filename === undefined &&
      !needle.manifest &&
      !needle.gzipped &&
      needle.pairs === undefined &&
      needle.data !== undefined
    if (!isPlain) return this.#answerFully(request, needle)
    const headers = ['Accept-Ranges', 'bytes', 'ETag', etagOf(needle)]
    this.#pushFileHeaders(headers, needle, '')
    const data = needle.data!
    if (request.isHead) return { status: 200, headers, body: undefined, sizeBytes: data.length }
    if (data.length <= STRING_BODY_BYTES_MAX) return { status: 200, headers, body: data.toString('latin1') }
    if (!needle.borrowed) return { status: 200, headers, body: data }
    return { status: 200, headers, body: data, borrowed: new BorrowedScratch(volume) }
  }

  /** Last-Modified, Content-Disposition and Content-Type of a needle as it is stored. */
  #pushFileHeaders(headers: string[], needle: Needle, urlName: string): void {
    if (needle.lastModifiedS) headers.push('Last-Modified', this.#dates.format(needle.lastModifiedS))
    const name = urlName !== '' || needle.name === undefined ? urlName : needle.name.toString('latin1')
    if (name !== '') headers.push('Content-Disposition', formatContentDisposition('inline', name))
    const type = contentType(needle.mime?.toString('latin1'), name, needle.dataSizeBytes)
    if (type !== undefined) headers.push('Content-Type', type)
  }

  async #answerFully(request: ReadRequest, needle: Needle): Promise<Outcome> {
    // What is borrowed is gone with the next read of this thread, so it is copied before anything is waited for.
    if (needle.borrowed) {
      needle.data = Buffer.from(needle.data!)
      needle.borrowed = false
    }
    let isStreamed = false
    try {
      const outcome = await this.#outcomeOf(request, needle)
      if (!isStream(outcome.body)) return outcome
      isStreamed = true
      return { ...outcome, body: await primeStream(outcome.body) }
    } catch (error) {
      const isTooLarge = error instanceof StoreError && error.code === 'too_large'
      if (isTooLarge)
        return errorOutcome(406, `${error.message}; ask with Accept-Encoding: gzip`, request.query.pretty)
      throw error
    } finally {
      if (!isStreamed) closeLarge(needle)
    }
  }

  async #outcomeOf(request: ReadRequest, needle: Needle): Promise<Outcome> {
    const image = wantedImage(request, needle)
    const etag = image === undefined ? etagOf(needle) : `"${etagHex(needle.checksum)}-${image.variant}"`
    const validators = { etag, lastModifiedS: needle.lastModifiedS || undefined }
    const headers = ['Accept-Ranges', 'bytes', 'ETag', validators.etag]
    if (needle.lastModifiedS) headers.push('Last-Modified', this.#dates.format(needle.lastModifiedS))
    if ((request.marks & MARK.conditional) !== 0) {
      const status = evaluateConditions(conditionsOf(request.rawHeaders), validators)
      if (status === 304) return { status, headers: headers.slice(2), body: undefined }
      if (status === 412)
        return errorOutcome(412, 'the file does not meet the condition', request.query.pretty)
    }
    if (needle.pairs !== undefined) headers.push(...pairHeaders(needle.pairs))
    let content = await this.#contentOf(request, needle, headers)
    if (image !== undefined)
      content = await this.#imageOf(content, image, `${formatFid(request.fid)}-${etagHex(needle.checksum)}`)
    addContentHeaders(headers, content, request.query)
    const overrides = request.query.responseHeaders
    for (let i = 0; i < overrides.length; i += 2) setHeader(headers, overrides[i]!, overrides[i + 1]!)
    const outcome = this.#rangedOutcome(request, { source: content.source, headers, validators })
    if (!request.isHead) return outcome
    closeSource(outcome, content.source)
    return { status: outcome.status, headers, body: undefined, sizeBytes: content.source.sizeBytes }
  }

  /** The bytes to serve, and what names and describes them. */
  async #contentOf(request: ReadRequest, needle: Needle, headers: string[]): Promise<Content> {
    const urlName = request.filename === undefined ? '' : Buffer.from(request.filename).toString('latin1')
    const storedName = needle.name?.toString('latin1') ?? ''
    if (needle.manifest && request.query.manifest !== false) {
      const manifest = await storedManifest(needle, this.#chunks.jobs)
      headers.push('X-File-Store', 'chunked')
      closeLarge(needle)
      const name = urlName || Buffer.from(manifest.name).toString('latin1')
      const source = manifestSource(manifest, this.#chunks)
      return { source, name, mime: Buffer.from(manifest.mime).toString('latin1') }
    }
    const description = { name: urlName || storedName, mime: needle.mime?.toString('latin1') }
    const source = storedSource(needle)
    if (!needle.gzipped) return { source, ...description }
    const isGzip = source.whole === undefined || looksGzipped(source.whole)
    if (isGzip && acceptsGzip(request) && wantedImage(request, needle) === undefined) {
      headers.push('Content-Encoding', 'gzip', 'Vary', 'Accept-Encoding')
      return { source, ...description }
    }
    return { source: await plainSource(needle, this.#chunks.inflatedBytesMax), ...description }
  }

  /** The content as an image of the wanted size; as it is, where none can be made of it. */
  async #imageOf(content: Content, image: ImageQuery, key: string): Promise<Content> {
    const { source } = content
    if (!isImage(content.name, content.mime)) return content
    const derived = await this.#images.derive(source, key, image)
    if (derived === undefined) return content
    source.close()
    return { ...content, source: memorySource(derived) }
  }

  #rangedOutcome(
    request: ReadRequest,
    file: {
      source: ByteSource
      headers: string[]
      validators: { etag: string; lastModifiedS: number | undefined }
    },
  ): Outcome {
    const { source, headers, validators } = file
    const wantsRange =
      !request.isHead &&
      (request.marks & MARK.range) !== 0 &&
      ifRangeHolds(rawHeader(request.rawHeaders, 'if-range'), validators)
    if (!wantsRange) return wholeOutcome(source, headers)
    const ranges = parseRanges(rawHeader(request.rawHeaders, 'range'), source.sizeBytes)
    if (ranges === undefined) return wholeOutcome(source, headers)
    if (ranges === 'invalid') {
      source.close()
      const outcomeHeaders = [
        'Content-Type',
        'text/plain; charset=utf-8',
        'X-Content-Type-Options',
        'nosniff',
      ]
      outcomeHeaders.push('Accept-Ranges', 'bytes', 'Content-Range', `bytes */${source.sizeBytes}`)
      return { status: 416, headers: outcomeHeaders, body: 'invalid range\n' }
    }
    if (ranges.length === 1) return rangeOutcome(source, headers, ranges[0]!)
    const type = removeHeader(headers, 'Content-Type')
    const boundary = this.#random.bytes(16).toString('hex')
    return rangesOutcome(source, headers, { ranges, boundary, contentType: type })
  }
}

interface Content {
  source: ByteSource
  /** latin1 bytes. */
  name: string
  mime: string | undefined
}

function addContentHeaders(headers: string[], content: Content, query: Readonly<FileQuery>): void {
  const { name, mime, source } = content
  if (name !== '' || query.download) {
    const kind = query.download ? 'attachment' : 'inline'
    headers.push('Content-Disposition', formatContentDisposition(kind, name))
  }
  const type = contentType(mime, name, source.sizeBytes)
  if (type !== undefined) headers.push('Content-Type', type)
}

/** The stored type, unless it says nothing; else what the name tells. An empty nameless file has none. */
function contentType(mime: string | undefined, name: string, sizeBytes: number): string | undefined {
  if (mime !== undefined && mime !== '' && !mime.startsWith(OCTET_STREAM) && isHeaderValue(mime)) return mime
  const ofName = name === '' ? OCTET_STREAM : mimeTypeOfName(name)
  return ofName === OCTET_STREAM && sizeBytes === 0 ? undefined : ofName
}

function closeSource(outcome: Outcome, source: ByteSource): void {
  if (isStream(outcome.body)) outcome.body.close()
  else source.close()
}

function etagOf(needle: Needle): string {
  return `"${etagHex(needle.checksum)}"`
}

/** The thread's buffer for records, lent to a reply. */
class BorrowedScratch {
  readonly #volume: Volume

  constructor(volume: Volume) {
    this.#volume = volume
  }

  keep(): void {
    this.#volume.context.scratch = Buffer.allocUnsafeSlow(BORROWED_BYTES)
  }
}

/** What the query wants of an image, when the file may be one; of a manifest only its chunks can tell. */
function wantedImage(request: ReadRequest, needle: Needle): ImageQuery | undefined {
  const { image, manifest } = request.query
  if (image === undefined || (needle.manifest && manifest === false)) return undefined
  const name = request.filename || needle.name?.toString('latin1') || ''
  return needle.manifest || isImage(name, needle.mime?.toString('latin1')) ? image : undefined
}

function acceptsGzip(request: ReadRequest): boolean {
  if ((request.marks & MARK.acceptEncoding) === 0) return false
  const header = rawHeader(request.rawHeaders, 'accept-encoding') ?? ''
  for (const entry of header.toLowerCase().split(',')) {
    const [coding, ...parameters] = entry.split(';').map((part) => part.trim())
    if (coding !== 'gzip' && coding !== 'x-gzip') continue
    return !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))
  }
  return false
}

function conditionsOf(rawHeaders: readonly string[]) {
  return {
    ifMatch: rawHeader(rawHeaders, 'if-match'),
    ifNoneMatch: rawHeader(rawHeaders, 'if-none-match'),
    ifModifiedSince: rawHeader(rawHeaders, 'if-modified-since'),
    ifUnmodifiedSince: rawHeader(rawHeaders, 'if-unmodified-since'),
  }
}

function removeHeader(headers: string[], name: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === name) return headers.splice(i, 2)[1]
  }
  return undefined
}

function setHeader(headers: string[], name: string, value: string): void {
  removeHeader(headers, name)
  headers.push(name, value)
}

/** Last-Modified texts by second: files that were stored together are read together. */
class DateCache {
  readonly #seconds = new Float64Array(DATE_CACHE_ENTRIES)
  readonly #texts: string[] = new Array(DATE_CACHE_ENTRIES).fill('')

  format(seconds: number): string {
    const slot = seconds % DATE_CACHE_ENTRIES
    if (this.#seconds[slot] !== seconds) {
      this.#seconds[slot] = seconds
      this.#texts[slot] = formatHttpDate(seconds)
    }
    return this.#texts[slot]!
  }
}
