/**
 * The canonical form of a request that signatures of version 4 are made over, from the bytes as received: percent-encoding
 * is taken off once and put on once, and nothing is normalised, so what is signed is what is served.
 */

/** Characters that stay as they are. */
const UNRESERVED_PATH = /^[A-Za-z0-9\-._~/]*$/
const UNRESERVED = /^[A-Za-z0-9\-._~]*$/
const HEX = '0123456789ABCDEF'
const [PERCENT, PLUS, SLASH, SPACE, TAB] = [0x25, 0x2b, 0x2f, 0x20, 0x09]

/** `rawPath`: latin1, one byte a character. */
export function canonicalPath(rawPath: string): string {
  return UNRESERVED_PATH.test(rawPath) ? rawPath : recode(rawPath, true)
}

/** Sorted by encoded name, then by encoded value. Parameters named in `without` are left out. */
export function canonicalQuery(rawQuery: string, without?: string): string {
  if (rawQuery === '') return ''
  const pairs: [name: string, value: string][] = []
  for (const pair of rawQuery.split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = component(equals < 0 ? pair : pair.slice(0, equals))
    if (name !== without) pairs.push([name, equals < 0 ? '' : component(pair.slice(equals + 1))])
  }
  if (pairs.length > 1) pairs.sort(byNameThenValue)
  let text = ''
  for (const [name, value] of pairs) text += text === '' ? `${name}=${value}` : `&${name}=${value}`
  return text
}

function byNameThenValue(a: [string, string], b: [string, string]): number {
  if (a[0] !== b[0]) return a[0] < b[0] ? -1 : 1
  return a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : 0
}

function component(raw: string): string {
  return UNRESERVED.test(raw) ? raw : recode(raw, false)
}

/** Decodes and encodes again. In a query `+` is a space, and a slash is encoded. */
function recode(raw: string, isPath: boolean): string {
  let text = ''
  for (let at = 0; at < raw.length; at++) {
    let byte = raw.charCodeAt(at) & 0xff
    if (byte === PERCENT) {
      const decoded = hexByte(raw, at + 1)
      if (decoded >= 0) {
        byte = decoded
        at += 2
      }
    } else if (byte === PLUS && !isPath) byte = SPACE
    if (isUnreserved(byte) || (byte === SLASH && isPath)) text += String.fromCharCode(byte)
    else text += `%${HEX[byte >> 4]}${HEX[byte & 15]}`
  }
  return text
}

function isUnreserved(byte: number): boolean {
  return (
    (byte >= 48 && byte <= 57) ||
    (byte >= 65 && byte <= 90) ||
    (byte >= 97 && byte <= 122) ||
    byte === 45 ||
    byte === 46 ||
    byte === 95 ||
    byte === 126
  )
}

/** -1 for what is no byte in hex. */
function hexByte(text: string, at: number): number {
  const digits = text.slice(at, at + 2)
  return /^[0-9A-Fa-f]{2}$/.test(digits) ? Number.parseInt(digits, 16) : -1
}

/** Headers of one request by name in lower case; those that are repeated joined by commas, in order. */
export type Headers = ReadonlyMap<string, string>

export function headersOf(rawHeaders: readonly string[]): Headers {
  const headers = new Map<string, string>()
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    const value = trimmed(rawHeaders[i + 1]!)
    const before = headers.get(name)
    headers.set(name, before === undefined ? value : `${before},${value}`)
  }
  return headers
}

/** Without spaces around it. Only spaces and tabs are such: bytes beyond ASCII stay. */
function trimmed(value: string): string {
  const first = value.charCodeAt(0)
  const last = value.charCodeAt(value.length - 1)
  if (first !== SPACE && first !== TAB && last !== SPACE && last !== TAB) return value
  return value.replace(/^[ \t]+|[ \t]+$/g, '')
}

export interface CanonicalParts {
  method: string
  path: string
  query: string
  headers: Headers
  /** In the order of the list. */
  signedNames: readonly string[]
  /** As given: names joined by `;`. */
  signedHeaders: string
  payload: string
}

/** latin1: header values are bytes. Spaces in a row in them are one. */
export function canonicalRequest(parts: CanonicalParts): string {
  const { method, path, query, headers, signedNames, signedHeaders, payload } = parts
  let text = `${method}\n${path}\n${query}\n`
  for (const name of signedNames) {
    const value = headers.get(name) ?? ''
    text += `${name}:${value.includes('  ') ? value.replace(/ {2,}/g, ' ') : value}\n`
  }
  return `${text}\n${signedHeaders}\n${payload}`
}
