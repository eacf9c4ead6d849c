/** Continuation tokens: where a page ended, in a form that nobody takes for a key. */
import { isUtf8 } from 'node:buffer'
import { invalidArgument } from './s3-error.ts'

export function encodeToken(after: string): string {
  return Buffer.from(after).toString('base64')
}

/** Throws InvalidArgument for what we did not make. */
export function decodeToken(token: string): string {
  const bytes = Buffer.from(token, 'base64')
  if (token === '' || bytes.toString('base64') !== token || !isUtf8(bytes))
    throw invalidArgument('The continuation token provided is incorrect', 'continuation-token', token)
  return bytes.toString('utf8')
}
