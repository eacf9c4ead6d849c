/** The bytes of a needle as a source: as they are stored, or as they were before they were gzipped. */
import { SMALL_RECORD_BYTES_MAX } from '../../base/limits.ts'
import type { Needle } from '../../disk/needle.ts'
import { type ByteSource, memorySource } from '../../net/byte-source.ts'
import { inflateAtOnce, inflatedPieces, inflateUpTo, looksGzipped } from './inflate.ts'

/** The stored bytes of a needle that is not borrowed. */
export function storedSource(needle: Needle): ByteSource {
  const { large } = needle
  if (large === undefined) return memorySource(needle.data!)
  return {
    sizeBytes: needle.dataSizeBytes,
    whole: undefined,
    read: (start, end) => large.read(start, end),
    close: () => closeLarge(needle),
  }
}

/** Closes what a needle holds open; any number of times. */
export function closeLarge(needle: Needle): void {
  needle.large?.close()
  needle.large = undefined
}

/**
 * The bytes of the file. A gzip that inflates to more than a small record is inflated twice: first to count, because its
 * own word for its length may be wrong, and what is wrong in it is then known before the reply begins; then in pieces
 * while they are read. So a reader takes as much memory as of any large file. Throws `too_large` above `bytesMax`,
 * `corrupt` for a gzip that cannot be inflated, and what reading the record throws. Does not close the needle then.
 */
export async function plainSource(needle: Needle, bytesMax: number): Promise<ByteSource> {
  const stored = storedSource(needle)
  // A file that only claims to be gzip is served as it is, as SeaweedFS does.
  if (!needle.gzipped || !(await isGzip(stored))) return stored
  const { whole } = stored
  if (whole !== undefined) {
    const heldMax = Math.min(bytesMax, SMALL_RECORD_BYTES_MAX)
    const plain = inflateAtOnce(whole, heldMax) ?? (await inflateUpTo(whole, heldMax))
    if (plain !== undefined) return memorySource(plain)
  }
  let sizeBytes = 0
  for await (const piece of inflatedStored(stored, bytesMax)) sizeBytes += piece.length
  return streamedSource(stored, sizeBytes)
}

/** `sizeBytes`: what is stored inflates to. */
function streamedSource(stored: ByteSource, sizeBytes: number): ByteSource {
  let readers = 0
  let isClosed = false
  return {
    sizeBytes,
    whole: undefined,
    async *read(start, end) {
      readers++
      try {
        yield* partOf(inflatedStored(stored, sizeBytes), start, end)
      } finally {
        readers--
        if (isClosed && readers === 0) stored.close()
      }
    },
    // A reader that is told to stop still has to hear of it.
    close() {
      isClosed = true
      if (readers === 0) stored.close()
    },
  }
}

function inflatedStored({ whole, sizeBytes, read }: ByteSource, bytesMax: number): AsyncIterable<Buffer> {
  return inflatedPieces(whole === undefined ? read(0, sizeBytes) : [whole], bytesMax)
}

async function isGzip({ whole, sizeBytes, read }: ByteSource): Promise<boolean> {
  if (whole !== undefined) return looksGzipped(whole)
  for await (const piece of read(0, Math.min(3, sizeBytes))) return looksGzipped(piece)
  return false
}

/** The bytes from `start` up to `end` of what comes in pieces; the rest of it is not asked for. */
async function* partOf(
  pieces: AsyncIterable<Buffer>,
  start: number,
  end: number,
): AsyncGenerator<Buffer, void, undefined> {
  if (start >= end) return
  let at = 0
  for await (const piece of pieces) {
    const part = piece.subarray(Math.max(0, start - at), end - at)
    at += piece.length
    if (part.length > 0) yield part
    if (at >= end) return
  }
}
