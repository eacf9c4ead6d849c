/** Digests that a client sends beside a document, and their comparison with what arrived. */
import { DIGEST_BYTES, digestNameOf, digestsOf } from '../../objects/digests.ts'
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

/** Throws InvalidDigest, BadDigest, or InvalidRequest where one is needed and there is none. */
export function verifyDigests(request: S3Request, bytes: Buffer, { isNeeded }: { isNeeded: boolean }): void {
  const md5 = contentMd5(request)
  let found = md5 !== undefined || request.header('x-amz-trailer') !== undefined
  if (md5 !== undefined && !digestsOf(['md5'], bytes).md5!.equals(md5)) throw new S3Error('BadDigest')
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const value = request.header(checksumHeader(algorithm))
    if (value === undefined) continue
    found = true
    const name = digestNameOf(algorithm)
    if (!digestsOf([name], bytes)[name]!.equals(checksumBytes(algorithm, value)))
      throw wrongChecksum(algorithm)
  }
  if (isNeeded && !found) {
    throw new S3Error('InvalidRequest', 'Missing required header for this request: Content-MD5')
  }
}

/** Undefined unless it is base64 of exactly so many bytes. */
export function strictBase64(text: string, lengthBytes: number): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.length === lengthBytes && bytes.toString('base64') === text ? bytes : undefined
}
