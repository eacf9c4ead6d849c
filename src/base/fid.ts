/**
 * File ids: `<volume>,<key><cookie>[_<delta>]`, the key in hex without leading zero bytes, the cookie 8 hex digits.
 * Source: SeaweedFS `weed/storage/needle/file_id.go` and `needle.go` (behaviour), written anew.
 * Keys pass 2^53, so they travel as two unsigned 32-bit halves.
 */
import { StoreError } from './errors.ts'

export interface Fid {
  /** Volume id, 0 to 2^32 - 1. */
  volumeId: number
  /** Upper 32 bits of the key. */
  keyHigh: number
  /** Lower 32 bits of the key. */
  keyLow: number
  /** Unguessable 32 bits that a reader must know. */
  cookie: number
}

const COOKIE_DIGITS = 8
const KEY_COOKIE_DIGITS_MAX = 24
const U32_MAX = 0xffffffff

/** Parses a decimal volume id; throws `bad_request`. */
export function parseVolumeId(text: string): number {
  const id = /^[0-9]{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (!(id <= U32_MAX)) throw new StoreError('bad_request', `Unknown volume id ${text.slice(0, 64)}`)
  return id
}

/** Parses `vid,keycookie[_delta]`; throws `bad_request` with the reason. */
export function parseFid(text: string): Fid {
  const comma = text.indexOf(',')
  if (comma <= 0) throw new StoreError('bad_request', `wrong fid format: ${text.slice(0, 64)}`)
  const volumeId = parseVolumeId(text.slice(0, comma))
  return parseKeyCookie(volumeId, text.slice(comma + 1))
}

/** Parses the part behind the comma; throws `bad_request` with the reason. */
export function parseKeyCookie(volumeId: number, text: string): Fid {
  const underscore = text.lastIndexOf('_')
  const hex = underscore > 0 ? text.slice(0, underscore) : text
  if (hex.length <= COOKIE_DIGITS) throw new StoreError('bad_request', 'KeyHash is too short.')
  if (hex.length > KEY_COOKIE_DIGITS_MAX) throw new StoreError('bad_request', 'KeyHash is too long.')
  if (!/^[0-9a-fA-F]+$/.test(hex)) throw new StoreError('bad_request', `wrong key or cookie: ${hex}`)
  const split = hex.length - COOKIE_DIGITS
  const lowStart = Math.max(0, split - 8)
  const fid: Fid = {
    volumeId,
    keyHigh: lowStart > 0 ? Number.parseInt(hex.slice(0, lowStart), 16) : 0,
    keyLow: Number.parseInt(hex.slice(lowStart, split), 16),
    cookie: Number.parseInt(hex.slice(split), 16),
  }
  if (underscore > 0) addDelta(fid, text.slice(underscore + 1))
  return fid
}

function addDelta(fid: Fid, text: string): void {
  const delta = /^[0-9]{1,20}$/.test(text) ? BigInt(text) : -1n
  const key = ((BigInt(fid.keyHigh) << 32n) | BigInt(fid.keyLow)) + delta
  if (delta < 0n || key > 0xffffffffffffffffn) {
    throw new StoreError('bad_request', `wrong delta in fid: _${text.slice(0, 32)}`)
  }
  fid.keyHigh = Number(key >> 32n)
  fid.keyLow = Number(key & 0xffffffffn)
}

/** The canonical text of a file id: `3,01637037d6`. */
export function formatFid(fid: Fid): string {
  let key = fid.keyLow.toString(16)
  if (fid.keyHigh > 0) key = fid.keyHigh.toString(16) + key.padStart(8, '0')
  if (key.length % 2 === 1) key = `0${key}`
  return `${fid.volumeId},${key}${fid.cookie.toString(16).padStart(COOKIE_DIGITS, '0')}`
}
