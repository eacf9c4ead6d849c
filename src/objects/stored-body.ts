/** Bytes that are stored already as the body of another object. */
import type { ObjectBody } from './object-store.ts'
import type { ContentReader, StoredContent } from './parts.ts'

export interface StoredRange {
  start: number
  end: number
  customerKey?: Buffer | undefined
}

export function bodyOfRange(
  reader: ContentReader,
  stored: StoredContent,
  { start, end, customerKey }: StoredRange,
): ObjectBody {
  return {
    sizeBytes: end - start,
    async *pieces() {
      const bytes = await reader.read(stored, start, end, customerKey)
      if (Buffer.isBuffer(bytes)) yield bytes
      else yield* bytes.pieces()
    },
  }
}
