/** The bytes of an object in pieces, however the store gives them. */
import type { ByteSource } from '../../../net/byte-source.ts'
import type { FoundObject } from '../../../objects/object-store.ts'

/** Bytes `start` to `end` (exclusive). */
export async function* readPieces(found: FoundObject, start: number, end: number): AsyncGenerator<Buffer> {
  if (start >= end) return
  const bytes = await found.read(start, end)
  if (Buffer.isBuffer(bytes)) yield bytes
  else yield* bytes.pieces()
}

/** An object as the source of a reply. */
export function sourceOf(found: FoundObject): ByteSource {
  return {
    sizeBytes: found.info.sizeBytes,
    whole: undefined,
    read: (start, end) => readPieces(found, start, end),
    close() {},
  }
}
