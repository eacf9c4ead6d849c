/** The argument `path`: which file is meant. */
import { StoreError } from '../../base/errors.ts'
import { OBJECT_KEY_BYTES_MAX } from '../../base/limits.ts'

/** Stands for itself in a query. */
const PLAIN = /^[A-Za-z0-9/._~:@!$'()*,;=-]*$/

/** The first `path` of a query, decoded. Throws `bad_request` where it is missing, empty, or no UTF-8. */
export function pathOfQuery(query: string): string {
  for (const pair of query.split('&')) {
    if (!pair.startsWith('path=')) continue
    return usable(decode(pair.slice('path='.length)))
  }
  throw new StoreError('bad_request', 'the argument path is missing')
}

function decode(text: string): string {
  if (PLAIN.test(text)) return text
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw new StoreError('bad_request', 'the argument path is no UTF-8, quoted as URLs are')
  }
}

function usable(path: string): string {
  if (path === '') throw new StoreError('bad_request', 'the argument path is empty')
  if (/\p{Cc}/u.test(path)) throw new StoreError('bad_request', 'a control character in the argument path')
  if (Buffer.byteLength(path) > OBJECT_KEY_BYTES_MAX)
    throw new StoreError('bad_request', `the argument path has more than ${OBJECT_KEY_BYTES_MAX} bytes`)
  return path
}
