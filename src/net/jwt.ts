/**
 * JSON Web Tokens that allow one action on one file id: HS256 only, with an expiry, signed by the master and checked
 * by volume servers. The algorithm is pinned: what the token's own header asks for is never obeyed.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { StoreError } from '../base/errors.ts'
import { JWT_BYTES_MAX } from '../base/limits.ts'

const HEADER = Buffer.from('{"alg":"HS256","typ":"JWT"}').toString('base64url')

/** A token for `fid` (without delta) until `expiresS`, in seconds since 1970. */
export function signFidToken(key: string, fid: string, expiresS: number): string {
  const payload = Buffer.from(JSON.stringify({ fid, exp: expiresS })).toString('base64url')
  return `${HEADER}.${payload}.${mac(key, `${HEADER}.${payload}`).toString('base64url')}`
}

/** Throws `unauthorized` unless the token is whole, in time and for this `fid` (without delta). */
export function verifyFidToken(key: string, token: string, expected: { fid: string; nowS: number }): void {
  const parts = token.length <= JWT_BYTES_MAX ? token.split('.') : []
  const [header, payload, signature] = parts
  if (parts.length !== 3 || !header || !payload || !signature) throw wrongToken()
  const given = Buffer.from(signature, 'base64url')
  const wanted = mac(key, `${header}.${payload}`)
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) throw wrongToken()
  if (field(header, 'alg') !== 'HS256') throw wrongToken()
  const expiresS = field(payload, 'exp')
  if (typeof expiresS !== 'number' || expiresS <= expected.nowS) throw wrongToken()
  const notBeforeS = field(payload, 'nbf') ?? 0
  if (typeof notBeforeS !== 'number' || notBeforeS > expected.nowS) throw wrongToken()
  if (field(payload, 'fid') !== expected.fid) throw wrongToken()
}

/** The reply is the same for every reason: it tells an attacker nothing. */
function wrongToken(): StoreError {
  return new StoreError('unauthorized', 'wrong jwt')
}

function mac(key: string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function field(base64: string, name: string): unknown {
  try {
    const value: unknown = JSON.parse(Buffer.from(base64, 'base64url').toString('utf8'))
    return value !== null && typeof value === 'object' ? (value as Record<string, unknown>)[name] : undefined
  } catch {
    return undefined
  }
}
