/**
 * multipart/form-data bodies (RFC 7578), parsed where they lie: a part is a window on the one buffer that holds the
 * body, never a copy. Strict: what is cut off, nested or oversized is an error, not a guess.
 */
import { StoreError } from '../base/errors.ts'
import { FORM_PART_HEADER_BYTES_MAX, FORM_PARTS_MAX } from '../base/limits.ts'
import { parseContentDisposition } from './content-disposition.ts'

export interface FormPart {
  /** Of the Content-Disposition; bytes in latin1 strings. `filename` is undefined for a plain field. */
  name: string | undefined
  filename: string | undefined
  contentType: string | undefined
  contentEncoding: string | undefined
  contentMd5: string | undefined
  data: Buffer
}

const [CR, LF, DASH, SPACE, TAB, COLON] = [13, 10, 45, 32, 9, 58]
/** RFC 2046: 1 to 70 characters. */
const BOUNDARY_CHARACTERS_MAX = 70
/** Spaces and tabs that transports may add behind a boundary. */
const PADDING_BYTES_MAX = 128

/** What nearly all clients send, without anything to decode; everything else is parsed at length. */
const USUAL_TYPE = /^multipart\/form-data; ?boundary=([0-9A-Za-z'+_.-]{1,70})$/
const USUAL_HEAD =
  /^\r\nContent-Disposition: form-data; name="([^"\\;\r\n\0]*)"; filename="([^"\\;\r\n\0]*)"(?:\r\nContent-Type: ([!-~](?:[ -~]*[!-~])?))?\r\n\r\n/
/** A boundary and a head within these bytes of a body are looked at as usual ones. */
const USUAL_HEAD_BYTES_MAX = 512
const USUAL_DISPOSITION = /^form-data; name="([^"\\;]*)"; filename="([^"\\;]*)"$/

/**
 * The boundary of a `multipart/form-data` content type; undefined for any other type.
 * Throws `bad_request` for a multipart type without a usable boundary.
 */
export function formBoundary(contentType: string): string | undefined {
  const usual = USUAL_TYPE.exec(contentType)
  if (usual !== null) return usual[1]
  if (!/^multipart\/form-data[ \t]*(;|$)/i.test(contentType)) return undefined
  const parsed = parseContentDisposition(`form-data${contentType.slice(contentType.indexOf(';') >>> 0)}`)
  const boundary = parsed?.parameters.get('boundary') ?? ''
  if (
    boundary === '' ||
    boundary.length > BOUNDARY_CHARACTERS_MAX ||
    !/^[\x20-\x7e]*[\x21-\x7e]$/.test(boundary)
  ) {
    throw new StoreError('bad_request', 'the multipart form has no usable boundary')
  }
  return boundary
}

/** All parts of a form. Throws `bad_request` or `too_large` with the reason. */
export function parseForm(body: Buffer, boundary: string): FormPart[] {
  const delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1')
  const parts: FormPart[] = []
  let position = firstDelimiterEnd(body, delimiter)
  while (!isClosing(body, position)) {
    if (parts.length >= FORM_PARTS_MAX) throw malformed(`more than ${FORM_PARTS_MAX} parts`)
    const { part, dataStart } = parseHead(body, afterLineEnd(body, position))
    // The delimiter's line break may be the one of the empty line behind the headers: a part without data.
    const end = findDelimiter(body, delimiter, dataStart - 2)
    if (end < 0) throw malformed('no closing boundary: the body is cut off')
    part.data = body.subarray(dataStart, Math.max(dataStart, end))
    parts.push(part)
    position = end + delimiter.length
  }
  if (parts.length === 0) throw malformed('no parts')
  return parts
}

/** Position of the next delimiter, or -1. A longer boundary that only begins like ours is data. */
function findDelimiter(body: Buffer, delimiter: Buffer, from: number): number {
  let start = body.indexOf(delimiter, from)
  while (start >= 0) {
    const end = start + delimiter.length
    if (kindOfBoundary(body, end, true) !== 'data') return start
    start = body.indexOf(delimiter, end)
  }
  return -1
}

/**
 * The one file of a form: the part of the name `field`, or with a file name, or else the only part.
 * Throws `bad_request` for a form with two files or none.
 */
export function fileOfForm(body: Buffer, boundary: string, field?: string): FormPart {
  const usual = usualFile(body, boundary)
  if (usual !== undefined) return usual
  const parts = parseForm(body, boundary)
  if (parts.length === 1) return parts[0]!
  const named = parts.filter(({ name }) => field !== undefined && name === field)
  if (named.length > 1) throw new StoreError('bad_request', `the form has more than one ${field}`)
  if (named.length === 1) return named[0]!
  const files = parts.filter((part) => part.filename !== undefined)
  if (files.length > 1) throw new StoreError('bad_request', 'the form has more than one file')
  if (files.length === 0) throw new StoreError('bad_request', 'the form has no file')
  return files[0]!
}

/** The file of a form that is nothing else, in few steps; undefined where `parseForm` has to look. */
function usualFile(body: Buffer, boundary: string): FormPart | undefined {
  const text = body.toString('latin1', 0, USUAL_HEAD_BYTES_MAX)
  const opening = `--${boundary}`
  if (!text.startsWith(opening)) return undefined
  const head = USUAL_HEAD.exec(text.slice(opening.length))
  if (head === null) return undefined
  const dataStart = opening.length + head[0].length
  const end = body.indexOf(`\r\n${opening}`, dataStart - 2, 'latin1')
  if (end < 0 || !isClosing(body, end + 2 + opening.length)) return undefined
  return {
    name: head[1],
    filename: head[2],
    contentType: head[3],
    contentEncoding: undefined,
    contentMd5: undefined,
    data: body.subarray(dataStart, Math.max(dataStart, end)),
  }
}

function malformed(reason: string): StoreError {
  return new StoreError('bad_request', `malformed multipart form: ${reason}`)
}

/** Position behind the first boundary; what stands before it is a preamble, to be ignored. */
function firstDelimiterEnd(body: Buffer, delimiter: Buffer): number {
  const length = delimiter.length - 2
  const isAtStart = body.length >= length && body.compare(delimiter, 2, delimiter.length, 0, length) === 0
  if (isAtStart && kindOfBoundary(body, length, true) !== 'data') return length
  const start = findDelimiter(body, delimiter, 0)
  if (start < 0) throw malformed('the boundary does not appear')
  return start + delimiter.length
}

/** Whether a boundary that ends at `position` is the closing one. */
function isClosing(body: Buffer, position: number): boolean {
  return body[position] === DASH && kindOfBoundary(body, position, true) === 'closing'
}

/**
 * What a boundary is by the bytes behind it, from `at` on: the end of the form, the beginning of a part, or data that only begins like a
 * boundary. Undefined where more bytes have to come; `isEnd`: none do.
 */
export function kindOfBoundary(
  bytes: Buffer,
  at: number,
  isEnd: boolean,
): 'closing' | 'next' | 'data' | undefined {
  const unknown = isEnd ? 'data' : undefined
  if (bytes[at] === DASH && at + 1 === bytes.length) return unknown
  const isLast = bytes[at] === DASH && bytes[at + 1] === DASH
  const start = isLast ? at + 2 : at
  let end = start
  while ((bytes[end] === SPACE || bytes[end] === TAB) && end - start < PADDING_BYTES_MAX) end++
  if (end === bytes.length) return isEnd && isLast ? 'closing' : unknown
  if (bytes[end] !== CR) return 'data'
  if (end + 1 === bytes.length) return unknown
  return bytes[end + 1] !== LF ? 'data' : isLast ? 'closing' : 'next'
}

/** Start of the line behind a boundary, over the spaces that transports may add; 0 when no line ends there. */
function afterLineEnd(body: Buffer, position: number): number {
  let at = position
  while (body[at] === SPACE || body[at] === TAB) at++
  return body[at] === CR && body[at + 1] === LF ? at + 2 : 0
}

function parseHead(body: Buffer, start: number): { part: FormPart; dataStart: number } {
  const part: FormPart = {
    name: undefined,
    filename: undefined,
    contentType: undefined,
    contentEncoding: undefined,
    contentMd5: undefined,
    data: body,
  }
  if (body[start] === CR && body[start + 1] === LF) return { part, dataStart: start + 2 }
  const searchEnd = Math.min(body.length, start + FORM_PART_HEADER_BYTES_MAX + 4)
  const end = body.subarray(start, searchEnd).indexOf('\r\n\r\n', 0, 'latin1')
  if (end < 0) {
    if (searchEnd < body.length) throw new StoreError('too_large', 'the headers of a form part are too large')
    throw malformed('the headers of a part are cut off')
  }
  const text = body.toString('latin1', start, start + end)
  let lineStart = 0
  while (lineStart < text.length) {
    const found = text.indexOf('\r\n', lineStart)
    const lineStop = found < 0 ? text.length : found
    parseHeaderLine(text, lineStart, lineStop, part)
    lineStart = lineStop + 2
  }
  return { part, dataStart: start + end + 4 }
}

function parseHeaderLine(text: string, start: number, stop: number, part: FormPart): void {
  let colon = start
  while (colon < stop && text.charCodeAt(colon) !== COLON) colon++
  if (colon === start || colon === stop) throw malformed('a header line without a name')
  const value = text.slice(colon + 1, stop).trim()
  if (/[\0\r\n]/.test(value)) throw malformed('a control character in a header')
  switch (text.slice(start, colon).toLowerCase()) {
    case 'content-disposition': {
      const usual = USUAL_DISPOSITION.exec(value)
      if (usual !== null) {
        part.name = usual[1]
        part.filename = usual[2]
        break
      }
      const disposition = parseContentDisposition(value)
      if (disposition === undefined) throw malformed('the Content-Disposition of a part')
      part.name = disposition.parameters.get('name')
      part.filename = disposition.parameters.get('filename')
      break
    }
    case 'content-type':
      part.contentType = value
      break
    case 'content-encoding':
      part.contentEncoding = value
      break
    case 'content-md5':
      part.contentMd5 = value
      break
  }
}
