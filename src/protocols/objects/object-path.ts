/** Which object a request is about: the name in its path, the version in its query, and hashes as this door writes them. */
import { StoreError } from '../../base/errors.ts'

const HASH = /^[A-Za-z0-9+/]{43}=$/
const NUMBER = /^[0-9]{1,15}$/

/** The name behind `/objects/` and its like: any UTF-8, slashes too, quoted as URLs are. Throws `bad_request`. */
export function decodedName(quoted: string): string {
  let name: string
  try {
    name = decodeURIComponent(quoted)
  } catch {
    throw new StoreError('bad_request', 'the name is no UTF-8, quoted as URLs are')
  }
  if (name === '') throw new StoreError('bad_request', 'the name of the object is missing')
  return name
}

/** The number of `version=`; undefined, or nothing or 0 behind it: the latest. Throws `bad_request`. */
export function versionOfQuery(query: string): number | undefined {
  for (const pair of query.split('&')) {
    const [name, value = ''] = pair.split('=') as [string, string?]
    if (name !== 'version') continue
    if (value !== '' && !NUMBER.test(value)) throw new StoreError('bad_request', 'a version is a number')
    return Number(value) || undefined
  }
  return undefined
}

/** The bytes of a SHA-256 in base64; undefined: it is none. */
export function hashOf(text: string): Buffer | undefined {
  return HASH.test(text) ? Buffer.from(text, 'base64') : undefined
}

/**
 * What `Digest: SHA-256=<base64>` announces; undefined: nothing of that kind. Several digests may stand there, with commas
 * between them. Throws `bad_request` for a SHA-256 that is none.
 */
export function announcedHash(digest: string | undefined): Buffer | undefined {
  for (const each of (digest ?? '').split(',')) {
    const text = each.trim()
    const equals = text.indexOf('=')
    if (equals < 0 || text.slice(0, equals).toUpperCase() !== 'SHA-256') continue
    const hash = hashOf(text.slice(equals + 1))
    if (hash === undefined) throw new StoreError('bad_request', 'the Digest is no SHA-256 in base64')
    return hash
  }
  return undefined
}
