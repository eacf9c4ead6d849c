/**
 * The Content-Disposition header: names of files, in uploads and replies. Written as SeaweedFS's Go library does it:
 * bare when the name is a token, quoted when it is other ASCII, percent-encoded (RFC 2231) for the rest.
 */

/** 1 for each byte that a token of RFC 9110 may hold. */
const TOKEN = tokenTable()

function tokenTable(): Uint8Array {
  const table = new Uint8Array(256)
  for (const byte of Buffer.from(
    "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
  )) {
    table[byte] = 1
  }
  return table
}

/** Whether `text` is a non-empty token: a header's name, a parameter's. */
export function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 255 || TOKEN[code] === 0) return false
  }
  return text.length > 0
}

const ALL_TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const PRINTABLE = /^[\t\x20-\x7e]*$/

/** The header for a file `name`, its bytes (mostly UTF-8) as a latin1 string. The result is ASCII without line breaks. */
export function formatContentDisposition(kind: 'inline' | 'attachment', name: string): string {
  if (ALL_TOKEN.test(name)) return `${kind}; filename=${name}`
  if (name === '') return kind
  if (PRINTABLE.test(name)) return `${kind}; filename="${name.replace(/["\\]/g, '\\$&')}"`
  return `${kind}; filename*=utf-8''${percentEncode(name)}`
}

/** Percent form of RFC 2231: everything but tokens without `*`, `'` and `%`. */
function percentEncode(name: string): string {
  return name.replace(/[^!#$&+.^_`|~0-9A-Za-z-]/g, (character) => {
    return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
  })
}

export interface Disposition {
  /** In lower case: `form-data`, `attachment`, … */
  type: string
  /** In lower case without `*`; values as bytes in a latin1 string, UTF-8 where the sender used it. */
  parameters: Map<string, string>
}

/**
 * Parses a Content-Disposition (any header of that form), bytes as a latin1 string. Undefined when malformed.
 * `filename*` wins over `filename`, as RFC 6266 asks, unless it is not in the character set that it names, or nobody knows that.
 */
export function parseContentDisposition(header: string): Disposition | undefined {
  const semicolon = header.indexOf(';')
  const type = (semicolon < 0 ? header : header.slice(0, semicolon)).trim().toLowerCase()
  if (!isToken(type)) return undefined
  const parameters = new Map<string, string>()
  const extended = new Map<string, string>()
  let position = semicolon < 0 ? header.length : semicolon
  while (position < header.length) {
    const parameter = readParameter(header, position)
    if (parameter === 'end') break
    if (parameter === undefined) return undefined
    position = parameter.next
    if (!parameter.name.endsWith('*')) {
      if (parameters.has(parameter.name)) return undefined
      parameters.set(parameter.name, parameter.value)
      continue
    }
    const parts = EXTENDED.exec(parameter.value)
    if (parts === null) return undefined
    const value = decodeExtended(parts[1]!.toLowerCase(), parts[2]!)
    if (value !== undefined) extended.set(parameter.name.slice(0, -1), value)
  }
  for (const [name, value] of extended) parameters.set(name, value)
  return { type, parameters }
}

interface Parameter {
  name: string
  value: string
  next: number
}

const [TAB, SPACE, QUOTE, SEMICOLON, EQUALS, BACKSLASH] = [0x09, 0x20, 0x22, 0x3b, 0x3d, 0x5c]

/** Reads the parameter behind the semicolon at `position`. By hand: this runs for every uploaded form. */
function readParameter(header: string, position: number): Parameter | 'end' | undefined {
  let at = skipSpaces(header, position + 1)
  if (at >= header.length) return 'end'
  const nameStart = at
  while (at < header.length && TOKEN[header.charCodeAt(at)] === 1) at++
  const name = header.slice(nameStart, at).toLowerCase()
  at = skipSpaces(header, at)
  if (name === '' || header.charCodeAt(at) !== EQUALS) return undefined
  at = skipSpaces(header, at + 1)
  if (header.charCodeAt(at) === QUOTE) {
    const end = closingQuote(header, at + 1)
    if (end < 0) return undefined
    const next = skipSpaces(header, end + 1)
    if (next < header.length && header.charCodeAt(next) !== SEMICOLON) return undefined
    return { name, value: unescapeQuoted(header.slice(at + 1, end)), next }
  }
  const semicolon = header.indexOf(';', at)
  const next = semicolon < 0 ? header.length : semicolon
  const value = header.slice(at, next).trim()
  return value.includes('"') ? undefined : { name, value, next }
}

function skipSpaces(text: string, from: number): number {
  let at = from
  while (text.charCodeAt(at) === SPACE || text.charCodeAt(at) === TAB) at++
  return at
}

function closingQuote(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) return at
    if (code === BACKSLASH && isEscape(text, at)) at++
  }
  return -1
}

/** A backslash escapes only quotes and itself: some senders give whole Windows paths with plain backslashes. */
function isEscape(text: string, at: number): boolean {
  const next = text.charCodeAt(at + 1)
  return next === QUOTE || next === BACKSLASH
}

function unescapeQuoted(text: string): string {
  return text.includes('\\') ? text.replace(/\\(["\\])/g, '$1') : text
}

/** Character set and text of `utf-8'en'%e2%82%ac`. */
const EXTENDED = /^([\w.:+-]+)'[A-Za-z0-9-]*'((?:[^%]|%[0-9A-Fa-f]{2})*)$/

/** To UTF-8, as bytes in a latin1 string. Undefined where the character set is unknown, or the text is not in it. */
function decodeExtended(charset: string, text: string): string | undefined {
  const bytes = text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
  if (charset === 'utf-8' || charset === 'us-ascii') return bytes
  if (charset === 'iso-8859-1') return Buffer.from(bytes, 'utf8').toString('latin1')
  try {
    const decoder = new TextDecoder(charset, { fatal: true })
    return Buffer.from(decoder.decode(Buffer.from(bytes, 'latin1'))).toString('latin1')
  } catch {
    return undefined
  }
}
