/** What a request says of the object that it makes: headers to attributes, tags, lock, owner and ACL. */
import { OBJECT_KEY_BYTES_MAX, OBJECT_TAGS_MAX, USER_METADATA_BYTES_MAX } from '../../base/limits.ts'
import { formatAcl } from '../../iam/acl.ts'
import type { Bucket, ObjectAttributes, ObjectLock, PutObject, Tag } from '../../objects/object-store.ts'
import { aclOfHeaders, checkAclAllowed } from './acl-document.ts'
import { ownershipOf } from './bucket-rules.ts'
import { newEncryption } from './encryption-headers.ts'
import { fitsHeader, type HeaderView, headerText, parseIsoMs, textBytes } from './header-values.ts'
import type { S3Context } from './s3-context.ts'
import { invalidArgument, S3Error } from './s3-error.ts'
import { parseTagHeader } from './tags.ts'

export interface NewObject {
  attributes: ObjectAttributes
  tags?: Tag[]
  lock?: ObjectLock
  encryption?: NonNullable<PutObject['encryption']>
}

const STORAGE_CLASSES: ReadonlySet<string> = new Set([
  'STANDARD',
  'REDUCED_REDUNDANCY',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER',
  'DEEP_ARCHIVE',
  'GLACIER_IR',
])
const REDIRECT_CHARS_MAX = 2048
const META = 'x-amz-meta-'
const TAG_RULES = { countMax: OBJECT_TAGS_MAX, of: 'Object' } as const

/** All that a new object has beside its bytes. Throws S3Error. */
export function newObject(context: S3Context, view: HeaderView, owner: string | undefined): NewObject {
  const encryption = newEncryption(context, view)
  const attributes = describedBy(view)
  addPlace(attributes, view)
  addOwner(context, view, { attributes, owner })
  const object: NewObject = encryption === undefined ? { attributes } : { attributes, encryption }
  const tagging = view.header('x-amz-tagging')
  if (tagging !== undefined) object.tags = parseTagHeader(tagging, TAG_RULES)
  const lock = lockOfHeaders(context, view)
  if (lock !== undefined) object.lock = lock
  return object
}

/** What describes the content: the headers that readers get back, and the user's metadata. */
export function describedBy(view: HeaderView): ObjectAttributes {
  const attributes: ObjectAttributes = {}
  const text = (name: string) => {
    const value = view.header(name)
    if (value === undefined || value === '') return undefined
    if (!fitsHeader(value)) throw invalidArgument('Header value cannot be represented', name, value)
    return headerText(value)
  }
  const contentType = text('content-type')
  if (contentType !== undefined) attributes.contentType = contentType
  const cacheControl = text('cache-control')
  if (cacheControl !== undefined) attributes.cacheControl = cacheControl
  const contentDisposition = text('content-disposition')
  if (contentDisposition !== undefined) attributes.contentDisposition = contentDisposition
  const contentEncoding = withoutFraming(text('content-encoding'))
  if (contentEncoding !== undefined) attributes.contentEncoding = contentEncoding
  const contentLanguage = text('content-language')
  if (contentLanguage !== undefined) attributes.contentLanguage = contentLanguage
  const expires = text('expires')
  if (expires !== undefined) attributes.expires = expires
  const userMetadata = userMetadataOf(view)
  if (userMetadata.length > 0) attributes.userMetadata = userMetadata
  return attributes
}

/** Chunk framing is how the bytes came, not how they are. */
function withoutFraming(encoding: string | undefined): string | undefined {
  if (encoding === undefined || !/aws-chunked/i.test(encoding)) return encoding
  const rest = encoding
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '' && each.toLowerCase() !== 'aws-chunked')
  return rest.length === 0 ? undefined : rest.join(',')
}

function userMetadataOf({ rawHeaders }: HeaderView): [string, string][] {
  const found: [string, string][] = []
  let sizeBytes = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const given = rawHeaders[i]!
    if (given.length <= META.length || given.slice(0, META.length).toLowerCase() !== META) continue
    const name = given.slice(META.length).toLowerCase()
    const value = headerText(rawHeaders[i + 1]!)
    const before = found.find(([each]) => each === name)
    if (before === undefined) found.push([name, value])
    else before[1] += `,${value}`
    sizeBytes += (before === undefined ? name.length : 1) + textBytes(value)
  }
  if (sizeBytes > USER_METADATA_BYTES_MAX) {
    throw new S3Error('MetadataTooLarge', undefined, {
      extra: { Size: String(sizeBytes), MaxSizeAllowed: String(USER_METADATA_BYTES_MAX) },
    })
  }
  return found
}

