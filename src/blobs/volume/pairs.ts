/**
 * The pairs of a needle: `Seaweed-Owner: bob` of an upload is kept as `{"Owner":"bob"}` and comes back as `Owner: bob`.
 * They never replace what frames the reply, or a stored file could make its readers see another one.
 */
import { StoreError } from '../../base/errors.ts'
import { PAIRS_BYTES_MAX } from '../../base/limits.ts'
import { isToken } from '../../net/content-disposition.ts'
import { isHeaderValue } from './query.ts'

export const PAIR_PREFIX = 'seaweed-'

/** Headers that only the server itself may send. */
const RESERVED = new Set([
  'accept-ranges',
  'connection',
  'content-disposition',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'date',
  'etag',
  'keep-alive',
  'last-modified',
  'server',
  'set-cookie',
  'strict-transport-security',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'www-authenticate',
  'x-amz-request-id',
  'x-file-store',
])

/** The stored form of pairs (name without prefix, value as latin1 bytes, …). Throws `too_large`. */
export function encodePairs(pairs: readonly string[]): Buffer | undefined {
  const sorted = new Map<string, string>()
  for (let i = 0; i < pairs.length; i += 2) {
    const name = canonicalName(pairs[i]!)
    if (!sorted.has(name)) sorted.set(name, Buffer.from(pairs[i + 1]!, 'latin1').toString('utf8'))
  }
  if (sorted.size === 0) return undefined
  const entries = [...sorted].sort(([a], [b]) => (a < b ? -1 : 1))
  const bytes = Buffer.from(
    `{${entries.map((pair) => pair.map((text) => JSON.stringify(text)).join(':')).join(',')}}`,
  )
  if (bytes.length > PAIRS_BYTES_MAX)
    throw new StoreError('too_large', `Seaweed-* headers over ${PAIRS_BYTES_MAX} bytes`)
  return bytes
}

/** `OWNER-name` to `Owner-Name`, as Go writes header names. */
function canonicalName(name: string): string {
  return name.toLowerCase().replace(/(^|-)[a-z]/g, (letters) => letters.toUpperCase())
}

/** Stored pairs as headers: name, value, … What cannot be a header is left out. */
export function pairHeaders(pairs: Buffer): string[] {
  let parsed: unknown
  try {
    parsed = JSON.parse(pairs.toString('utf8'))
  } catch {
    return []
  }
  if (typeof parsed !== 'object' || parsed === null) return []
  const headers: string[] = []
  for (const [name, value] of Object.entries(parsed)) {
    if (typeof value !== 'string' || !isToken(name) || RESERVED.has(name.toLowerCase())) continue
    const bytes = Buffer.from(value, 'utf8').toString('latin1')
    if (isHeaderValue(bytes)) headers.push(name, bytes)
  }
  return headers
}
