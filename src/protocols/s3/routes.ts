/** Every operation of S3 on general purpose buckets: how it is asked for, and what its caller must be allowed. */
import type { Access, Level, Need, Route } from './route.ts'

const ACL_HEADERS = ['x-amz-acl', 'x-amz-grant-*']
const LOCK_HEADERS = ['x-amz-object-lock-mode', 'x-amz-object-lock-retain-until-date']

/** What the headers of a write ask for beside the write itself. */
const WRITE_NEEDS: readonly Need[] = [
  { action: 's3:PutObject' },
  { action: 's3:PutObjectAcl', headers: ACL_HEADERS },
  { action: 's3:PutObjectTagging', headers: ['x-amz-tagging'] },
  { action: 's3:PutObjectRetention', headers: LOCK_HEADERS },
  { action: 's3:PutObjectLegalHold', headers: ['x-amz-object-lock-legal-hold'] },
]

/** One action for the latest version, another for one that is named. */
function versioned(latest: string, version: string): Need[] {
  return [
    { action: latest, withoutParam: 'versionId' },
    { action: version, param: 'versionId' },
  ]
}

function needs(...actions: (string | Need)[]): Access {
  return { kind: 'needs', needs: actions.map((each) => (typeof each === 'string' ? { action: each } : each)) }
}

type Row = [action: string, method: string, sub: string, access: Access, rest?: Partial<Route>]

function rows(level: Level, list: readonly Row[]): Route[] {
  return list.map(([action, method, sub, access, rest]) => ({ action, level, method, sub, access, ...rest }))
}

const SERVICE = rows('service', [
  ['ListBuckets', 'GET', '', { kind: 'signed', needs: [{ action: 's3:ListAllMyBuckets' }] }],
  ['Preflight', 'OPTIONS', '', { kind: 'preflight' }],
])

/** GET, PUT and DELETE of one document of a bucket. */
function document(
  sub: string,
  name: string,
  actions: { get: string; put?: string; remove?: string },
  rest: Partial<Route> = {},
): Route[] {
  const { get, put, remove } = actions
  const list: Row[] = [[`Get${name}`, 'GET', sub, needs(get)]]
  if (put !== undefined) list.push([`Put${name}`, 'PUT', sub, needs(put), rest])
  if (remove !== undefined) list.push([`Delete${deletedName(name)}`, 'DELETE', sub, needs(remove)])
  return rows('bucket', list)
}

function deletedName(name: string): string {
  return name === 'BucketLifecycleConfiguration' ? 'BucketLifecycle' : name
}

/** Get, Put, Delete and List of documents with an id, which no part of this store has. */
function numbered(sub: string, name: string, action: string): Route[] {
  return rows('bucket', [
    [
      `GetBucket${name}Configuration`,
      'GET',
      sub,
      needs(`s3:Get${action}Configuration`),
      { mark: { param: 'id' } },
    ],
    [`ListBucket${name}Configurations`, 'GET', sub, needs(`s3:Get${action}Configuration`)],
    [`PutBucket${name}Configuration`, 'PUT', sub, needs(`s3:Put${action}Configuration`)],
    [`DeleteBucket${name}Configuration`, 'DELETE', sub, needs(`s3:Put${action}Configuration`)],
  ])
}

const CREATE_NEEDS = needs(
  's3:CreateBucket',
  { action: 's3:PutBucketAcl', headers: ACL_HEADERS },
  { action: 's3:PutBucketObjectLockConfiguration', headers: ['x-amz-bucket-object-lock-enabled'] },
  { action: 's3:PutBucketOwnershipControls', headers: ['x-amz-object-ownership'] },
)

const BUCKET = rows('bucket', [
  ['CreateBucket', 'PUT', '', { ...CREATE_NEEDS, kind: 'signed' } as Access, { withoutBucket: true }],
  ['HeadBucket', 'HEAD', '', needs('s3:ListBucket')],
  ['DeleteBucket', 'DELETE', '', needs('s3:DeleteBucket')],
  ['GetBucketLocation', 'GET', 'location', needs('s3:GetBucketLocation')],
  ['ListObjectsV2', 'GET', '', needs('s3:ListBucket'), { mark: { param: 'list-type', value: '2' } }],
  ['ListObjects', 'GET', '', needs('s3:ListBucket')],
  ['ListObjectVersions', 'GET', 'versions', needs('s3:ListBucketVersions')],
  ['ListMultipartUploads', 'GET', 'uploads', needs('s3:ListBucketMultipartUploads')],
  ['DeleteObjects', 'POST', 'delete', { kind: 'each' }, { needsDigest: true }],
  [
    'PostObject',
    'POST',
    '',
    { kind: 'form' },
    { mark: { header: 'content-type', value: 'multipart/form-data' } },
  ],
  ['Preflight', 'OPTIONS', '', { kind: 'preflight' }],
  ['GetBucketPolicyStatus', 'GET', 'policyStatus', needs('s3:GetBucketPolicyStatus')],
])

