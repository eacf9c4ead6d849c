/** Every operation of S3 on general purpose buckets: how it is asked for, and who may. */
import type { S3Operation } from '../../iam/s3-operations.ts'

export type Level = 'service' | 'bucket' | 'object'

/**
 * Who may call:
 * `allowed`: whoever is allowed what the operation needs; anonymous callers where a policy or an ACL says so.
 * `signed`: the same, and never anonymous.
 * `form`: the credentials are in the form itself; the action verifies them before it does anything.
 * `document`: the same as `allowed`, once the action has read what its document says: conditions of policies ask about that.
 * `each`: the action asks for each of the keys that its body names; nothing is done without.
 * `preflight`: a browser's question, which carries no credentials and tells nothing but the bucket's CORS rules.
 */
export type Access = 'allowed' | 'signed' | 'form' | 'document' | 'each' | 'preflight'

export interface Route {
  /** As the API reference names it. */
  action: string
  level: Level
  method: string
  /** The query key that names the sub-resource; '' is the thing itself. */
  sub: string
  /** What tells it from others with the same method and sub-resource: a parameter, with its value if given, or a header. */
  mark?: { param?: string; value?: string; header?: string }
  access: Access
  /** The operation whose permissions it needs, where that is not the one of the same name. */
  needsOf: S3Operation
  /** The body must come with Content-MD5 or a checksum. */
  needsDigest?: true
  /** The bucket is not looked up: it need not be there. */
  withoutBucket?: true
  /** It is about an object that is there: its owner and ACL decide too, so it is found before the caller is let in. */
  ofObject?: true
}

/** Method and sub-resource of each operation, and what else is special about it. */
type Row = [action: string, method: string, sub: string, rest?: Partial<Route>]

function rows(level: Level, list: readonly Row[], common: Partial<Route> = {}): Route[] {
  return list.map(([action, method, sub, rest]) => ({
    action,
    level,
    method,
    sub,
    access: 'allowed',
    needsOf: action as S3Operation,
    ...common,
    ...rest,
  }))
}

const DIGEST: Partial<Route> = { needsDigest: true }

const SERVICE = rows('service', [['ListBuckets', 'GET', '', { access: 'signed' }]])

const BUCKET = rows('bucket', [
  ['CreateBucket', 'PUT', '', { access: 'signed', withoutBucket: true }],
  ['HeadBucket', 'HEAD', ''],
  ['DeleteBucket', 'DELETE', ''],
  ['GetBucketLocation', 'GET', 'location'],
  ['ListObjectsV2', 'GET', '', { mark: { param: 'list-type', value: '2' } }],
  ['ListObjects', 'GET', ''],
  ['ListObjectVersions', 'GET', 'versions'],
  ['ListMultipartUploads', 'GET', 'uploads'],
  ['DeleteObjects', 'POST', 'delete', { access: 'each', ...DIGEST }],
  [
    'PostObject',
    'POST',
    '',
    { access: 'form', mark: { header: 'content-type', value: 'multipart/form-data' } },
  ],
  ['GetBucketVersioning', 'GET', 'versioning'],
  ['PutBucketVersioning', 'PUT', 'versioning'],
  ['GetBucketAcl', 'GET', 'acl'],
  ['PutBucketAcl', 'PUT', 'acl'],
  ['GetBucketCors', 'GET', 'cors'],
  ['PutBucketCors', 'PUT', 'cors', DIGEST],
  ['DeleteBucketCors', 'DELETE', 'cors'],
  ['GetBucketTagging', 'GET', 'tagging'],
  ['PutBucketTagging', 'PUT', 'tagging', DIGEST],
  ['DeleteBucketTagging', 'DELETE', 'tagging'],
  ['GetBucketPolicy', 'GET', 'policy'],
  ['PutBucketPolicy', 'PUT', 'policy'],
  ['DeleteBucketPolicy', 'DELETE', 'policy'],
  ['GetBucketPolicyStatus', 'GET', 'policyStatus'],
  ['GetBucketOwnershipControls', 'GET', 'ownershipControls'],
  ['PutBucketOwnershipControls', 'PUT', 'ownershipControls'],
  ['DeleteBucketOwnershipControls', 'DELETE', 'ownershipControls'],
  ['GetPublicAccessBlock', 'GET', 'publicAccessBlock'],
  ['PutPublicAccessBlock', 'PUT', 'publicAccessBlock'],
  ['DeletePublicAccessBlock', 'DELETE', 'publicAccessBlock'],
  ['GetBucketLifecycleConfiguration', 'GET', 'lifecycle'],
  ['PutBucketLifecycleConfiguration', 'PUT', 'lifecycle', DIGEST],
  ['DeleteBucketLifecycle', 'DELETE', 'lifecycle'],
  ['GetBucketEncryption', 'GET', 'encryption'],
  ['PutBucketEncryption', 'PUT', 'encryption'],
  ['DeleteBucketEncryption', 'DELETE', 'encryption'],
  ['GetBucketWebsite', 'GET', 'website'],
  ['PutBucketWebsite', 'PUT', 'website'],
  ['DeleteBucketWebsite', 'DELETE', 'website'],
  ['GetBucketNotificationConfiguration', 'GET', 'notification'],
  ['PutBucketNotificationConfiguration', 'PUT', 'notification'],
  ['GetBucketLogging', 'GET', 'logging'],
  ['PutBucketLogging', 'PUT', 'logging'],
  ['GetBucketRequestPayment', 'GET', 'requestPayment'],
  ['PutBucketRequestPayment', 'PUT', 'requestPayment'],
  ['GetBucketAccelerateConfiguration', 'GET', 'accelerate'],
  ['PutBucketAccelerateConfiguration', 'PUT', 'accelerate'],
  ['GetObjectLockConfiguration', 'GET', 'object-lock'],
  ['PutObjectLockConfiguration', 'PUT', 'object-lock', DIGEST],
  ['GetBucketReplication', 'GET', 'replication'],
  ['PutBucketReplication', 'PUT', 'replication', DIGEST],
  ['DeleteBucketReplication', 'DELETE', 'replication'],
])

