/**
 * Stored gzip for clients that do not take it. A small file may inflate to a thousand times its size, so what is long is
 * never held as a whole: it is counted, or passes in pieces at its reader's pace.
 */
import { pipeline, Readable } from 'node:stream'
import { createGunzip, gunzip, gunzipSync } from 'node:zlib'
import { StoreError } from '../../base/errors.ts'

/** Up to this much stored gzip is inflated on the spot, if the result is small too. */
const SYNC_STORED_BYTES_MAX = 16 * 1024
const SYNC_INFLATED_BYTES_MAX = 256 * 1024
const PIECE_BYTES = 64 * 1024

/** Inflates on the spot; undefined where that would take long. Throws `corrupt` for what is not gzip. */
export function inflateAtOnce(stored: Buffer, bytesMax: number): Buffer | undefined {
  if (stored.length > SYNC_STORED_BYTES_MAX) return undefined
  try {
    return gunzipSync(stored, { maxOutputLength: Math.min(bytesMax, SYNC_INFLATED_BYTES_MAX) })
  } catch (error) {
    if (isTooLarge(error)) return undefined
    throw inflateError(error)
  }
}

/** Inflates; undefined above `bytesMax`, which so much memory is taken for. Rejects with `corrupt` for what is not gzip. */
export function inflateUpTo(stored: Buffer, bytesMax: number): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    gunzip(stored, { maxOutputLength: bytesMax }, (error, inflated) => {
      if (error === null) resolve(inflated)
      else if (isTooLarge(error)) resolve(undefined)
      else reject(inflateError(error))
    })
  })
}

/**
 * Inflates piece by piece, as fast as the pieces are taken. Throws `too_large` above `bytesMax`, `corrupt` for what is not
 * gzip, and what `stored` throws.
 */
export async function* inflatedPieces(
  stored: Iterable<Buffer> | AsyncIterable<Buffer>,
  bytesMax: number,
): AsyncGenerator<Buffer, void, undefined> {
  const source = Readable.from(stored)
  const sourceClosed = new Promise((resolve) => source.once('close', resolve))
  const inflating = createGunzip({ chunkSize: PIECE_BYTES })
  // What breaks off ends both, and is thrown by the loop.
  pipeline(source, inflating, () => {})
  let sizeBytes = 0
  try {
    for await (const piece of inflating as AsyncIterable<Buffer>) {
      sizeBytes += piece.length
      if (sizeBytes > bytesMax)
        throw new StoreError('too_large', `the gzip inflates to more than ${bytesMax} bytes`)
      yield piece
    }
  } catch (error) {
    throw inflateError(error)
  } finally {
    inflating.destroy()
    source.destroy()
    // It reads ahead: what it reads from may be closed only after it has stopped.
    await sourceClosed
  }
}

function isTooLarge(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
}

/** Of zlib's errors; others stay what they are. */
function inflateError(error: unknown): unknown {
  const { code = '', message } = error as NodeJS.ErrnoException
  return code.startsWith('Z_') ? new StoreError('corrupt', `not valid gzip: ${message}`) : error
}

/** Two first bytes of every gzip. */
export function looksGzipped(data: Buffer): boolean {
  return data.length > 2 && data[0] === 0x1f && data[1] === 0x8b
}