const DOCUMENTS: Route[] = [
  ...document('versioning', 'BucketVersioning', {
    get: 's3:GetBucketVersioning',
    put: 's3:PutBucketVersioning',
  }),
  ...document('acl', 'BucketAcl', { get: 's3:GetBucketAcl', put: 's3:PutBucketAcl' }),
  ...document(
    'cors',
    'BucketCors',
    { get: 's3:GetBucketCORS', put: 's3:PutBucketCORS', remove: 's3:PutBucketCORS' },
    { needsDigest: true },
  ),
  ...document(
    'tagging',
    'BucketTagging',
    { get: 's3:GetBucketTagging', put: 's3:PutBucketTagging', remove: 's3:PutBucketTagging' },
    { needsDigest: true },
  ),
  ...document('policy', 'BucketPolicy', {
    get: 's3:GetBucketPolicy',
    put: 's3:PutBucketPolicy',
    remove: 's3:DeleteBucketPolicy',
  }),
  ...document('ownershipControls', 'BucketOwnershipControls', {
    get: 's3:GetBucketOwnershipControls',
    put: 's3:PutBucketOwnershipControls',
    remove: 's3:PutBucketOwnershipControls',
  }),
  ...document('publicAccessBlock', 'PublicAccessBlock', {
    get: 's3:GetBucketPublicAccessBlock',
    put: 's3:PutBucketPublicAccessBlock',
    remove: 's3:PutBucketPublicAccessBlock',
  }),
  ...document(
    'lifecycle',
    'BucketLifecycleConfiguration',
    {
      get: 's3:GetLifecycleConfiguration',
      put: 's3:PutLifecycleConfiguration',
      remove: 's3:PutLifecycleConfiguration',
    },
    { needsDigest: true },
  ),
  ...document('encryption', 'BucketEncryption', {
    get: 's3:GetEncryptionConfiguration',
    put: 's3:PutEncryptionConfiguration',
    remove: 's3:PutEncryptionConfiguration',
  }),
  ...document('website', 'BucketWebsite', {
    get: 's3:GetBucketWebsite',
    put: 's3:PutBucketWebsite',
    remove: 's3:DeleteBucketWebsite',
  }),
  ...document('notification', 'BucketNotificationConfiguration', {
    get: 's3:GetBucketNotification',
    put: 's3:PutBucketNotification',
  }),
  ...document('logging', 'BucketLogging', { get: 's3:GetBucketLogging', put: 's3:PutBucketLogging' }),
  ...document('requestPayment', 'BucketRequestPayment', {
    get: 's3:GetBucketRequestPayment',
    put: 's3:PutBucketRequestPayment',
  }),
  ...document('accelerate', 'BucketAccelerateConfiguration', {
    get: 's3:GetAccelerateConfiguration',
    put: 's3:PutAccelerateConfiguration',
  }),
  ...document(
    'object-lock',
    'ObjectLockConfiguration',
    { get: 's3:GetBucketObjectLockConfiguration', put: 's3:PutBucketObjectLockConfiguration' },
    { needsDigest: true },
  ),
  ...document(
    'replication',
    'BucketReplication',
    {
      get: 's3:GetReplicationConfiguration',
      put: 's3:PutReplicationConfiguration',
      remove: 's3:PutReplicationConfiguration',
    },
    { needsDigest: true },
  ),
  ...numbered('analytics', 'Analytics', 'Analytics'),
  ...numbered('inventory', 'Inventory', 'Inventory'),
  ...numbered('metrics', 'Metrics', 'Metrics'),
  ...numbered('intelligent-tiering', 'IntelligentTiering', 'IntelligentTiering'),
  ...rows('bucket', [
    [
      'CreateBucketMetadataTableConfiguration',
      'POST',
      'metadataTable',
      needs('s3:CreateBucketMetadataTableConfiguration'),
    ],
    [
      'GetBucketMetadataTableConfiguration',
      'GET',
      'metadataTable',
      needs('s3:GetBucketMetadataTableConfiguration'),
    ],
    [
      'DeleteBucketMetadataTableConfiguration',
      'DELETE',
      'metadataTable',
      needs('s3:DeleteBucketMetadataTableConfiguration'),
    ],
    [
      'CreateBucketMetadataConfiguration',
      'POST',
      'metadataConfiguration',
      needs('s3:CreateBucketMetadataTableConfiguration'),
    ],
    [
      'GetBucketMetadataConfiguration',
      'GET',
      'metadataConfiguration',
      needs('s3:GetBucketMetadataTableConfiguration'),
    ],
    [
      'DeleteBucketMetadataConfiguration',
      'DELETE',
      'metadataConfiguration',
      needs('s3:DeleteBucketMetadataTableConfiguration'),
    ],
    ['GetBucketAbac', 'GET', 'abac', needs('s3:GetBucketAbac')],
    ['PutBucketAbac', 'PUT', 'abac', needs('s3:PutBucketAbac')],
    ['CreateSession', 'GET', 'session', needs('s3:CreateSession')],
  ]),
]

