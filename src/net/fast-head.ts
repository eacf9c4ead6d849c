/** The text of simple requests and replies, for `fast-lane.ts`: heads that are plain beyond doubt, and heads of replies. */
import { bodyLength, type Outcome } from './reply.ts'

/** What a parsed head says. */
export interface Head {
  method: string
  target: string
  rawHeaders: readonly string[]
  /** Length of the head itself. */
  headBytes: number
  bodyBytes: number
  expectsContinue: boolean
  /** It is the client's last. */
  closes: boolean
}

/** All of a head behind its first line. Clients repeat theirs word for word, and then need no second look. */
interface HeaderLines {
  /** From the line break of the first line to the end of the head. */
  text: string
  rawHeaders: readonly string[]
  bodyBytes: number
  expectsContinue: boolean
  closes: boolean
}

/** A head that fits here and comes in one piece. */
const FAST_HEAD_BYTES_MAX = 8 * 1024
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE'])
const TARGET = /^\/[!-~]*$/
const VERSION = ' HTTP/1.1'
const HEADER_LINES = /^\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)+\r\n$/
/** Longer header lines are not kept for the next request. */
const KEPT_HEADERS_BYTES_MAX = 1024
const HEAD_END = Buffer.from('\r\n\r\n')

/** Parses the heads of one connection. */
export class HeadParser {
  /** Of the last request. */
  #headers: HeaderLines | undefined

  /** Undefined for everything that is not whole and simple. */
  parse(bytes: Buffer): Head | undefined {
    const end = bytes.indexOf(HEAD_END)
    if (end < 0 || end > FAST_HEAD_BYTES_MAX) return undefined
    const headBytes = end + HEAD_END.length
    const text = bytes.toString('latin1', 0, headBytes)
    const space = text.indexOf(' ')
    const lineEnd = text.indexOf('\r\n')
    const targetEnd = lineEnd - VERSION.length
    if (targetEnd <= space || !text.startsWith(VERSION, targetEnd)) return undefined
    const method = text.slice(0, space)
    const target = text.slice(space + 1, targetEnd)
    if (!METHODS.has(method) || !TARGET.test(target)) return undefined
    const headersText = text.slice(lineEnd)
    const isRepeated = this.#headers !== undefined && this.#headers.text === headersText
    const headers = isRepeated ? this.#headers! : parseHeaders(headersText)
    if (headers === undefined) return undefined
    if (!isRepeated && headersText.length <= KEPT_HEADERS_BYTES_MAX) this.#headers = headers
    const { rawHeaders, bodyBytes, expectsContinue, closes } = headers
    const takesBody = method === 'POST' || method === 'PUT'
    if ((bodyBytes > 0 || expectsContinue) && !takesBody) return undefined
    return { method, target, rawHeaders, headBytes, bodyBytes, expectsContinue, closes }
  }
}

/** Undefined when they are malformed, or ask for more than the lane does. */
function parseHeaders(text: string): HeaderLines | undefined {
  if (!HEADER_LINES.test(text)) return undefined
  const rawHeaders: string[] = []
  const found = readHeaders(text, '\r\n'.length, rawHeaders)
  return found === undefined ? undefined : { text, rawHeaders, ...found }
}

/** Fills `rawHeaders`; undefined when a header asks for more than the lane does. */
function readHeaders(
  text: string,
  from: number,
  rawHeaders: string[],
): Pick<HeaderLines, 'bodyBytes' | 'expectsContinue' | 'closes'> | undefined {
  let bodyBytes = 0
  let expectsContinue = false
  let closes = false
  let hosts = 0
  let lengths = 0
  let at = from
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at)
    if (lineEnd === at) break
    const colon = text.indexOf(':', at)
    const name = text.slice(at, colon)
    const value = headerValue(text, colon + 1, lineEnd)
    switch (name.length) {
      case 4:
        if (name.toLowerCase() === 'host') hosts++
        break
      case 6:
        if (name.toLowerCase() !== 'expect') break
        if (value.toLowerCase() !== '100-continue') return undefined
        expectsContinue = true
        break
      case 7:
        if (name.toLowerCase() === 'upgrade' || name.toLowerCase() === 'trailer') return undefined
        break
      case 10:
        if (name.toLowerCase() !== 'connection') break
        if (value.toLowerCase() === 'close') closes = true
        else if (value.toLowerCase() !== 'keep-alive') return undefined
        break
      case 14:
        if (name.toLowerCase() === 'content-length') {
          if (++lengths > 1 || !/^[0-9]{1,15}$/.test(value)) return undefined
          bodyBytes = Number(value)
        }
        break
      case 17:
        if (name.toLowerCase() === 'transfer-encoding') return undefined
        break
    }
    rawHeaders.push(name, value)
    at = lineEnd + 2
  }
  return hosts === 1 ? { bodyBytes, expectsContinue, closes } : undefined
}

/** Without the spaces and tabs around it. Other bytes that are spaces to `trim` are a part of it, as for the strict parser. */
function headerValue(text: string, from: number, to: number): string {
  let [start, end] = [from, to]
  while (start < end && isSpace(text.charCodeAt(start))) start++
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

const isSpace = (code: number) => code === 0x20 || code === 0x09

/** The bytes of a request that was parsed already, and what came behind it. */
export function rejoin(head: Head, body: Buffer, next: Buffer): Buffer {
  const { method, target, rawHeaders } = head
  let text = `${method} ${target} HTTP/1.1\r\n`
  for (let i = 0; i < rawHeaders.length; i += 2) text += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`
  return Buffer.concat([Buffer.from(`${text}\r\n`, 'latin1'), body, next])
}

const STATUS_LINES = statusLines()

function statusLines(): Map<number, string> {
  const reasons: [number, string][] = [
    [200, 'OK'],
    [201, 'Created'],
    [202, 'Accepted'],
    [204, 'No Content'],
    [206, 'Partial Content'],
    [304, 'Not Modified'],
    [400, 'Bad Request'],
    [401, 'Unauthorized'],
    [403, 'Forbidden'],
    [404, 'Not Found'],
    [405, 'Method Not Allowed'],
    [409, 'Conflict'],
    [411, 'Length Required'],
    [412, 'Precondition Failed'],
    [413, 'Content Too Large'],
    [416, 'Range Not Satisfiable'],
    [429, 'Too Many Requests'],
    [500, 'Internal Server Error'],
    [501, 'Not Implemented'],
    [503, 'Service Unavailable'],
    [504, 'Gateway Timeout'],
    [507, 'Insufficient Storage'],
  ]
  return new Map(reasons.map(([status, reason]) => [status, `HTTP/1.1 ${status} ${reason}\r\n`]))
}

/** The whole head of a reply. */
export function replyHead(outcome: Outcome, common: string, closes: boolean): string {
  const { status, headers, body } = outcome
  let text = (STATUS_LINES.get(status) ?? `HTTP/1.1 ${status} Status\r\n`) + common
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`
  if (closes) text += 'Connection: close\r\n'
  if (status === 204 || status === 304) return `${text}\r\n`
  return `${text}Content-Length: ${outcome.sizeBytes ?? bodyLength(body)}\r\n\r\n`
}
