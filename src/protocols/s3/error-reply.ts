/** Whatever was thrown, as the error document that S3 clients read. */
import { type ErrorCode, StoreError, toStoreError } from '../../base/errors.ts'
import type { Outcome } from '../../net/reply.ts'
import { S3Error, type S3ErrorCode } from './s3-error.ts'
import { tag, XML_DECLARATION, XML_HEADERS } from './xml-writer.ts'

/** What S3 calls the store's own errors. Actions that know better throw the S3Error themselves. */
const CODES = {
  bad_request: 'InvalidRequest',
  unauthorized: 'AccessDenied',
  forbidden: 'AccessDenied',
  not_found: 'NoSuchKey',
  cookie_mismatch: 'InternalError',
  volume_not_found: 'InternalError',
  volume_exists: 'InternalError',
  collection_not_found: 'InternalError',
  read_only: 'ServiceUnavailable',
  volume_full: 'ServiceUnavailable',
  no_writable_volume: 'InsufficientStorage',
  disk_full: 'InsufficientStorage',
  index_full: 'InsufficientStorage',
  too_large: 'EntityTooLarge',
  too_many_requests: 'SlowDown',
  bucket_not_found: 'NoSuchBucket',
  bucket_exists: 'BucketAlreadyExists',
  bucket_not_empty: 'BucketNotEmpty',
  version_not_found: 'NoSuchVersion',
  upload_not_found: 'NoSuchUpload',
  invalid_part: 'InvalidPart',
  invalid_part_order: 'InvalidPartOrder',
  part_too_small: 'EntityTooSmall',
  precondition_failed: 'PreconditionFailed',
  method_not_allowed: 'MethodNotAllowed',
  object_locked: 'AccessDenied',
  key_required: 'InvalidRequest',
  key_not_needed: 'InvalidRequest',
  wrong_key: 'AccessDenied',
  quota_exceeded: 'QuotaExceeded',
  key_too_long: 'KeyTooLongError',
  digest_mismatch: 'BadDigest',
  incomplete_body: 'IncompleteBody',
  directory_exists: 'InvalidRequest',
  directory_not_empty: 'InvalidRequest',
  corrupt: 'InternalError',
  io_error: 'InternalError',
  not_synced: 'ServiceUnavailable',
  in_use: 'InternalError',
  unsupported: 'NotImplemented',
  conflict: 'OperationAborted',
  unavailable: 'ServiceUnavailable',
  timeout: 'ServiceUnavailable',
  internal: 'InternalError',
} as const satisfies Record<ErrorCode, S3ErrorCode>

/** Codes whose own message tells the client more than the one of S3's table, and nothing that it should not know. */
const SPEAKING: ReadonlySet<ErrorCode> = new Set(['bad_request', 'quota_exceeded'])

/** What S3 says where that is more than the text of its table. */
const MESSAGES: Partial<Record<ErrorCode, string>> = {
  object_locked: 'Access Denied because object protected by object lock.',
  key_required:
    'The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.',
  key_not_needed: 'The encryption parameters are not applicable to this object.',
  wrong_key:
    'Requests specifying Server Side Encryption with Customer provided keys must provide the correct secret key.',
}

/** Everything thrown as an S3Error. Bugs and faults become InternalError and keep their cause. */
export function toS3Error(thrown: unknown): S3Error {
  if (thrown instanceof S3Error) return thrown
  const error = thrown instanceof StoreError ? thrown : toStoreError(thrown)
  const code = CODES[error.code]
  const message = MESSAGES[error.code] ?? (SPEAKING.has(error.code) ? error.message : undefined)
  const headers = code === 'SlowDown' || code === 'ServiceUnavailable' ? ['Retry-After', '1'] : []
  return new S3Error(code, message, { cause: error, headers })
}

export interface ErrorPlace {
  /** Path, with the bucket. */
  resource: string
  bucket: string
  key: string
  isHead: boolean
  requestId: string
  hostId: string
}

/** Elements that S3 gives with some codes, where the throw did not. */
function usualExtra(code: S3ErrorCode, place: ErrorPlace): [string, string][] {
  switch (code) {
    case 'NoSuchKey':
      return [['Key', place.key]]
    case 'NoSuchBucket':
    case 'BucketNotEmpty':
    case 'BucketAlreadyExists':
    case 'BucketAlreadyOwnedByYou':
    case 'InvalidBucketName':
    case 'NoSuchBucketPolicy':
    case 'NoSuchCORSConfiguration':
    case 'NoSuchLifecycleConfiguration':
    case 'NoSuchTagSet':
    case 'NoSuchWebsiteConfiguration':
    case 'NoSuchPublicAccessBlockConfiguration':
    case 'OwnershipControlsNotFoundError':
    case 'ServerSideEncryptionConfigurationNotFoundError':
    case 'ObjectLockConfigurationNotFoundError':
    case 'ReplicationConfigurationNotFoundError':
      return [['BucketName', place.bucket]]
    default:
      return []
  }
}

/** The error document; a HEAD has no body to carry it. */
export function errorOutcome(error: S3Error, place: ErrorPlace): Outcome {
  const headers = [...XML_HEADERS, ...error.headers]
  if (place.isHead || error.status === 304) return { status: error.status, headers, body: undefined }
  return { status: error.status, headers, body: Buffer.from(errorDocument(error, place)) }
}

/** The text of it. */
export function errorDocument(error: S3Error, place: ErrorPlace): string {
  const extra = error.extra === undefined ? usualExtra(error.code, place) : Object.entries(error.extra)
  // S3 leaves quotation marks in messages as they are, and clients look for texts with them.
  const message = tag('Message', error.message).replaceAll('&quot;', '"')
  let xml = `${XML_DECLARATION}<Error>${tag('Code', error.code)}${message}`
  for (const [name, value] of extra) xml += tag(name, value)
  xml += tag('Resource', place.resource) + tag('RequestId', place.requestId) + tag('HostId', place.hostId)
  return `${xml}</Error>`
}
