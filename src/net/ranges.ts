/** The Range header of RFC 9110, section 14: which bytes of a file a client asks for. */
import { RANGES_PER_REQUEST_MAX } from '../base/limits.ts'

/** Bytes from `start` up to, not including, `end`. Never empty. */
export interface ByteRange {
  start: number
  end: number
}

/** `undefined`: no range, or one to ignore: send the whole. `invalid`: malformed, or nothing of it is in the file: 416. */
export type Ranges = ByteRange[] | 'invalid' | undefined

/**
 * Parses a Range header for a file of `sizeBytes`. A unit that is not bytes is ignored, and so are ranges that together
 * pass the file's size (a client that asks for one byte a million times), as the RFC allows.
 */
export function parseRanges(header: string | undefined, sizeBytes: number): Ranges {
  if (header === undefined) return undefined
  const unit = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)=/.exec(header)
  if (unit === null) return 'invalid'
  if (unit[1]!.toLowerCase() !== 'bytes') return undefined
  const specs = header.slice(unit[0].length).split(',')
  if (specs.length > RANGES_PER_REQUEST_MAX) return 'invalid'
  const ranges: ByteRange[] = []
  let bytesWanted = 0
  let count = 0
  for (const spec of specs) {
    const text = trimSpaces(spec)
    if (text === '') continue
    count++
    const range = parseSpec(text, sizeBytes)
    if (range === 'invalid') return 'invalid'
    if (range === undefined) continue
    bytesWanted += range.end - range.start
    ranges.push(range)
  }
  if (count === 0 || ranges.length === 0) return 'invalid'
  return bytesWanted > sizeBytes ? undefined : ranges
}

/** One range; undefined when it is well formed but outside of the file. */
function parseSpec(text: string, sizeBytes: number): ByteRange | 'invalid' | undefined {
  const match = /^([0-9]*)-([0-9]*)$/.exec(text)
  if (match === null) return 'invalid'
  const [, first, last] = match as unknown as [string, string, string]
  if (first === '' && last === '') return 'invalid'
  if (first === '') {
    const length = Math.min(Number(last), sizeBytes)
    return length === 0 ? undefined : { start: sizeBytes - length, end: sizeBytes }
  }
  const start = Number(first)
  if (last !== '' && Number(last) < start) return 'invalid'
  if (start >= sizeBytes) return undefined
  return { start, end: last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes) }
}

function trimSpaces(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, '')
}

/** The Content-Range header of one range. */
export function contentRange(range: ByteRange, sizeBytes: number): string {
  return `bytes ${range.start}-${range.end - 1}/${sizeBytes}`
}

/** The pieces of text of a multipart/byteranges body, in between and after the ranges, and its whole length. */
export interface ByterangesFrame {
  /** Goes before the range of the same position. */
  heads: string[]
  tail: string
  sizeBytes: number
}

/** Lays out a multipart/byteranges body. `contentType` is repeated in each part. */
export function byterangesFrame(
  ranges: readonly ByteRange[],
  options: { boundary: string; contentType: string | undefined; sizeBytes: number },
): ByterangesFrame {
  const { boundary, contentType, sizeBytes } = options
  const typeLine = contentType === undefined ? '' : `Content-Type: ${contentType}\r\n`
  const heads: string[] = []
  let total = 0
  for (const range of ranges) {
    const lead = heads.length === 0 ? '' : '\r\n'
    const head = `${lead}--${boundary}\r\nContent-Range: ${contentRange(range, sizeBytes)}\r\n${typeLine}\r\n`
    heads.push(head)
    total += head.length + range.end - range.start
  }
  const tail = `\r\n--${boundary}--\r\n`
  return { heads, tail, sizeBytes: total + tail.length }
}
