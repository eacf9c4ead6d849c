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
  algorithmNamed,
  algorithmOfHeader,
  checksumBytes,
  checksumHeader,
  contentMd5,
  refuseUnknownChecksum,
  wrongChecksum,
} from './digest-headers.ts'
import type { OpenedBody } from './gate.ts'
import type { HeaderView } from './header-values.ts'
import { S3Error } from './s3-error.ts'

export interface UploadBody {
  body: ObjectBody
  check: BodyCheck
  /** The checksum that the client announced, in a header or as a trailer. */
  algorithm: ChecksumAlgorithm | undefined
}

/** Throws InvalidDigest, InvalidRequest. */
export function openUpload(view: HeaderView, body: OpenedBody): UploadBody {
  const md5 = contentMd5(view)
  const sha256 = body.sha256 === undefined ? undefined : Buffer.from(body.sha256, 'hex')
  const announced = announcedChecksum(view)
  const digests: DigestName[] = []
  if (sha256 !== undefined) digests.push('sha256')
  if (announced !== undefined && !digests.includes(announced.digest)) digests.push(announced.digest)
  const verify = (found: Digests) => {
    if (md5 !== undefined && !found.md5!.equals(md5)) throw wrongMd5(md5, found)
    if (sha256 !== undefined && !found.sha256!.equals(sha256)) throw wrongSha256(sha256, found)
    if (announced === undefined) return undefined
    const { algorithm, digest } = announced
    const value = announced.value ?? body.trailer?.(checksumHeader(algorithm))
    if (value === undefined) throw new S3Error('MalformedTrailerError')
    const kind = announced.value === undefined ? 'trailing header' : 'header'
    if (!found[digest]!.equals(checksumBytes(algorithm, value, kind))) throw wrongChecksum(algorithm)
    return { checksum: { algorithm, value, type: 'FULL_OBJECT' as const } }
  }
  return { body, check: { digests, verify }, algorithm: announced?.algorithm }
}

function wrongMd5(md5: Buffer, found: Digests): S3Error {
  return new S3Error('BadDigest', undefined, {
    extra: { ExpectedDigest: md5.toString('base64'), CalculatedDigest: found.md5!.toString('base64') },
  })
}

function wrongSha256(sha256: Buffer, found: Digests): S3Error {
  return new S3Error('XAmzContentSHA256Mismatch', undefined, {
    extra: {
      ClientComputedContentSHA256: sha256.toString('hex'),
      S3ComputedContentSHA256: found.sha256!.toString('hex'),
    },
  })
}

interface Announced {
  algorithm: ChecksumAlgorithm
  digest: DigestName
  /** Undefined: it comes behind the body. */
  value: string | undefined
}

const SEVERAL = 'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.'

function announcedChecksum(view: HeaderView): Announced | undefined {
  let found: Announced | undefined
  const { rawHeaders } = view
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const algorithm = algorithmOfHeader(rawHeaders[i]!)
    if (algorithm === undefined) {
      refuseUnknownChecksum(rawHeaders[i]!)
      continue
    }
    if (found !== undefined) throw new S3Error('InvalidRequest', SEVERAL)
    found = { algorithm, digest: digestNameOf(algorithm), value: rawHeaders[i + 1]! }
  }
  if (found !== undefined) checksumBytes(found.algorithm, found.value!)
  const trailer = view.header('x-amz-trailer')
  if (trailer !== undefined) {
    const algorithm = algorithmOfHeader(trailer.trim().replace(/,$/, ''))
    if (algorithm === undefined)
      throw new S3Error('InvalidRequest', 'The value specified in the x-amz-trailer header is not supported')
    if (found !== undefined) throw new S3Error('InvalidRequest', SEVERAL)
    found = { algorithm, digest: digestNameOf(algorithm), value: undefined }
  }
  checkSdkAlgorithm(view, found?.algorithm)
  return found
}

/** What SDKs add to say which checksum they send. */
function checkSdkAlgorithm(view: HeaderView, found: ChecksumAlgorithm | undefined): void {
  const text = view.header('x-amz-sdk-checksum-algorithm')
  if (text === undefined || text === '') return
  const algorithm = algorithmNamed(text)
  if (algorithm === undefined || (found !== undefined && found !== algorithm))
    throw new S3Error('InvalidRequest', 'Value for x-amz-sdk-checksum-algorithm header is invalid.')
  if (found === undefined) {
    throw new S3Error(
      'InvalidRequest',
      'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.',
    )
  }
}
