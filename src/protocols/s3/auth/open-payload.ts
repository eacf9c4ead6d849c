/** The bytes of a request as its signature means them: unframed, and compared with the digest that it announced. */
import crypto, { createHash } from 'node:crypto'
import type { OpenedBody } from '../gate.ts'
import type { RequestBody } from '../request-body.ts'
import { S3Error } from '../s3-error.ts'
import { ChunkDecoder, decodeArriving, decodeChunked, type Trailers } from '../streaming-body.ts'
import type { Payload } from './payload.ts'

const NO_TRAILERS: Trailers = new Map()

/** Small bodies that are here are verified now; others when their last piece is asked for. Throws S3Error. */
export function openPayload(body: RequestBody, payload: Payload): OpenedBody {
  switch (payload.kind) {
    case 'unsigned':
      return opened(body.wireBytes, body.whole, () => body.pieces())
    case 'sha256': {
      const { whole } = body
      if (whole !== undefined) assertDigest(payload.hex, crypto.hash('sha256', whole, 'hex'))
      return opened(body.wireBytes, whole, () => hashed(body.pieces(), payload.hex))
    }
    case 'chunked': {
      if (body.whole !== undefined) {
        const { data, trailers } = decodeChunked(body.whole, payload)
        return opened(data.length, data, () => one(data), trailers)
      }
      const decoder = new ChunkDecoder(payload)
      return opened(
        payload.decodedBytes,
        undefined,
        () => decodeArriving(body.pieces(), decoder),
        decoder.trailers,
      )
    }
  }
}

function opened(
  sizeBytes: number | undefined,
  whole: Buffer | undefined,
  pieces: () => AsyncIterable<Buffer>,
  trailers: Trailers = NO_TRAILERS,
): OpenedBody {
  const trailer = (name: string) => trailers.get(name)
  return whole === undefined ? { sizeBytes, pieces, trailer } : { sizeBytes, whole, pieces, trailer }
}

async function* one(data: Buffer): AsyncGenerator<Buffer> {
  if (data.length > 0) yield data
}

async function* hashed(pieces: AsyncIterable<Buffer>, hex: string): AsyncGenerator<Buffer> {
  const hash = createHash('sha256')
  for await (const piece of pieces) {
    hash.update(piece)
    yield piece
  }
  assertDigest(hex, hash.digest('hex'))
}

function assertDigest(announced: string, computed: string): void {
  if (announced === computed) return
  throw new S3Error('XAmzContentSHA256Mismatch', undefined, {
    extra: { ClientComputedContentSHA256: announced, S3ComputedContentSHA256: computed },
  })
}
