/** Digests that a client sends beside a document, and their comparison with what arrived. */
import { DIGEST_BYTES, digestNameOf } from '../../objects/digests.ts'
import type { Checksum, ChecksumAlgorithm } from '../../objects/object-store.ts'
import { S3Error } from './s3-error.ts'
import type { S3Request } from './s3-request.ts'
import { tag } from './xml-writer.ts'

export const CHECKSUM_ALGORITHMS: readonly ChecksumAlgorithm[] = [
  'CRC32',
  'CRC32C',
  'CRC64NVME',
  'MD5',
  'SHA1',
  'SHA256',
  'SHA512',
  'XXHASH128',
  'XXHASH3',
  'XXHASH64',
]

export function checksumHeader(algorithm: ChecksumAlgorithm): string {
  return `x-amz-checksum-${algorithm.toLowerCase()}`
}

/** By its name in any case; undefined for one that there is not. */
export function algorithmNamed(text: string): ChecksumAlgorithm | undefined {
  const name = text.toUpperCase()
  return CHECKSUM_ALGORITHMS.find((each) => each === name)
}

const CHECKSUM_HEADER =
  /^x-amz-checksum-(crc32|crc32c|crc64nvme|md5|sha1|sha256|sha512|xxhash128|xxhash3|xxhash64)$/i
const CHECKSUM_HEADER_CHARS_MIN = 18

/** The checksum that a header of that name, in any case, carries. */
export function algorithmOfHeader(name: string): ChecksumAlgorithm | undefined {
  if (name.length < CHECKSUM_HEADER_CHARS_MIN) return undefined
  return CHECKSUM_HEADER.exec(name)?.[1]?.toUpperCase() as ChecksumAlgorithm | undefined
}

/** Throws InvalidRequest for a header that means to be the checksum of a body, but of a kind that there is not. */
export function refuseUnknownChecksum(name: string): void {
  if (!name.toLowerCase().startsWith('x-amz-checksum-') || ABOUT_CHECKSUMS.test(name)) return
  throw new S3Error(
    'InvalidRequest',
    'The algorithm type you specified in x-amz-checksum- header is invalid.',
  )
}

/** What `x-amz-checksum-type` says, if it is there. Throws InvalidRequest. */
export function checksumTypeOf(request: Pick<S3Request, 'header'>): Checksum['type'] | undefined {
  const type = request.header('x-amz-checksum-type')?.toUpperCase()
  if (type === undefined || type === 'FULL_OBJECT' || type === 'COMPOSITE') return type
  throw new S3Error('InvalidRequest', 'Value for x-amz-checksum-type header is invalid.')
}

const ABOUT_CHECKSUMS = /-(?:algorithm|mode|type)$/i

/** Adds the headers that tell a checksum. */
export function addChecksum(headers: string[], checksum: Checksum | undefined): void {
  if (checksum === undefined) return
  headers.push(checksumHeader(checksum.algorithm), checksum.value, 'x-amz-checksum-type', checksum.type)
}

/** Elements of a document that tell it. */
export function checksumXml(checksum: Checksum | undefined): string {
  if (checksum === undefined) return ''
  return tag(`Checksum${checksum.algorithm}`, checksum.value) + tag('ChecksumType', checksum.type)
}

/** The bytes of a Content-MD5 header. Throws InvalidDigest. */
export function contentMd5(request: Pick<S3Request, 'header'>): Buffer | undefined {
  const text = request.header('content-md5')
  if (text === undefined) return undefined
  const bytes = strictBase64(text, DIGEST_BYTES.md5)
  if (bytes === undefined) throw new S3Error('InvalidDigest', undefined, { extra: { 'Content-MD5': text } })
  return bytes
}

export function isChecksumText(algorithm: ChecksumAlgorithm, text: string): boolean {
  return strictBase64(text, DIGEST_BYTES[digestNameOf(algorithm)]) !== undefined
}

/** The bytes of a checksum as a header has it. Throws InvalidRequest for a value that is none. */
export function checksumBytes(algorithm: ChecksumAlgorithm, value: string, kind = 'header'): Buffer {
  const bytes = strictBase64(value, DIGEST_BYTES[digestNameOf(algorithm)])
  if (bytes === undefined)
    throw new S3Error('InvalidRequest', `Value for ${checksumHeader(algorithm)} ${kind} is invalid.`)
  return bytes
}

export function wrongChecksum(algorithm: ChecksumAlgorithm): S3Error {
  return new S3Error('BadDigest', `The ${algorithm} you specified did not match the calculated checksum.`)
}

const DIGEST_HEADERS = ['content-md5', 'x-amz-trailer', ...CHECKSUM_ALGORITHMS.map(checksumHeader)]

export function hasDigest(request: S3Request): boolean {
  return DIGEST_HEADERS.some((name) => request.header(name) !== undefined)
}

/** Throws InvalidRequest where a document must come with a digest and has none. */
export function assertHasDigest(request: S3Request): void {
  if (!hasDigest(request))
    throw new S3Error('InvalidRequest', 'Missing required header for this request: Content-MD5')
}

/** Undefined unless it is base64 of exactly so many bytes. */
export function strictBase64(text: string, lengthBytes: number): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.length === lengthBytes && bytes.toString('base64') === text ? bytes : undefined
}
