/** CopyObject: a new object with the bytes of another one. */
import { StoreError } from '../../../base/errors.ts'
import { OBJECT_TAGS_MAX, PART_BYTES_MAX } from '../../../base/limits.ts'
import type { Outcome } from '../../../net/reply.ts'
import type { CopyRequest, ObjectAttributes, Tag } from '../../../objects/object-store.ts'
import { type CopySource, findCopySource, sourceVersionHeaders } from '../copy-source.ts'
import { algorithmNamed, CHECKSUM_ALGORITHMS, checksumXml } from '../digest-headers.ts'
import { encryptionHeaders, newEncryption } from '../encryption-headers.ts'
import { sourceConditions, withCondition, writeConditions } from '../object-conditions.ts'
import { addOwner, addPlace, assertWritable, describedBy, lockOfHeaders } from '../object-headers.ts'
import type { S3Context } from '../s3-context.ts'
import { invalidArgument, S3Error } from '../s3-error.ts'
import type { S3Request } from '../s3-request.ts'
import { parseTagHeader } from '../tags.ts'
import { isoTime, tag, XML_HEADERS, xmlDocument } from '../xml-writer.ts'

const ONTO_ITSELF =
  "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes."

export async function copyObject(context: S3Context): Promise<Outcome> {
  const { request, bucket, key, objects } = context
  assertWritable(context)
  const encryption = newEncryption(context, request)
  const replacesMetadata = directive(request, 'metadata') === 'REPLACE'
  const replacesTags = directive(request, 'tagging') === 'REPLACE'
  // Looked at even where it does not count: too much of it is an error all the same.
  const described = describedBy(request)
  const checksumAlgorithm = wantedChecksum(request)
  const source = await findCopySource(context)
  assertCopySize(source.info.sizeBytes)
  if (!replacesTags && source.info.tags.length > 0) demandTags(context, source)
  const copy: CopyRequest = {
    source: { ...source, conditions: sourceConditions(request) },
    ...{ bucket, key, checksumAlgorithm },
    ...(encryption && { encryption }),
    attributes: replacesMetadata ? described : undefined,
    change: placeOf(context),
    tags: replacesTags ? headerTags(request) : undefined,
    lock: lockOfHeaders(context, request),
    conditions: writeConditions(request),
  }
  if (isOntoItself(copy) && !replacesMetadata && encryption === undefined && !changesPlace(copy, source))
    throw new S3Error('InvalidRequest', ONTO_ITSELF)
  const result = await objects.copy(copy).catch((error) => {
    throw copyError(error, copy)
  })
  const headers = [...XML_HEADERS, ...sourceVersionHeaders(source)]
  if (result.isVersioned) headers.push('x-amz-version-id', result.versionId)
  headers.push(...encryptionHeaders(result.encryption, request))
  const xml = tag('LastModified', isoTime(result.modifiedMs)) + tag('ETag', `"${result.etag}"`)
  const body = xmlDocument('CopyObjectResult', xml + checksumXml(result.checksum))
  return { status: 200, headers, body }
}

function directive(request: S3Request, of: 'metadata' | 'tagging'): 'COPY' | 'REPLACE' {
  const header = `x-amz-${of}-directive`
  const text = request.header(header)
  if (text === undefined || text === '') return 'COPY'
  if (text !== 'COPY' && text !== 'REPLACE') throw invalidArgument(`Unknown ${of} directive.`, header, text)
  return text
}

function wantedChecksum(request: S3Request) {
  const text = request.header('x-amz-checksum-algorithm')
  if (text === undefined || text === '') return undefined
  const algorithm = algorithmNamed(text)
  if (algorithm === undefined) throw unsupportedChecksum()
  return algorithm
}

export function unsupportedChecksum(): S3Error {
  return new S3Error(
    'InvalidRequest',
    `Checksum algorithm provided is unsupported. Please try again with any of the valid types: [${CHECKSUM_ALGORITHMS.join(', ')}]`,
  )
}

export function assertCopySize(sizeBytes: number): void {
  if (sizeBytes <= PART_BYTES_MAX) return
  throw new S3Error(
    'InvalidRequest',
    `The specified copy source is larger than the maximum allowable size for a copy source: ${PART_BYTES_MAX}`,
  )
}

/** Tags go along only for those who may read and write them. */
function demandTags(context: S3Context, { bucket, key, versionId, info }: CopySource): void {
  const version = versionId === undefined ? '' : 'Version'
  context.demand(`s3:GetObject${version}Tagging`, { bucket, key, object: info })
  context.demand('s3:PutObjectTagging', { bucket: context.bucket, key: context.key })
}

function headerTags(request: S3Request): Tag[] {
  const text = request.header('x-amz-tagging')
  return text === undefined ? [] : parseTagHeader(text, { countMax: OBJECT_TAGS_MAX, of: 'Object' })
}

/** What a copy never takes over: owner, ACL, storage class and redirect are those of the request, or none. */
function placeOf(context: S3Context): Partial<ObjectAttributes> {
  const { request, account } = context
  const change: Partial<ObjectAttributes> = {
    owner: undefined,
    acl: undefined,
    storageClass: undefined,
    websiteRedirect: undefined,
    posix: undefined,
    extended: undefined,
  }
  addPlace(change, request)
  // Said again, it counts as a change of an object that is copied onto itself.
  change.storageClass ??= request.header('x-amz-storage-class')
  addOwner(context, request, { attributes: change, owner: account?.id })
  return change
}

function isOntoItself({ source, bucket, key }: CopyRequest): boolean {
  return source.bucket.id === bucket.id && source.key === key && source.versionId === undefined
}

function changesPlace({ change }: CopyRequest, { info }: CopySource): boolean {
  const { storageClass = 'STANDARD', websiteRedirect } = info.attributes
  const isOtherClass = change!.storageClass !== undefined && change!.storageClass !== storageClass
  return isOtherClass || (change!.websiteRedirect ?? websiteRedirect) !== websiteRedirect
}

function copyError(error: unknown, copy: CopyRequest): unknown {
  if (error instanceof StoreError && error.code === 'conflict' && isOntoItself(copy))
    return new S3Error('InvalidRequest', ONTO_ITSELF)
  const isOfSource = copy.source.conditions !== undefined && copy.conditions === undefined
  return isOfSource ? withCondition(error, copy.source.conditions) : withCondition(error, copy.conditions)
}
