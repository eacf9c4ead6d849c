/** Digests that a client sends beside a document, and their comparison with what arrived. */
import { DIGEST_BYTES, digestNameOf } from '../../objects/digests.ts'
import type { ChecksumAlgorithm } from '../../objects/object-store.ts'
import { S3Error } from './s3-error.ts'
import type { S3Request } from './s3-request.ts'

export const CHECKSUM_ALGORITHMS: readonly ChecksumAlgorithm[] = [
  'CRC32',
  'CRC32C',
  'CRC64NVME',
  'SHA1',
  'SHA256',
]

export function checksumHeader(algorithm: ChecksumAlgorithm): string {
  return `x-amz-checksum-${algorithm.toLowerCase()}`
}

/** The bytes of a Content-MD5 header. Throws InvalidDigest. */
export function contentMd5(request: S3Request): Buffer | undefined {
  const text = request.header('content-md5')
  if (text === undefined) return undefined
  const bytes = strictBase64(text, DIGEST_BYTES.md5)
  if (bytes === undefined) throw new S3Error('InvalidDigest', undefined, { extra: { 'Content-MD5': text } })
  return bytes
}

/** The bytes of a checksum as a header has it. Throws InvalidRequest for a value that is none. */
export function checksumBytes(algorithm: ChecksumAlgorithm, value: string): Buffer {
  const bytes = strictBase64(value, DIGEST_BYTES[digestNameOf(algorithm)])
  if (bytes === undefined)
    throw new S3Error('InvalidRequest', `Value for ${checksumHeader(algorithm)} header is invalid.`)
  return bytes
}

export function wrongChecksum(algorithm: ChecksumAlgorithm): S3Error {
  return new S3Error('BadDigest', `The ${algorithm} you specified did not match the calculated checksum.`)
}

/** Throws InvalidRequest where a document must come with a digest and has none. */
export function assertHasDigest(request: S3Request): void {
  const headers = ['content-md5', 'x-amz-trailer', ...CHECKSUM_ALGORITHMS.map(checksumHeader)]
  if (headers.every((name) => request.header(name) === undefined))
    throw new S3Error('InvalidRequest', 'Missing required header for this request: Content-MD5')
}

/** Undefined unless it is base64 of exactly so many bytes. */
export function strictBase64(text: string, lengthBytes: number): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.length === lengthBytes && bytes.toString('base64') === text ? bytes : undefined
}