const COPY = { mark: { header: 'x-amz-copy-source' } }
const GET_OBJECT = versioned('s3:GetObject', 's3:GetObjectVersion')

/** Reads and changes of objects that are there. */
const OF_OBJECT = rows('object', [
  ['GetObject', 'GET', '', needs(...GET_OBJECT)],
  ['HeadObject', 'HEAD', '', needs(...GET_OBJECT)],
  [
    'GetObjectAttributes',
    'GET',
    'attributes',
    needs(...GET_OBJECT, ...versioned('s3:GetObjectAttributes', 's3:GetObjectVersionAttributes')),
  ],
  [
    'GetObjectTagging',
    'GET',
    'tagging',
    needs(...versioned('s3:GetObjectTagging', 's3:GetObjectVersionTagging')),
  ],
  [
    'PutObjectTagging',
    'PUT',
    'tagging',
    needs(...versioned('s3:PutObjectTagging', 's3:PutObjectVersionTagging')),
  ],
  [
    'DeleteObjectTagging',
    'DELETE',
    'tagging',
    needs(...versioned('s3:DeleteObjectTagging', 's3:DeleteObjectVersionTagging')),
  ],
  ['GetObjectAcl', 'GET', 'acl', needs(...versioned('s3:GetObjectAcl', 's3:GetObjectVersionAcl'))],
  ['PutObjectAcl', 'PUT', 'acl', needs(...versioned('s3:PutObjectAcl', 's3:PutObjectVersionAcl'))],
  ['GetObjectRetention', 'GET', 'retention', needs('s3:GetObjectRetention')],
  [
    'PutObjectRetention',
    'PUT',
    'retention',
    needs('s3:PutObjectRetention', {
      action: 's3:BypassGovernanceRetention',
      headers: ['x-amz-bypass-governance-retention'],
    }),
    { needsDigest: true },
  ],
  ['GetObjectLegalHold', 'GET', 'legal-hold', needs('s3:GetObjectLegalHold')],
  ['PutObjectLegalHold', 'PUT', 'legal-hold', needs('s3:PutObjectLegalHold'), { needsDigest: true }],
  ['RestoreObject', 'POST', 'restore', needs('s3:RestoreObject')],
  ['SelectObjectContent', 'POST', 'select', needs('s3:GetObject')],
  ['GetObjectTorrent', 'GET', 'torrent', needs('s3:GetObjectTorrent')],
]).map((route): Route => ({ ...route, ofObject: true }))

const OBJECT = rows('object', [
  ['CopyObject', 'PUT', '', needs(...WRITE_NEEDS), COPY],
  ['PutObject', 'PUT', '', needs(...WRITE_NEEDS)],
  [
    'DeleteObject',
    'DELETE',
    '',
    needs(...versioned('s3:DeleteObject', 's3:DeleteObjectVersion'), {
      action: 's3:BypassGovernanceRetention',
      headers: ['x-amz-bypass-governance-retention'],
    }),
  ],
  ['CreateMultipartUpload', 'POST', 'uploads', needs(...WRITE_NEEDS)],
  ['UploadPartCopy', 'PUT', 'uploadId', needs('s3:PutObject'), COPY],
  ['UploadPart', 'PUT', 'uploadId', needs('s3:PutObject')],
  ['ListParts', 'GET', 'uploadId', needs('s3:ListMultipartUploadParts')],
  ['CompleteMultipartUpload', 'POST', 'uploadId', needs('s3:PutObject')],
  ['AbortMultipartUpload', 'DELETE', 'uploadId', needs('s3:AbortMultipartUpload')],
  ['RenameObject', 'PUT', 'renameObject', needs('s3:PutObject')],
  ['UpdateObjectEncryption', 'PUT', 'encryption', needs('s3:UpdateObjectEncryption')],
  ['Preflight', 'OPTIONS', '', { kind: 'preflight' }],
])

export const ROUTES: readonly Route[] = [...SERVICE, ...BUCKET, ...DOCUMENTS, ...OF_OBJECT, ...OBJECT]
