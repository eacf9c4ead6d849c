/** CompleteMultipartUpload: the parts that the document lists, in its order, become the object. */
import { StoreError } from '../../../base/errors.ts'
import { LIST_KEYS_MAX, MULTIPART_PARTS_MAX, PART_BYTES_MIN } from '../../../base/limits.ts'
import type { Outcome } from '../../../net/reply.ts'
import type {
  Checksum,
  ChecksumAlgorithm,
  CompleteUpload,
  PartInfo,
  UploadInfo,
  UploadRef,
} from '../../../objects/object-store.ts'
import {
  algorithmOfHeader,
  CHECKSUM_ALGORITHMS,
  checksumBytes,
  checksumTypeOf,
  checksumXml,
  isChecksumText,
  wrongChecksum,
} from '../digest-headers.ts'
import { customerKeyOf, encryptionHeaders } from '../encryption-headers.ts'
import { bareEtag } from '../header-values.ts'
import { withCondition, writeConditions } from '../object-conditions.ts'
import { locationOf } from '../object-location.ts'
import type { S3Context } from '../s3-context.ts'
import { invalidArgument, S3Error } from '../s3-error.ts'
import type { S3Request } from '../s3-request.ts'
import { parseXml, type XmlNode } from '../xml-reader.ts'
import { tag, XML_HEADERS, xmlDocument } from '../xml-writer.ts'
import { uploadOf } from './upload-part.ts'

/** 10,000 parts, each with its ETag and a checksum. */
const DOCUMENT_BYTES_MAX = 4 * 1024 * 1024

type Part = CompleteUpload['parts'][number]

export async function completeMultipartUpload(context: S3Context): Promise<Outcome> {
  const { request, bucket, key, objects } = context
  const at = uploadOf(context)
  // The parts are encrypted already: a key that comes along is only looked at.
  customerKeyOf(context, { isRead: false })
  // Digests in the headers are those of the object, not of this document.
  const parts = parseParts(await context.readDocument(DOCUMENT_BYTES_MAX))
  const conditions = writeConditions(request)
  const upload = await uploadInfo(context, at)
  const checksum = wholeChecksum(request, upload)
  if (upload !== undefined) assertPartChecksums(upload, parts)
  const asked = { ...at, parts, conditions, checksum, sizeBytes: wholeSize(request) }
  const result = await objects.completeUpload(asked).catch(async (error) => {
    throw await explained(context, asked, error)
  })
  const headers = [...XML_HEADERS]
  if (result.encryption === 'SSE-S3') headers.push(...encryptionHeaders(result.encryption, request))
  if (result.isVersioned) headers.push('x-amz-version-id', result.versionId)
  const xml =
    tag('Location', locationOf(request, bucket.name, key)) +
    tag('Bucket', bucket.name) +
    tag('Key', key) +
    tag('ETag', `"${result.etag}"`) +
    checksumXml(result.checksum)
  return { status: 200, headers, body: xmlDocument('CompleteMultipartUploadResult', xml) }
}

// The document

function parseParts(bytes: Buffer): Part[] {
  if (bytes.length === 0) throw new S3Error('MalformedXML')
  const root = parseXml(bytes, 'CompleteMultipartUpload')
  const nodes = root.all('Part')
  root.done()
  if (nodes.length === 0 || nodes.length > MULTIPART_PARTS_MAX) throw root.malformed()
  const parts = nodes.map(parsePart)
  let before = 0
  for (const { number } of parts) {
    if (number <= before) throw new S3Error('InvalidPartOrder')
    before = number
  }
  return parts
}

function parsePart(node: XmlNode): Part {
  const text = node.string('PartNumber').trim()
  const etag = bareEtag(node.string('ETag'))
  if (!/^-?[0-9]{1,9}$/.test(text)) throw node.malformed()
  const number = Number(text)
  if (number < 1 || number > MULTIPART_PARTS_MAX) {
    const message = number < 1 ? 'PartNumber must be >= 1' : `PartNumber must be <= ${MULTIPART_PARTS_MAX}`
    throw invalidArgument(message, 'PartNumber', String(number))
  }
  const checksum = partChecksum(node)
  // What some clients copy from a list of parts.
  for (const name of ['Size', 'LastModified', 'ChecksumType']) node.maybe(name)
  node.done()
  return checksum === undefined ? { number, etag } : { number, etag, checksum }
}

function partChecksum(node: XmlNode): Part['checksum'] {
  const given = CHECKSUM_ALGORITHMS.flatMap((algorithm) => {
    const value = node.maybeString(`Checksum${algorithm}`)
    return value === undefined || value === '' ? [] : [{ algorithm, value }]
  })
  const [checksum] = given
  if (checksum === undefined) return undefined
  if (given.length === 1 && isChecksumText(checksum.algorithm, checksum.value)) return checksum
  const message = 'Invalid Base64 or multiple checksums present in request'
  const list = given.map(({ algorithm, value }) => `${algorithm}:${value};`).join('')
  throw invalidArgument(message, 'Checksum', given.length === 1 ? checksum.value : list)
}

