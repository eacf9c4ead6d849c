/** What a request says of its body: a digest, nothing, or one of the chunked forms. */

import { CHECKSUM_ALGORITHMS, checksumHeader } from '../digest-headers.ts'
import { S3Error } from '../s3-error.ts'
import type { Headers } from './canonical.ts'
import type { HmacKey } from './hmac.ts'

/** Signs chunks, each after the one before. */
export interface ChunkChain {
  key: HmacKey
  amzDate: string
  scope: string
  /** Signature of the head. */
  seed: string
  accessKey: string
}

export interface ChunkedPayload {
  kind: 'chunked'
  /** Bytes of the object. */
  decodedBytes: number
  /** Undefined: chunks are not signed. */
  chain: ChunkChain | undefined
  /** The form with trailing headers. */
  hasTrailer: boolean
  /** Names that x-amz-trailer announces, lower case. */
  trailerNames: readonly string[]
}

export type Payload = { kind: 'unsigned' } | { kind: 'sha256'; hex: string } | ChunkedPayload

export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD'
const SIGNED_CHUNKS = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'
const SIGNED_CHUNKS_TRAILER = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER'
const UNSIGNED_CHUNKS_TRAILER = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'
const ECDSA = /^STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD(-TRAILER)?$/

export const UNSIGNED: Payload = Object.freeze({ kind: 'unsigned' })

/** Of the value of x-amz-content-sha256; `headers` for what chunked forms need. `chain`: to sign chunks with. */
export function payloadOf(
  value: string | undefined,
  headers: Headers,
  chain: ChunkChain | undefined,
): Payload {
  const isChunked = value?.startsWith('STREAMING-') === true
  if (!isChunked && headers.has('x-amz-trailer')) throw new S3Error('MalformedTrailerError')
  if (value === undefined || value === UNSIGNED_PAYLOAD) return UNSIGNED
  if (/^[0-9a-f]{64}$/i.test(value)) return { kind: 'sha256', hex: value.toLowerCase() }
  if (ECDSA.test(value)) throw new S3Error('NotImplemented')
  const isSigned = value === SIGNED_CHUNKS || value === SIGNED_CHUNKS_TRAILER
  if (!isSigned && value !== UNSIGNED_CHUNKS_TRAILER) throw invalidPayload(value)
  if (isSigned && chain === undefined)
    throw new S3Error(
      'InvalidRequest',
      "Anonymous requests don't support this x-amz-content-sha256 value. Please use UNSIGNED-PAYLOAD or STREAMING-UNSIGNED-PAYLOAD-TRAILER.",
    )
  const hasTrailer = value !== SIGNED_CHUNKS
  if (!hasTrailer && headers.has('x-amz-trailer')) throw new S3Error('MalformedTrailerError')
  return {
    kind: 'chunked',
    decodedBytes: decodedLength(headers),
    chain: isSigned ? chain : undefined,
    hasTrailer,
    trailerNames: trailerNamesOf(headers.get('x-amz-trailer')),
  }
}

/** Whether the value can be one at all. Throws before anything is computed with it. */
export function assertPayloadValue(value: string): void {
  const isKnown =
    value === UNSIGNED_PAYLOAD ||
    value === SIGNED_CHUNKS ||
    value === SIGNED_CHUNKS_TRAILER ||
    value === UNSIGNED_CHUNKS_TRAILER ||
    ECDSA.test(value) ||
    /^[0-9a-f]{64}$/i.test(value)
  if (!isKnown) throw invalidPayload(value)
}

function invalidPayload(value: string): S3Error {
  const known = `${UNSIGNED_PAYLOAD}, ${UNSIGNED_CHUNKS_TRAILER}, ${SIGNED_CHUNKS}, ${SIGNED_CHUNKS_TRAILER}`
  return new S3Error(
    'InvalidArgument',
    `x-amz-content-sha256 must be ${known}, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a valid sha256 value.`,
    { extra: { ArgumentName: 'x-amz-content-sha256', ArgumentValue: value } },
  )
}

function decodedLength(headers: Headers): number {
  const text = headers.get('x-amz-decoded-content-length')
  if (text === undefined || !/^[0-9]{1,15}$/.test(text)) throw new S3Error('MissingContentLength')
  return Number(text)
}

const TRAILERS = new Set(CHECKSUM_ALGORITHMS.map(checksumHeader))

function trailerNamesOf(value: string | undefined): string[] {
  if (value === undefined) return []
  // A comma at the end is tolerated, as AWS does.
  const names = value.toLowerCase().replace(/,*$/, '').split(',')
  const trimmed = names.map((name) => name.trim())
  if (!trimmed.every((name) => TRAILERS.has(name)))
    throw new S3Error('InvalidRequest', 'The value specified in the x-amz-trailer header is not supported')
  if (trimmed.length > 1)
    throw new S3Error(
      'InvalidRequest',
      'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
    )
  return trimmed
}
