/** Which bytes of an object a read asks for: a range, or a part of what was uploaded in parts. */
import { MULTIPART_PARTS_MAX } from '../../base/limits.ts'
import type { ByteRange } from '../../net/ranges.ts'
import type { ObjectInfo } from '../../objects/object-store.ts'
import { bareEtag, parseDateMs } from './header-values.ts'
import { invalidArgument, S3Error } from './s3-error.ts'
import type { S3Request } from './s3-request.ts'

/** The bytes that a Range header names; undefined: all. S3 gives the whole for several ranges, and for what is none. */
export function rangeOf(request: S3Request, info: ObjectInfo): ByteRange | undefined {
  const header = request.header('range')
  if (header === undefined || !ifRangeHolds(request, info)) return undefined
  const match = /^bytes=([0-9]*)-([0-9]*)$/i.exec(header)
  if (match === null) return undefined
  const [, first, last] = match as unknown as [string, string, string]
  if (first === '' && last === '') return undefined
  const { sizeBytes } = info
  if (first === '') {
    const length = Math.min(Number(last), sizeBytes)
    // The last bytes of nothing are all that there is.
    if (sizeBytes === 0 && Number(last) > 0) return undefined
    if (length === 0) throw unsatisfiable(header, sizeBytes)
    return { start: sizeBytes - length, end: sizeBytes }
  }
  const start = Number(first)
  if (last !== '' && Number(last) < start) return undefined
  if (start >= sizeBytes) throw unsatisfiable(header, sizeBytes)
  return { start, end: last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes) }
}

function unsatisfiable(header: string, sizeBytes: number): S3Error {
  return new S3Error('InvalidRange', undefined, {
    extra: { RangeRequested: header, ActualObjectSize: String(sizeBytes) },
    headers: ['Content-Range', `bytes */${sizeBytes}`],
  })
}

const MS_PER_S = 1_000

/** A range counts only while the object is still the same. */
function ifRangeHolds(request: S3Request, { etag, modifiedMs }: ObjectInfo): boolean {
  const text = request.header('if-range')
  if (text === undefined) return true
  const sinceMs = text.startsWith('"') ? undefined : parseDateMs(text)
  if (sinceMs !== undefined) return Math.floor(modifiedMs / MS_PER_S) * MS_PER_S === sinceMs
  return !text.startsWith('W/') && bareEtag(text) === etag
}

export interface Part extends ByteRange {
  number: number
  /** Undefined: the object was not uploaded in parts. */
  count: number | undefined
}

/** The part that `partNumber` names. */
export function partOf(request: S3Request, { attributes, sizeBytes }: ObjectInfo): Part | undefined {
  if (request.params.length === 0) return undefined
  const text = request.param('partNumber')
  if (text === undefined) return undefined
  if (request.header('range') !== undefined)
    throw new S3Error('InvalidRequest', 'Cannot specify both Range header and partNumber query parameter')
  const number = partNumber(text)
  const sizes = attributes.partSizes
  if (number > (sizes?.length ?? 1)) {
    throw new S3Error('InvalidPartNumber', undefined, {
      extra: { ActualPartCount: String(sizes?.length ?? 1), PartNumberRequested: text },
    })
  }
  if (sizes === undefined) return { number, count: undefined, start: 0, end: sizeBytes }
  let start = 0
  for (let i = 0; i < number - 1; i++) start += sizes[i]!
  return { number, count: sizes.length, start, end: start + sizes[number - 1]! }
}

/** 1 to 10,000. Throws InvalidArgument. */
export function partNumber(text: string | undefined): number {
  const number = text !== undefined && /^[0-9]{1,9}$/.test(text) ? Number(text) : 0
  if (number >= 1 && number <= MULTIPART_PARTS_MAX) return number
  const message = `Part number must be an integer between 1 and ${MULTIPART_PARTS_MAX}, inclusive`
  throw invalidArgument(message, 'partNumber', text ?? '')
}
