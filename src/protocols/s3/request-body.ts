/**
 * Bytes of a request as they arrive on the wire, from whichever way the request came. Nobody reads them before the
 * caller is known and allowed: only then is a waiting client told to go on (100-continue).
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ByteSink } from '../../base/byte-sink.ts'
import { StoreError } from '../../base/errors.ts'
import type { LentPiece } from '../../base/piece-buffers.ts'
import { announcedLength, arrivingPieces } from '../../net/body.ts'
import type { LongBody } from '../../net/long-body.ts'
import { rawHeader } from '../../net/reply.ts'

export interface RequestBody {
  /** What Content-Length says; undefined: it comes in chunks. */
  readonly wireBytes: number | undefined
  /** All of it, where it is here already. */
  readonly whole: Buffer | undefined
  /** Asked for once; who has done with a piece may give it back. Throws `incomplete_body` when the client breaks off. */
  pieces(): AsyncIterable<LentPiece>
  /** In place of `pieces`, where it saves a copy. */
  pour?: ((sink: ByteSink) => Promise<void>) | undefined
}

/** A body that is here. */
export function wholeBody(bytes: Buffer): RequestBody {
  return {
    wireBytes: bytes.length,
    whole: bytes,
    async *pieces() {
      if (bytes.length > 0) yield bytes
    },
  }
}

/** A body that never came whole: whoever asks for it learns that. */
export function cutOffBody(rawHeaders: readonly string[]): RequestBody {
  return {
    wireBytes: Number(rawHeader(rawHeaders, 'content-length') ?? 0),
    whole: undefined,
    // biome-ignore lint/correctness/useYield: there is nothing to give.
    async *pieces(): AsyncGenerator<Buffer> {
      throw new StoreError('incomplete_body', 'the body was cut off')
    },
  }
}

/** A long body that is still on its way, or one that waits to be asked for. */
export function longBody(body: LongBody): RequestBody {
  return {
    wireBytes: body.sizeBytes,
    whole: body.sizeBytes === 0 ? Buffer.alloc(0) : undefined,
    pieces: () => body.pieces(),
    pour: (sink) => body.pour(sink),
  }
}

/** One that comes the ordinary way. */
export function arrivingBody(request: IncomingMessage, response: ServerResponse): RequestBody {
  const wireBytes = announcedLength(request)
  return {
    wireBytes,
    whole: wireBytes === 0 ? Buffer.alloc(0) : undefined,
    async *pieces() {
      let received = 0
      yield* arrivingPieces(request, response, (lengthBytes) => {
        received += lengthBytes
      })
      if (wireBytes !== undefined && received < wireBytes)
        throw new StoreError('incomplete_body', 'the body was cut off')
    },
  }
}
