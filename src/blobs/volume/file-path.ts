/** From the path of a request to a file id: `/3,01637037d6` by character codes, the other spellings at leisure. */
import { StoreError } from '../../base/errors.ts'
import { type Fid, formatFid, parseKeyCookie, parseVolumeId } from '../../base/fid.ts'

const [SLASH, COMMA, ZERO, NINE] = [0x2f, 0x2c, 0x30, 0x39]
const COOKIE_DIGITS = 8
const KEY_COOKIE_DIGITS_MAX = 24
const VOLUME_DIGITS_MAX = 9

/** Value of a hex digit's character code, or -1. */
const HEX_VALUE = hexTable()

function hexTable(): Int8Array {
  const table = new Int8Array(128).fill(-1)
  for (let i = 0; i < 16; i++) {
    table[i.toString(16).charCodeAt(0)] = i
    table[i.toString(16).toUpperCase().charCodeAt(0)] = i
  }
  return table
}

/** The file id of a path that is nothing but `/<volume>,<key><cookie>`; undefined for every other path. */
export function plainFid(path: string): Fid | undefined {
  const length = path.length
  if (path.charCodeAt(0) !== SLASH) return undefined
  let at = 1
  let volumeId = 0
  for (; at <= VOLUME_DIGITS_MAX; at++) {
    const code = path.charCodeAt(at)
    if (code < ZERO || code > NINE) break
    volumeId = volumeId * 10 + code - ZERO
  }
  if (at === 1 || path.charCodeAt(at) !== COMMA) return undefined
  const keyStart = at + 1
  const cookieStart = length - COOKIE_DIGITS
  if (cookieStart <= keyStart || length - keyStart > KEY_COOKIE_DIGITS_MAX) return undefined
  const lowStart = Math.max(cookieStart - 8, keyStart)
  const keyHigh = hexNumber(path, keyStart, lowStart)
  const keyLow = hexNumber(path, lowStart, cookieStart)
  const cookie = hexNumber(path, cookieStart, length)
  return keyHigh < 0 || keyLow < 0 || cookie < 0 ? undefined : { volumeId, keyHigh, keyLow, cookie }
}

/** Up to 8 hex digits as a number; -1 when one is none. */
function hexNumber(text: string, start: number, end: number): number {
  let value = 0
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at)
    const digit = code < 128 ? HEX_VALUE[code]! : -1
    if (digit < 0) return -1
    value = value * 16 + digit
  }
  return value
}

export interface FilePath {
  fid: Fid
  /** The file id as a token names it: without delta. */
  fidText: string
  /** A name that the reader gave the file (`/3/0163.../name.ext`). */
  filename: string | undefined
  /** Whether the path has the comma form, the only one for writes. */
  isComma: boolean
  /** The last part of the path. */
  lastSegment: string
}

/**
 * Parses `/vid,fid`, `/vid,fid.ext`, `/vid/fid`, `/vid/fid.ext`, `/vid/fid/name.ext`, percent-encoded or not.
 * Throws `bad_request` with the reason.
 */
export function parseFilePath(path: string): FilePath {
  const segments = decodePath(path).slice(1).split('/')
  const last = segments.at(-1)!
  if (segments.length === 1) {
    const comma = last.lastIndexOf(',')
    if (comma <= 0) throw new StoreError('bad_request', `wrong fid format: ${last.slice(0, 64)}`)
    return filePath({
      volume: last.slice(0, comma),
      key: withoutExtension(last.slice(comma + 1)),
      last,
      isComma: true,
    })
  }
  const [volume, key, filename] = segments as [string, string, string?]
  if (segments.length === 2) return filePath({ volume, key: withoutExtension(key), last, isComma: false })
  if (segments.length > 3)
    throw new StoreError('bad_request', 'wrong path: use /volume,fid or /volume/fid/name')
  return { ...filePath({ volume, key, last, isComma: false }), filename: filename || undefined }
}

function filePath(parts: { volume: string; key: string; last: string; isComma: boolean }): FilePath {
  const volumeId = parseVolumeId(parts.volume)
  const underscore = parts.key.lastIndexOf('_')
  const base = underscore > 0 ? parts.key.slice(0, underscore) : parts.key
  return {
    fid: parseKeyCookie(volumeId, parts.key),
    fidText: formatFid(parseKeyCookie(volumeId, base)),
    filename: undefined,
    isComma: parts.isComma,
    lastSegment: parts.last,
  }
}

function withoutExtension(key: string): string {
  const dot = key.lastIndexOf('.')
  return dot > 0 ? key.slice(0, dot) : key
}

function decodePath(path: string): string {
  if (!path.includes('%')) return path
  try {
    return decodeURIComponent(path)
  } catch (error) {
    throw new StoreError('bad_request', 'malformed percent encoding in the path', { cause: error })
  }
}
