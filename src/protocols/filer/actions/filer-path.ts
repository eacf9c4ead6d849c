/**
 * What a URL's path names: a file or directory of a bucket. The filer is strict where a path could mean two things: `.`
 * and `..` as names are refused, however they are spelled, so that no proxy before it and no client can disagree.
 */
import { StoreError } from '../../../base/errors.ts'
import { NAME_BYTES_MAX } from '../../../base/limits.ts'

/** The bucket behind all paths but `/buckets`. */
export const FILES_BUCKET = 'files'
/** The directory that holds the others, where they are shown. */
export const BUCKETS = 'buckets'

export interface FilerPath {
  /** `files`, or the one that `/buckets/<bucket>` names; undefined for `/buckets` itself. */
  bucket: string | undefined
  /** Key without a slash at either end; '' is the root. */
  key: string
  /** The path ended with a slash. */
  endsWithSlash: boolean
  /** As people write it: `/a/b`, without a slash at the end; '' is the root. */
  display: string
}

/** Needs no decoding, has no empty segments and none that begins with a dot. */
const PLAIN = /^(?:\/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$/

/** The key of a path that is nothing but a plain file's; undefined for all others. */
export function plainKey(target: string): string | undefined {
  return PLAIN.test(target) && !isReserved(target) ? target.slice(1) : undefined
}

/** `/buckets`, what is below it, and `/healthz`. */
function isReserved(target: string): boolean {
  const second = target.charCodeAt(1)
  if (second === 0x62) return target === '/buckets' || target.startsWith('/buckets/')
  return second === 0x68 && target === '/healthz'
}

/** Throws `bad_request`, `forbidden`. `path` is as received, without query. */
export function parseFilerPath(path: string, options: { showsBuckets: boolean }): FilerPath {
  return filerPathOf(decodePath(path), options)
}

/** Of a path that is decoded already, such as one in a query. Throws `bad_request`, `forbidden`. */
export function filerPathOf(text: string, options: { showsBuckets: boolean }): FilerPath {
  const segments = segmentsOf(wellFormed(text))
  const endsWithSlash = text.endsWith('/')
  const display = segments.map((segment) => `/${segment}`).join('')
  if (segments[0] !== BUCKETS)
    return { bucket: FILES_BUCKET, key: segments.join('/'), endsWithSlash, display }
  if (!options.showsBuckets) {
    throw new StoreError('forbidden', 'other buckets are not shown here (they are with --filer-buckets)')
  }
  return { bucket: segments[1], key: segments.slice(2).join('/'), endsWithSlash, display }
}

function decodePath(path: string): string {
  if (!path.startsWith('/')) throw new StoreError('bad_request', 'the path must begin with /')
  // Bytes above ASCII that were not encoded are taken as they are, if they are UTF-8.
  const ascii = path.replace(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16)}`)
  try {
    return decodeURIComponent(ascii)
  } catch (error) {
    throw new StoreError('bad_request', 'malformed percent encoding in the path', { cause: error })
  }
}

function wellFormed(text: string): string {
  if (!text.isWellFormed() || text.includes('\0')) {
    throw new StoreError('bad_request', 'the path has a character that names may not have')
  }
  return text
}

/** Empty segments do not count: `/a//b/` is `/a/b`. */
function segmentsOf(path: string): string[] {
  const segments = path.split('/').filter((segment) => segment !== '')
  if (segments.some((segment) => segment === '.' || segment === '..')) {
    throw new StoreError('bad_request', 'a path may not have . or .. as a name')
  }
  return segments
}

/** The name that an upload gives its file: whatever directories it had stay with the sender. Throws `bad_request`. */
export function uploadedName(latin1: string): string {
  const text = Buffer.from(latin1, 'latin1').toString('utf8')
  const name = text.slice(text.lastIndexOf('/') + 1)
  if (name === '.' || name === '..') throw new StoreError('bad_request', 'the file name may not be . or ..')
  return wellFormed(name)
}

/** Throws `key_too_long` for a name of more than 255 bytes. */
export function assertNamesFit(key: string): void {
  if (key.length * 3 <= NAME_BYTES_MAX) return
  for (const name of key.split('/')) {
    if (Buffer.byteLength(name) > NAME_BYTES_MAX) {
      throw new StoreError('key_too_long', `a name may have ${NAME_BYTES_MAX} bytes`)
    }
  }
}

/** Last segment of a key. */
export function nameOfKey(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1)
}

/** The directory that a key is in; '' is the root. */
export function parentOfKey(key: string): string {
  return key.slice(0, Math.max(0, key.lastIndexOf('/')))
}

/** A key as part of a URL. */
export function encodeKey(key: string): string {
  return key.split('/').map(encodeURIComponent).join('/')
}
