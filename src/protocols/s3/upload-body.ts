/**
 * A body, and the check of everything that its client announced about it: Content-MD5, x-amz-content-sha256, a checksum in
 * a header or behind the body. It is made after the last byte and before anything is kept.
 */
import { digestNameOf } from '../../objects/digests.ts'
import type {
  BodyCheck,
  ChecksumAlgorithm,
  DigestName,
  Digests,
  ObjectBody,
} from '../../objects/object-store.ts'
import {
  CHECKSUM_ALGORITHMS,
  checksumBytes,
  checksumHeader,
  contentMd5,
  wrongChecksum,
} from './digest-headers.ts'
import type { OpenedBody } from './gate.ts'
import { S3Error } from './s3-error.ts'
import type { S3Request } from './s3-request.ts'

export interface UploadBody {
  body: ObjectBody
  check: BodyCheck
  /** The checksum that the client announced, in a header or as a trailer. */
  algorithm: ChecksumAlgorithm | undefined
}

/** Throws InvalidDigest, InvalidRequest, MissingContentLength. */
export function openUpload(request: S3Request, body: OpenedBody): UploadBody {
  if (body.sizeBytes === undefined) throw new S3Error('MissingContentLength')
  const md5 = contentMd5(request)
  const sha256 = body.sha256 === undefined ? undefined : Buffer.from(body.sha256, 'hex')
  const announced = announcedChecksum(request)
  const digests: DigestName[] = []
  if (sha256 !== undefined) digests.push('sha256')
  if (announced !== undefined && announced.digest !== 'sha256') digests.push(announced.digest)
  if (announced?.digest === 'sha256' && sha256 === undefined) digests.push('sha256')
  const check = (found: Digests) => {
    if (md5 !== undefined && !found.md5!.equals(md5)) throw new S3Error('BadDigest')
    if (sha256 !== undefined && !found.sha256!.equals(sha256)) {
      throw new S3Error('XAmzContentSHA256Mismatch', undefined, {
        extra: {
          ClientComputedContentSHA256: sha256.toString('hex'),
          S3ComputedContentSHA256: found.sha256!.toString('hex'),
        },
      })
    }
    if (announced === undefined) return undefined
    const { algorithm, digest } = announced
    const value = announced.value ?? body.trailer?.(checksumHeader(algorithm)) ?? ''
    if (!found[digest]!.equals(checksumBytes(algorithm, value))) throw wrongChecksum(algorithm)
    return { checksum: { algorithm, value, type: 'FULL_OBJECT' as const } }
  }
  return { body, check: { digests, verify: check }, algorithm: announced?.algorithm }
}

interface Announced {
  algorithm: ChecksumAlgorithm
  digest: DigestName
  /** Undefined: it comes behind the body. */
  value: string | undefined
}

function announcedChecksum(request: S3Request): Announced | undefined {
  const found: Announced[] = []
  const trailer = request.header('x-amz-trailer')?.toLowerCase() ?? ''
  const trailers = trailer.split(',').map((name) => name.trim())
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const header = checksumHeader(algorithm)
    const value = request.header(header)
    const inTrailer = trailers.includes(header)
    if (value !== undefined) checksumBytes(algorithm, value)
    if (value !== undefined || inTrailer) found.push({ algorithm, digest: digestNameOf(algorithm), value })
  }
  if (found.length > 1) {
    throw new S3Error(
      'InvalidRequest',
      'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
    )
  }
  if (found.length === 0 && request.header('x-amz-sdk-checksum-algorithm') !== undefined) {
    throw new S3Error(
      'InvalidRequest',
      'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.',
    )
  }
  return found[0]
}