/** Documents with an id, of which a bucket may have many. */
function numbered(sub: string, name: string): Route[] {
  const [get, put] = [`GetBucket${name}Configuration`, `PutBucket${name}Configuration`] as S3Operation[]
  return rows('bucket', [
    [get!, 'GET', sub, { mark: { param: 'id' } }],
    [`ListBucket${name}Configurations`, 'GET', sub, { needsOf: get! }],
    [put!, 'PUT', sub],
    [`DeleteBucket${name}Configuration`, 'DELETE', sub, { needsOf: put! }],
  ])
}

/** What only other kinds of buckets and other services have; whoever may not change the bucket is refused before that is said. */
const ELSEWHERE = rows(
  'bucket',
  [
    ['CreateBucketMetadataTableConfiguration', 'POST', 'metadataTable'],
    ['GetBucketMetadataTableConfiguration', 'GET', 'metadataTable'],
    ['DeleteBucketMetadataTableConfiguration', 'DELETE', 'metadataTable'],
    ['CreateBucketMetadataConfiguration', 'POST', 'metadataConfiguration'],
    ['GetBucketMetadataConfiguration', 'GET', 'metadataConfiguration'],
    ['DeleteBucketMetadataConfiguration', 'DELETE', 'metadataConfiguration'],
    ['UpdateBucketMetadataInventoryTableConfiguration', 'PUT', 'metadataInventoryTable'],
    ['UpdateBucketMetadataJournalTableConfiguration', 'PUT', 'metadataJournalTable'],
    ['UpdateBucketMetadataAnnotationTableConfiguration', 'PUT', 'metadataAnnotationTable'],
    ['GetBucketAbac', 'GET', 'abac'],
    ['PutBucketAbac', 'PUT', 'abac'],
    ['CreateSession', 'GET', 'session'],
  ],
  { needsOf: 'PutBucketInventoryConfiguration' },
)

const OF_OBJECT = rows(
  'object',
  [
    ['GetObject', 'GET', ''],
    ['HeadObject', 'HEAD', ''],
    ['GetObjectAttributes', 'GET', 'attributes'],
    ['GetObjectTagging', 'GET', 'tagging'],
    ['PutObjectTagging', 'PUT', 'tagging', { access: 'document' }],
    ['DeleteObjectTagging', 'DELETE', 'tagging'],
    ['GetObjectAcl', 'GET', 'acl'],
    ['PutObjectAcl', 'PUT', 'acl'],
    ['GetObjectRetention', 'GET', 'retention'],
    ['PutObjectRetention', 'PUT', 'retention', { access: 'document', ...DIGEST }],
    ['GetObjectLegalHold', 'GET', 'legal-hold'],
    ['PutObjectLegalHold', 'PUT', 'legal-hold', { access: 'document', ...DIGEST }],
    ['RestoreObject', 'POST', 'restore'],
    ['SelectObjectContent', 'POST', 'select'],
    ['GetObjectTorrent', 'GET', 'torrent'],
    ['GetObjectAnnotation', 'GET', 'annotation', { mark: { param: 'annotationName' }, needsOf: 'GetObject' }],
    ['ListObjectAnnotations', 'GET', 'annotation', { needsOf: 'GetObject' }],
    ['PutObjectAnnotation', 'PUT', 'annotation', { needsOf: 'PutObject' }],
    ['DeleteObjectAnnotation', 'DELETE', 'annotation', { needsOf: 'PutObject' }],
    ['UpdateObjectEncryption', 'PUT', 'encryption', { needsOf: 'PutObject' }],
  ],
  { ofObject: true },
)

const COPY: Partial<Route> = { mark: { header: 'x-amz-copy-source' } }

const OBJECT = rows('object', [
  ['CopyObject', 'PUT', '', COPY],
  ['PutObject', 'PUT', ''],
  ['DeleteObject', 'DELETE', ''],
  ['CreateMultipartUpload', 'POST', 'uploads'],
  ['UploadPartCopy', 'PUT', 'uploadId', COPY],
  ['UploadPart', 'PUT', 'uploadId', { mark: { param: 'partNumber' } }],
  ['ListParts', 'GET', 'uploadId'],
  ['CompleteMultipartUpload', 'POST', 'uploadId'],
  ['AbortMultipartUpload', 'DELETE', 'uploadId'],
  ['RenameObject', 'PUT', 'renameObject', { needsOf: 'PutObject' }],
])

export const ROUTES: readonly Route[] = [
  ...SERVICE,
  ...BUCKET,
  ...numbered('analytics', 'Analytics'),
  ...numbered('inventory', 'Inventory'),
  ...numbered('metrics', 'Metrics'),
  ...numbered('intelligent-tiering', 'IntelligentTiering'),
  ...ELSEWHERE,
  ...OF_OBJECT,
  ...OBJECT,
]

/** A page of a bucket's website: visitors are anonymous, and see what everyone may. */
export const WEBSITE: Route = {
  action: 'WebsiteGetObject',
  level: 'object',
  method: 'GET',
  sub: '',
  access: 'allowed',
  needsOf: 'GetObject',
}

/** OPTIONS, whatever it is asked of. */
export const PREFLIGHT: Route = {
  action: 'Preflight',
  level: 'service',
  method: 'OPTIONS',
  sub: '',
  access: 'preflight',
  needsOf: 'GetBucketCors',
}
