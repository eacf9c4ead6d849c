/**
 * Values of headers as texts: bytes to Unicode and back, entity tags, dates. Bytes beyond ASCII are UTF-8 nearly always;
 * those that are not are kept too, each as a lone surrogate, so that what comes back is what was sent.
 */
import { isAscii, isUtf8 } from 'node:buffer'
import { parseHttpDate } from '../../net/conditional.ts'

/** Headers of a request, or the fields of a form that stand for them. */
export interface HeaderView {
  /** The first header of that name, given in lower case. */
  header(lowerName: string): string | undefined
  /** Name, value, …; latin1, one byte a character. */
  readonly rawHeaders: readonly string[]
}

const BYTE_ESCAPE = 0xdc00
const MS_PER_S = 1_000
const PLAIN = /^[\x20-\x7e\t]*$/
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is about
const CONTROLS = /[\u0000-\u0008\u000a-\u001f\u007f]/
// biome-ignore lint/suspicious/noControlCharactersInRegex: the same
const EACH_CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f]/g
const ESCAPED_BYTES = /[\udc80-\udcff]/

/** `raw`: latin1, one byte a character. */
export function headerText(raw: string): string {
  if (PLAIN.test(raw)) return raw
  const bytes = Buffer.from(raw, 'latin1')
  if (isUtf8(bytes)) return bytes.toString('utf8')
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte < 0x80 ? byte : BYTE_ESCAPE + byte)
  return text
}

/** The other way. Control characters, which a form may have brought in, become spaces: they would end the header. */
export function rawText(given: string): string {
  if (PLAIN.test(given)) return given
  const text = given.replaceAll(EACH_CONTROL, ' ')
  if (!ESCAPED_BYTES.test(text)) return Buffer.from(text, 'utf8').toString('latin1')
  let raw = ''
  for (let at = 0; at < text.length; at++) raw += String.fromCharCode(text.charCodeAt(at) & 0xff)
  return raw
}

/** Whether a text can be the value of a header at all. */
export function fitsHeader(text: string): boolean {
  return !CONTROLS.test(text)
}

/** A value of user metadata as a header: beyond ASCII as encoded words of RFC 2047, which is how S3 gives it. */
export function metadataHeader(text: string): string {
  if (PLAIN.test(text)) return text
  if (!text.isWellFormed()) return rawText(text)
  return encodedWords(text, isMostlyAscii(text) ? quotedWord : base64Word)
}

const ENCODED_CHARS_MAX = 63
const PLAIN_QUOTED = /[^!-<>@-^`-~]/

/** A word has at most 75 characters: what is longer is cut into halves. */
function encodedWords(text: string, encode: (bytes: Buffer) => string): string {
  const word = encode(Buffer.from(text))
  const characters = word.length > ENCODED_CHARS_MAX ? [...text] : []
  if (characters.length < 2) return `=?UTF-8?${encode === quotedWord ? 'Q' : 'B'}?${word}?=`
  const middle = characters.length >> 1
  const halves = [characters.slice(0, middle), characters.slice(middle)]
  return halves.map((half) => encodedWords(half.join(''), encode)).join(' ')
}

function isMostlyAscii(text: string): boolean {
  let ascii = 0
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) < 0x7f) ascii++
  return ascii > text.length - ascii
}

const base64Word = (bytes: Buffer) => bytes.toString('base64')

function quotedWord(bytes: Buffer): string {
  let word = ''
  for (const byte of bytes) {
    const character = String.fromCharCode(byte)
    if (byte === 0x20) word += '_'
    else if (PLAIN_QUOTED.test(character)) word += `=${byte.toString(16).toUpperCase().padStart(2, '0')}`
    else word += character
  }
  return word
}

/** Bytes of a text in UTF-8. */
export function textBytes(text: string): number {
  return isAscii(Buffer.from(text)) ? text.length : Buffer.byteLength(text)
}

/** ETags of a condition, without quotes; S3 takes them without, too. `*`: any. */
export function parseEtags(text: string): readonly string[] | '*' {
  const tags = text.split(',').map(bareEtag)
  return tags.includes('*') ? '*' : tags
}

/** Without quotes, and without the mark of a weak one. */
export function bareEtag(text: string): string {
  return text.trim().replace(/^W\//, '').replace(/^"|"$/g, '')
}

/** Milliseconds since 1970 of an HTTP date in any of its forms; undefined for what is none. */
export function parseDateMs(text: string): number | undefined {
  const seconds = parseHttpDate(text)
  const ms = seconds === undefined ? Date.parse(text) : seconds * MS_PER_S
  return Number.isNaN(ms) ? undefined : ms
}

const ISO_TIME =
  /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})$/

/** Milliseconds since 1970 of a time as ISO 8601 writes it. */
export function parseIsoMs(text: string): number | undefined {
  const ms = ISO_TIME.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(ms) ? undefined : ms
}
