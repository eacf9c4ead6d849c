/**
 * Paths of files, as clients send them: any bytes, of which nothing is ever looked up in a file system. In keys, in JSON and
 * on a terminal they are text, in which `%` and two digits stand for a byte that is no UTF-8, for NUL, and for `%` itself.
 */
import { isUtf8 } from 'node:buffer'
import { StoreError } from '../../base/errors.ts'
import { OBJECT_KEY_BYTES_MAX } from '../../base/limits.ts'

const BACKSLASH = 0x5c
const PERCENT = 0x25
const UTF8_BYTES_MAX = 4

/** Each path has one text. */
export function textOfPath(path: Buffer): string {
  if (isUtf8(path) && !path.includes(0) && !path.includes(PERCENT)) return path.toString()
  let text = ''
  for (let at = 0; at < path.length; ) {
    const length = characterAt(path, at)
    text += length > 0 ? path.toString('utf8', at, at + length) : escaped(path[at]!)
    at += Math.max(1, length)
  }
  return text
}

/** Bytes of the character at a place; 0: a byte that is escaped. */
function characterAt(path: Buffer, at: number): number {
  if (path[at] === 0 || path[at] === PERCENT) return 0
  for (let length = 1; length <= UTF8_BYTES_MAX && at + length <= path.length; length++)
    if (isUtf8(path.subarray(at, at + length))) return length
  return 0
}

const escaped = (byte: number) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`

/** The path of a text. Throws `bad_request` for what `textOfPath` does not give. */
export function pathOfText(text: string): Buffer {
  const path = Buffer.concat(
    text
      .split(/(%[0-9A-F]{2})/)
      .map((part, at) => (at % 2 === 0 ? Buffer.from(part) : Buffer.from(part.slice(1), 'hex'))),
  )
  if (textOfPath(path) !== text)
    throw new StoreError('bad_request', 'a path that is not written as it must be')
  return path
}

/** Whether a text is that of a path. */
export function isPathText(text: string): boolean {
  if (!text.includes('%') && !text.includes('\0')) return text.isWellFormed()
  try {
    pathOfText(text)
    return true
  } catch {
    return false
  }
}

/** Throws `bad_request` for an empty path, `key_too_long`. */
export function checkedText(text: string): string {
  if (text === '') throw new StoreError('bad_request', 'a file has a name')
  if (Buffer.byteLength(text) > OBJECT_KEY_BYTES_MAX)
    throw new StoreError('key_too_long', `a path has at most ${OBJECT_KEY_BYTES_MAX} bytes`)
  return text
}

/** What stands behind the last backslash: under this name the old protocol keeps a file. */
export function nameOfPath(path: Buffer): Buffer {
  return path.subarray(path.lastIndexOf(BACKSLASH) + 1)
}
