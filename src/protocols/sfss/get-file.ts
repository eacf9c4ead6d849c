/** GET and HEAD of a file: whole, in ranges, or only if it has changed. */
import type { Random } from '../../base/random.ts'
import { type ByteSource, rangeOutcome, rangesOutcome, wholeOutcome } from '../../net/byte-source.ts'
import { evaluateConditions, formatHttpDate, ifRangeHolds } from '../../net/conditional.ts'
import { parseRanges } from '../../net/ranges.ts'
import { errorOutcome, isStream, type Outcome, primeStream, rawHeader } from '../../net/reply.ts'
import { MARK, marksOf } from '../../net/request-marks.ts'
import type { StoredFile } from './file-store.ts'

export interface ReadRequest {
  method: string
  rawHeaders: readonly string[]
}

/** Read as a whole before the reply begins. */
const WHOLE_BYTES_MAX = 1024 * 1024

/** Bodies up to this size leave as a latin1 string, together with their head, in one write. */
const STRING_BODY_BYTES_MAX = 16 * 1024

/** At once where the file is small and near. Throws what reading throws before the reply begins. */
export function readFile(request: ReadRequest, file: StoredFile, random: Random): Outcome | Promise<Outcome> {
  const { rawHeaders } = request
  const { contentType } = file
  const validators = { etag: `"${file.etag}"`, lastModifiedS: Math.floor(file.modifiedMs / 1_000) }
  const marks = marksOf(rawHeaders)
  const headers = ['ETag', validators.etag, 'Last-Modified', formatHttpDate(validators.lastModifiedS)]
  if ((marks & MARK.conditional) !== 0) {
    const status = evaluateConditions(conditionsOf(rawHeaders), validators)
    if (status !== undefined) return { status, headers, body: undefined }
  }
  headers.push('Accept-Ranges', 'bytes')
  if (request.method === 'HEAD') {
    headers.push('Content-Type', contentType)
    return { status: 200, headers, body: undefined, sizeBytes: file.sizeBytes }
  }
  if ((marks & MARK.range) === 0 && file.sizeBytes <= STRING_BODY_BYTES_MAX && file.sizeBytes > 0) {
    headers.push('Content-Type', contentType)
    const small = (bytes: Buffer): Outcome => ({ status: 200, headers, body: bytes.toString('latin1') })
    const bytes = file.read(0, file.sizeBytes)
    if (Buffer.isBuffer(bytes)) return small(bytes)
    if (bytes instanceof Promise) return bytes.then(small)
  }
  return readLarge(request, file, { headers, validators, random })
}

async function readLarge(
  { rawHeaders }: ReadRequest,
  file: StoredFile,
  {
    headers,
    validators,
    random,
  }: { headers: string[]; validators: { etag: string; lastModifiedS: number }; random: Random },
): Promise<Outcome> {
  const { contentType } = file
  const marks = marksOf(rawHeaders)
  const source = await sourceOf(file)
  const wantsRange = (marks & MARK.range) !== 0 && ifRangeHolds(rawHeader(rawHeaders, 'if-range'), validators)
  const ranges = wantsRange ? parseRanges(rawHeader(rawHeaders, 'range'), source.sizeBytes) : undefined
  if (ranges === 'invalid') {
    const outcome = errorOutcome(416, 'invalid range')
    outcome.headers.push(...headers, 'Content-Range', `bytes */${source.sizeBytes}`)
    return outcome
  }
  if (ranges !== undefined && ranges.length > 1) {
    const boundary = random.bytes(16).toString('hex')
    return await primed(rangesOutcome(source, headers, { ranges, boundary, contentType }))
  }
  headers.push('Content-Type', contentType)
  return await primed(
    ranges === undefined ? wholeOutcome(source, headers) : rangeOutcome(source, headers, ranges[0]!),
  )
}

async function primed(outcome: Outcome): Promise<Outcome> {
  return isStream(outcome.body) ? { ...outcome, body: await primeStream(outcome.body) } : outcome
}

async function sourceOf(file: StoredFile): Promise<ByteSource> {
  const { sizeBytes } = file
  let whole: Buffer | undefined
  if (sizeBytes === 0) whole = Buffer.alloc(0)
  else if (sizeBytes <= WHOLE_BYTES_MAX) {
    const bytes = await file.read(0, sizeBytes)
    if (Buffer.isBuffer(bytes)) whole = bytes
  }
  return { sizeBytes, whole, read: (start, end) => readPieces(file, start, end), close() {} }
}

async function* readPieces(file: StoredFile, start: number, end: number): AsyncGenerator<Buffer> {
  const bytes = await file.read(start, end)
  if (Buffer.isBuffer(bytes)) yield bytes
  else yield* bytes.pieces()
}

function conditionsOf(rawHeaders: readonly string[]) {
  return {
    ifMatch: rawHeader(rawHeaders, 'if-match'),
    ifNoneMatch: rawHeader(rawHeaders, 'if-none-match'),
    ifModifiedSince: rawHeader(rawHeaders, 'if-modified-since'),
    ifUnmodifiedSince: rawHeader(rawHeaders, 'if-unmodified-since'),
  }
}
