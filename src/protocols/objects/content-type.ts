/**
 * What bytes look like, by their beginning: as Go's `http.DetectContentType` tells, which this door's objects are served by. A short
 * form of the MIME Sniffing Standard; first match wins.
 */

/** So many bytes are looked at. */
export const SNIFFED_BYTES = 512

const TEXT = 'text/plain; charset=utf-8'
const UNKNOWN = 'application/octet-stream'

const HTML_TAGS = [
  ...['<!DOCTYPE HTML', '<HTML', '<HEAD', '<SCRIPT', '<IFRAME', '<H1', '<DIV', '<FONT', '<TABLE', '<A'],
  ...['<STYLE', '<TITLE', '<B', '<BODY', '<BR', '<P', '<!--'],
]

/** The beginning as latin1, and what it means. */
const BEGINNINGS: readonly (readonly [beginning: string, type: string])[] = [
  ['%PDF-', 'application/pdf'],
  ['%!PS-Adobe-', 'application/postscript'],
  ['\xfe\xff', 'text/plain; charset=utf-16be'],
  ['\xff\xfe', 'text/plain; charset=utf-16le'],
  ['\xef\xbb\xbf', TEXT],
  ['\0\0\x01\0', 'image/x-icon'],
  ['\0\0\x02\0', 'image/x-icon'],
  ['BM', 'image/bmp'],
  ['GIF87a', 'image/gif'],
  ['GIF89a', 'image/gif'],
  ['\x89PNG\r\n\x1a\n', 'image/png'],
  ['\xff\xd8\xff', 'image/jpeg'],
  ['ID3', 'audio/mpeg'],
  ['OggS\0', 'application/ogg'],
  ['MThd\0\0\0\x06', 'audio/midi'],
  ['\x1a\x45\xdf\xa3', 'video/webm'],
  [`${'\0'.repeat(34)}LP`, 'application/vnd.ms-fontobject'],
  ['\0\x01\0\0', 'font/ttf'],
  ['OTTO', 'font/otf'],
  ['ttcf', 'font/collection'],
  ['wOFF', 'font/woff'],
  ['wOF2', 'font/woff2'],
  ['\x1f\x8b\x08', 'application/x-gzip'],
  ['PK\x03\x04', 'application/zip'],
  ['Rar!\x1a\x07\0', 'application/x-rar-compressed'],
  ['Rar!\x1a\x07\x01\0', 'application/x-rar-compressed'],
  ['\0asm', 'application/wasm'],
]

/** Of a form, a length, and a kind of content at byte 8. */
const CONTAINERS: readonly (readonly [form: string, kind: string, type: string])[] = [
  ['RIFF', 'WEBPVP', 'image/webp'],
  ['FORM', 'AIFF', 'audio/aiff'],
  ['RIFF', 'AVI ', 'video/avi'],
  ['RIFF', 'WAVE', 'audio/wave'],
]

const TEXT_CONTROLS = new Set([0x09, 0x0a, 0x0c, 0x0d, 0x1b])
const KIND_AT = 8

/** Of the beginning of some bytes, or all of them where they are few. */
export function contentTypeOf(bytes: Buffer): string {
  const text = bytes.toString('latin1', 0, SNIFFED_BYTES)
  const trimmed = text.replace(/^[\t\n\f\r ]+/, '')
  if (HTML_TAGS.some((tag) => isTag(trimmed, tag))) return 'text/html; charset=utf-8'
  if (trimmed.startsWith('<?xml')) return 'text/xml; charset=utf-8'
  const known = BEGINNINGS.find(([beginning]) => text.startsWith(beginning))
  if (known !== undefined) return known[1]
  const held = CONTAINERS.find(([form, kind]) => text.startsWith(form) && text.startsWith(kind, KIND_AT))
  if (held !== undefined) return held[2]
  if (isMp4(bytes.subarray(0, SNIFFED_BYTES))) return 'video/mp4'
  return isBinary(bytes.subarray(0, SNIFFED_BYTES)) ? UNKNOWN : TEXT
}

/** It has control characters that no text has: others than tab, line ends and escape. */
function isBinary(bytes: Buffer): boolean {
  return bytes.some((byte) => byte < 0x20 && !TEXT_CONTROLS.has(byte))
}

function isTag(text: string, tag: string): boolean {
  const end = text[tag.length]
  return (end === ' ' || end === '>') && text.slice(0, tag.length).toUpperCase() === tag
}

/** A box `ftyp` that names a brand of MP4. */
function isMp4(bytes: Buffer): boolean {
  if (bytes.length < 12 || bytes.toString('latin1', 4, 8) !== 'ftyp') return false
  const boxBytes = bytes.readUInt32BE(0)
  if (boxBytes > bytes.length || boxBytes % 4 !== 0) return false
  for (let at = 8; at < boxBytes; at += 4)
    // At 12 is the version of the brand, not another one.
    if (at !== 12 && bytes.toString('latin1', at, at + 3) === 'mp4') return true
  return false
}
