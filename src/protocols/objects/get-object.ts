/** GET and HEAD of an object: whole, or one range of it. */
import { type ByteRange, contentRange, parseRanges } from '../../net/ranges.ts'
import { errorOutcome, type Outcome } from '../../net/reply.ts'
import { contentTypeOf, SNIFFED_BYTES } from './content-type.ts'
import { asLost } from './errors.ts'
import type { Stored } from './stored-objects.ts'

/** `range`: the header. Throws `not_found` where the bytes cannot be read, as far as that shows before the reply begins. */
export async function readObject(
  stored: Stored,
  { method, range: header }: { method: string; range: string | undefined },
): Promise<Outcome> {
  const { sizeBytes } = stored
  const ranges = method === 'HEAD' ? undefined : parseRanges(header, sizeBytes)
  if (ranges === 'invalid') {
    const outcome = errorOutcome(416, 'the object has no such range')
    outcome.headers.push('Content-Range', `bytes */${sizeBytes}`)
    return outcome
  }
  // Of several ranges the whole object is the answer, too.
  const [range] = ranges?.length === 1 ? ranges : []
  const outcome: Outcome =
    range === undefined
      ? { status: 200, headers: [], body: undefined }
      : { status: 206, headers: ['Content-Range', contentRange(range, sizeBytes)], body: undefined }
  try {
    if (method === 'HEAD') return await headOf(stored, outcome)
    return await withBody(stored, range ?? { start: 0, end: sizeBytes }, outcome)
  } catch (error) {
    throw asLost(error)
  }
}

async function headOf(stored: Stored, outcome: Outcome): Promise<Outcome> {
  const { sizeBytes } = stored
  const end = Math.min(sizeBytes, SNIFFED_BYTES)
  for await (const piece of piecesOf(stored, { start: 0, end })) {
    outcome.headers.push('Content-Type', contentTypeOf(piece))
    break
  }
  return { ...outcome, sizeBytes }
}

async function withBody(stored: Stored, range: ByteRange, outcome: Outcome): Promise<Outcome> {
  // The seed of this door sends no type with no bytes.
  if (range.start === range.end) return outcome
  const bytes = await stored.read(range.start, range.end)
  if (Buffer.isBuffer(bytes)) {
    outcome.headers.push('Content-Type', contentTypeOf(bytes))
    return { ...outcome, body: bytes }
  }
  const pieces = bytes.pieces()[Symbol.asyncIterator]()
  const first = await pieces.next()
  if (!first.done) outcome.headers.push('Content-Type', contentTypeOf(first.value))
  const body = {
    sizeBytes: bytes.sizeBytes,
    async *pieces() {
      for (let next = first; !next.done; next = await pieces.next()) yield next.value
    },
    close() {
      // A source that waits, as one on another server does, is told to stop.
      void pieces.return?.().catch(() => {})
    },
  }
  return { ...outcome, body }
}

async function* piecesOf(stored: Stored, { start, end }: ByteRange): AsyncGenerator<Buffer> {
  if (start === end) return
  const bytes = await stored.read(start, end)
  if (Buffer.isBuffer(bytes)) yield bytes
  else yield* bytes.pieces()
}