/** Storage class and redirect: what copies do not take over from their source. */
export function addPlace(attributes: ObjectAttributes, view: HeaderView): void {
  const storageClass = view.header('x-amz-storage-class')
  if (storageClass !== undefined) {
    if (!STORAGE_CLASSES.has(storageClass))
      throw new S3Error('InvalidStorageClass', undefined, { extra: { StorageClassRequested: storageClass } })
    if (storageClass !== 'STANDARD') attributes.storageClass = storageClass
  }
  const redirect = view.header('x-amz-website-redirect-location')
  if (redirect === undefined) return
  if (!/^(\/|https?:\/\/)/.test(redirect) || !fitsHeader(redirect))
    throw new S3Error('InvalidRedirectLocation')
  if (redirect.length > REDIRECT_CHARS_MAX)
    throw new S3Error(
      'InvalidRedirectLocation',
      'The length of website redirect location cannot exceed 2,048 characters.',
    )
  attributes.websiteRedirect = headerText(redirect)
}

/** Whose it is, and its ACL. Absent: the bucket owner's, and nobody else's. */
export function addOwner(
  context: S3Context,
  view: HeaderView,
  { attributes, owner }: { attributes: ObjectAttributes; owner: string | undefined },
): void {
  const { bucket, identities } = context
  const isBucketsAlone = ownershipOf(bucket) === 'BucketOwnerEnforced'
  const isHandedOver =
    ownershipOf(bucket) === 'BucketOwnerPreferred' && view.header('x-amz-acl') === 'bucket-owner-full-control'
  const ownerId = owner === undefined || isBucketsAlone || isHandedOver ? bucket.owner : owner
  if (ownerId !== bucket.owner) attributes.owner = ownerId
  const owners = {
    owner: identities.ownerOf(ownerId).canonicalId,
    bucketOwner: identities.ownerOf(bucket.owner).canonicalId,
  }
  const acl = aclOfHeaders(view, owners, identities)
  if (acl === undefined) return
  checkAclAllowed(bucket, acl, view)
  if (!isBucketsAlone && view.header('x-amz-acl') !== 'private') attributes.acl = formatAcl(acl)
}

// Object lock

/** Undefined: no header of it. Throws InvalidArgument, InvalidRequest. */
export function lockOfHeaders(context: S3Context, view: HeaderView): ObjectLock | undefined {
  const mode = view.header('x-amz-object-lock-mode')
  const until = view.header('x-amz-object-lock-retain-until-date')
  const hold = view.header('x-amz-object-lock-legal-hold')
  if (mode === undefined && until === undefined && hold === undefined) return undefined
  const lock: ObjectLock = {}
  if (mode !== undefined || until !== undefined) {
    if (mode === undefined || until === undefined) {
      const [name, missing] = mode === undefined ? [UNTIL, MODE] : [MODE, UNTIL]
      throw invalidArgument(`${UNTIL} and ${MODE} must both be supplied`, missing, view.header(name) ?? '')
    }
    if (mode !== 'GOVERNANCE' && mode !== 'COMPLIANCE')
      throw invalidArgument('Unknown wormMode directive.', MODE, mode)
    lock.mode = mode
    lock.untilMs = retainUntil(until, context.services.clock.nowMs())
  }
  if (hold !== undefined) {
    if (hold !== 'ON' && hold !== 'OFF')
      throw invalidArgument(
        "Legal Hold must be either of 'ON' or 'OFF'",
        'x-amz-object-lock-legal-hold',
        hold,
      )
    lock.legalHold = hold === 'ON'
  }
  // As S3 words it here, and otherwise in `assertLockable`.
  if (!context.bucket.objectLock)
    throw new S3Error('InvalidRequest', 'Bucket is missing ObjectLockConfiguration')
  return lock
}

const MODE = 'x-amz-object-lock-mode'
const UNTIL = 'x-amz-object-lock-retain-until-date'

/** When a retention ends. */
export function retainUntil(text: string, nowMs: number): number {
  const untilMs = parseIsoMs(text)
  if (untilMs === undefined)
    throw invalidArgument('The retain until date must be provided in ISO 8601 format', UNTIL, text)
  if (untilMs <= nowMs) throw invalidArgument('The retain until date must be in the future!', UNTIL, text)
  return untilMs
}

export function assertLockable(bucket: Bucket): void {
  if (!bucket.objectLock) throw new S3Error('InvalidRequest', 'Bucket is missing Object Lock Configuration')
}

/** Throws KeyTooLongError for a key that no object can have, InvalidArgument where a version is named. */
export function assertWritable({ key, request }: S3Context): void {
  if (request.params.length > 0 && request.param('versionId') !== undefined) {
    const versionId = request.param('versionId')!
    throw invalidArgument('This operation does not accept a version-id.', 'versionId', versionId)
  }
  assertKeyLength(key)
}

/** Throws KeyTooLongError. */
export function assertKeyLength(key: string): void {
  if (key.length * 3 <= OBJECT_KEY_BYTES_MAX) return
  const sizeBytes = Buffer.byteLength(key)
  if (sizeBytes <= OBJECT_KEY_BYTES_MAX) return
  throw new S3Error('KeyTooLongError', undefined, {
    extra: { Size: String(sizeBytes), MaxSizeAllowed: String(OBJECT_KEY_BYTES_MAX) },
  })
}