// What is said of the whole

/** Undefined: it is completed already, or was never begun. */
async function uploadInfo({ objects }: S3Context, at: UploadRef): Promise<UploadInfo | undefined> {
  try {
    return (await objects.listParts(at, { after: 0, limit: 0 })).upload
  } catch (error) {
    if (error instanceof StoreError && error.code === 'upload_not_found') return undefined
    throw error
  }
}

function wholeChecksum(request: S3Request, upload: UploadInfo | undefined): Checksum | undefined {
  const given = checksumTypeOf(request)
  const { rawHeaders } = request
  const places = [...rawHeaders.keys()].filter(
    (at) => at % 2 === 0 && algorithmOfHeader(rawHeaders[at]!) !== undefined,
  )
  const [place] = places
  if (places.length > 1)
    throw new S3Error(
      'InvalidRequest',
      'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
    )
  const begun = upload?.checksum
  if (given !== undefined && begun !== undefined && given !== begun.type) {
    throw new S3Error(
      'InvalidRequest',
      `The upload was created using the ${begun.type} checksum mode. The complete request must use the same checksum mode.`,
    )
  }
  if (place === undefined) return undefined
  const [algorithm, value] = [algorithmOfHeader(rawHeaders[place]!)!, rawHeaders[place + 1]!]
  checksumBytes(algorithm, value.replace(/-[0-9]{1,5}$/, ''))
  if (begun !== undefined && begun.algorithm !== algorithm) {
    throw new S3Error(
      'InvalidRequest',
      `Checksum Type mismatch occurred, expected checksum Type: ${begun.algorithm.toLowerCase()}, actual checksum Type: ${algorithm.toLowerCase()}`,
    )
  }
  const type = begun?.type ?? (given === 'COMPOSITE' || value.includes('-') ? 'COMPOSITE' : 'FULL_OBJECT')
  return { algorithm, value, type }
}

function wrongPart(number: number, algorithm: ChecksumAlgorithm): S3Error {
  const message = `The ${algorithm.toLowerCase()} you specified for part ${number} did not match what we received.`
  return new S3Error('BadDigest', message)
}

/** The parts of a composite checksum are listed with theirs. */
function assertPartChecksums({ checksum }: UploadInfo, parts: readonly Part[]): void {
  if (checksum === undefined) return
  const name = checksum.algorithm.toLowerCase()
  for (const part of parts) {
    if (part.checksum === undefined && checksum.type === 'FULL_OBJECT') continue
    if (part.checksum?.algorithm === checksum.algorithm) continue
    if (part.checksum !== undefined) throw wrongPart(part.number, part.checksum.algorithm)
    throw new S3Error(
      'InvalidRequest',
      `The upload was created using a ${name} checksum. The complete request must include the checksum for each part. It was missing for part ${part.number} in the request.`,
    )
  }
}

function wholeSize(request: S3Request): number | undefined {
  const text = request.header('x-amz-mp-object-size')
  if (text === undefined) return undefined
  if (/^-[0-9]{1,15}$/.test(text))
    throw new S3Error('InvalidRequest', `Value for x-amz-mp-object-size header is less than zero: '${text}'`)
  if (!/^[0-9]{1,15}$/.test(text))
    throw new S3Error('InvalidRequest', 'Value for x-amz-mp-object-size header is invalid.')
  return Number(text)
}

// Errors

/** Says which part is wrong, where one is. */
async function explained(context: S3Context, asked: CompleteUpload, error: unknown): Promise<unknown> {
  if (!(error instanceof StoreError)) return error
  if (error.code === 'precondition_failed') return withCondition(error, asked.conditions)
  if (error.code === 'digest_mismatch' && asked.checksum !== undefined)
    return wrongChecksum(asked.checksum.algorithm)
  if (error.code !== 'invalid_part' && error.code !== 'part_too_small') return error
  const stored = new Map((await allParts(context, asked)).map((part) => [part.number, part]))
  for (const [at, { number, etag }] of asked.parts.entries()) {
    const part = stored.get(number)
    if (error.code === 'invalid_part' && part?.etag !== etag) {
      const extra = { UploadId: asked.uploadId, PartNumber: String(number), ETag: etag }
      return new S3Error('InvalidPart', undefined, { extra, cause: error })
    }
    const isShort = part !== undefined && part.sizeBytes < PART_BYTES_MIN && at < asked.parts.length - 1
    if (error.code === 'part_too_small' && isShort) {
      const extra = {
        ProposedSize: String(part.sizeBytes),
        MinSizeAllowed: String(PART_BYTES_MIN),
        PartNumber: String(number),
        ETag: etag,
      }
      return new S3Error('EntityTooSmall', undefined, { extra, cause: error })
    }
  }
  return error
}

async function allParts({ objects }: S3Context, at: UploadRef): Promise<PartInfo[]> {
  const parts: PartInfo[] = []
  for (let after: number | undefined = 0; after !== undefined; ) {
    const page = await objects.listParts(at, { after, limit: LIST_KEYS_MAX })
    parts.push(...page.parts)
    after = page.next
  }
  return parts
}
