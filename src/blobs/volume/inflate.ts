/** Stored gzip for clients that do not take it. Bounded: a small file may inflate to a thousand times its size. */
import { gunzip, gunzipSync } from 'node:zlib'
import { StoreError } from '../../base/errors.ts'

/** Up to this much stored gzip is inflated on the spot, if the result is small too. */
const SYNC_STORED_BYTES_MAX = 16 * 1024
const SYNC_INFLATED_BYTES_MAX = 256 * 1024

/** Inflates; throws or rejects with `too_large` above `bytesMax` and `corrupt` for what is not gzip. */
export function inflate(stored: Buffer, bytesMax: number): Buffer | Promise<Buffer> {
  if (stored.length <= SYNC_STORED_BYTES_MAX) {
    try {
      return gunzipSync(stored, { maxOutputLength: Math.min(bytesMax, SYNC_INFLATED_BYTES_MAX) })
    } catch (error) {
      if (!isTooLarge(error)) throw inflateError(error, bytesMax)
    }
  }
  return new Promise((resolve, reject) => {
    gunzip(stored, { maxOutputLength: bytesMax }, (error, inflated) => {
      if (error === null) resolve(inflated)
      else reject(inflateError(error, bytesMax))
    })
  })
}

function isTooLarge(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
}

function inflateError(error: unknown, bytesMax: number): StoreError {
  if (isTooLarge(error))
    return new StoreError('too_large', `the gzip inflates to more than ${bytesMax} bytes`)
  return new StoreError('corrupt', `not valid gzip: ${(error as Error).message}`)
}

/** Two first bytes of every gzip. */
export function looksGzipped(data: Buffer): boolean {
  return data.length > 2 && data[0] === 0x1f && data[1] === 0x8b
}
