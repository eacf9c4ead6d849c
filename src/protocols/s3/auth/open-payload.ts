/** The bytes of a request as its signature means them: unframed, and compared with the digest that it announced. */
import crypto from 'node:crypto'
import type { OpenedBody } from '../gate.ts'
import type { RequestBody } from '../request-body.ts'
import { S3Error } from '../s3-error.ts'
import { ChunkDecoder, decodeArriving, decodeChunked, type Trailers } from '../streaming-body.ts'
import type { Payload } from './payload.ts'

const NO_TRAILERS: Trailers = new Map()

/** Small bodies that are here are verified now; of others `sha256` tells what they must have. Throws S3Error. */
export function openPayload(body: RequestBody, payload: Payload): OpenedBody {
  switch (payload.kind) {
    case 'unsigned':
      return asItIs(body)
    case 'sha256': {
      const { whole } = body
      if (whole !== undefined) assertDigest(payload.hex, crypto.hash('sha256', whole, 'hex'))
      const plain = asItIs(body)
      // Long bodies are hashed where they are stored, beside their other digests, maybe by another thread.
      return whole === undefined ? { ...plain, sha256: payload.hex } : plain
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

function asItIs(body: RequestBody): OpenedBody {
  const plain = opened(body.wireBytes, body.whole, () => body.pieces())
  plain.pour = body.pour
  return plain
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

function assertDigest(announced: string, computed: string): void {
  if (announced === computed) return
  throw new S3Error('XAmzContentSHA256Mismatch', undefined, {
    extra: { ClientComputedContentSHA256: announced, S3ComputedContentSHA256: computed },
  })
}
