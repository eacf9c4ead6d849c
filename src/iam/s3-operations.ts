/**
 * Which actions each operation of S3 needs, and on what: the table that every handler asks before it does anything.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
 */

/** `source` is the object that is copied from. */
export type ActionOn = 'service' | 'newBucket' | 'bucket' | 'object' | 'source'

export interface NeededAction {
  action: string
  on: ActionOn
}

/** What a request asks for beside the operation itself. */
export interface OperationFacts {
  /** A version is named. */
  version?: boolean
  /** An ACL is set by header or field. */
  acl?: boolean
  tagging?: boolean
  retention?: boolean
  legalHold?: boolean
  bypassGovernance?: boolean
  /** Of a write or delete: only where the ETag is, or is not, a given one; the answer tells it. */
  comparesEtag?: boolean
  /** Of a new bucket. */
  objectLock?: boolean
  ownership?: boolean
  /** Of a copy: a version of the source is named; its tags are taken over. */
  sourceVersion?: boolean
  sourceTagging?: boolean
}

const on =
  (where: ActionOn, action: string, versionAction?: string) =>
  ({ version }: OperationFacts): NeededAction[] => [
    { action: `s3:${version && versionAction ? versionAction : action}`, on: where },
  ]

const bucket = (action: string) => on('bucket', action)

/** What is set together with a new object, and asked of the one that it replaces. */
function alongside(facts: OperationFacts): NeededAction[] {
  const { acl, tagging, retention, legalHold } = facts
  const needed: NeededAction[] = []
  if (acl) needed.push({ action: 's3:PutObjectAcl', on: 'object' })
  if (tagging) needed.push({ action: 's3:PutObjectTagging', on: 'object' })
  if (retention) needed.push({ action: 's3:PutObjectRetention', on: 'object' })
  if (legalHold) needed.push({ action: 's3:PutObjectLegalHold', on: 'object' })
  return withReading(needed, facts)
}

function withReading(needed: NeededAction[], { comparesEtag }: OperationFacts): NeededAction[] {
  return comparesEtag ? [...needed, { action: 's3:GetObject', on: 'object' }] : needed
}

const remove = (facts: OperationFacts): NeededAction[] =>
  withReading(withBypass(on('object', 'DeleteObject', 'DeleteObjectVersion')(facts), facts), facts)

const put = (facts: OperationFacts): NeededAction[] => [
  { action: 's3:PutObject', on: 'object' },
  ...alongside(facts),
]

function source({ sourceVersion, sourceTagging }: OperationFacts): NeededAction[] {
  const needed: NeededAction[] = [
    { action: sourceVersion ? 's3:GetObjectVersion' : 's3:GetObject', on: 'source' },
  ]
  if (sourceTagging)
    needed.push({
      action: sourceVersion ? 's3:GetObjectVersionTagging' : 's3:GetObjectTagging',
      on: 'source',
    })
  return needed
}

function withBypass(needed: NeededAction[], { bypassGovernance }: OperationFacts): NeededAction[] {
  return bypassGovernance ? [...needed, { action: 's3:BypassGovernanceRetention', on: 'object' }] : needed
}

function createBucket({ acl, objectLock, ownership }: OperationFacts): NeededAction[] {
  const needed: NeededAction[] = [{ action: 's3:CreateBucket', on: 'newBucket' }]
  if (acl) needed.push({ action: 's3:PutBucketAcl', on: 'newBucket' })
  if (objectLock)
    needed.push(
      { action: 's3:PutBucketObjectLockConfiguration', on: 'newBucket' },
      { action: 's3:PutBucketVersioning', on: 'newBucket' },
    )
  if (ownership) needed.push({ action: 's3:PutBucketOwnershipControls', on: 'newBucket' })
  return needed
}

const OPERATIONS = {
  ListBuckets: on('service', 'ListAllMyBuckets'),
  CreateBucket: createBucket,
  HeadBucket: bucket('ListBucket'),
  DeleteBucket: bucket('DeleteBucket'),
  GetBucketLocation: bucket('GetBucketLocation'),
  ListObjects: bucket('ListBucket'),
  ListObjectsV2: bucket('ListBucket'),
  ListObjectVersions: bucket('ListBucketVersions'),
  ListMultipartUploads: bucket('ListBucketMultipartUploads'),
  GetBucketVersioning: bucket('GetBucketVersioning'),
  PutBucketVersioning: bucket('PutBucketVersioning'),
  GetBucketTagging: bucket('GetBucketTagging'),
  PutBucketTagging: bucket('PutBucketTagging'),
  DeleteBucketTagging: bucket('PutBucketTagging'),
  GetBucketPolicy: bucket('GetBucketPolicy'),
  PutBucketPolicy: bucket('PutBucketPolicy'),
  DeleteBucketPolicy: bucket('DeleteBucketPolicy'),
  GetBucketPolicyStatus: bucket('GetBucketPolicyStatus'),
  GetBucketCors: bucket('GetBucketCORS'),
  PutBucketCors: bucket('PutBucketCORS'),
  DeleteBucketCors: bucket('PutBucketCORS'),
  GetBucketAcl: bucket('GetBucketAcl'),
  PutBucketAcl: bucket('PutBucketAcl'),
  GetBucketLifecycleConfiguration: bucket('GetLifecycleConfiguration'),
  PutBucketLifecycleConfiguration: bucket('PutLifecycleConfiguration'),
  DeleteBucketLifecycle: bucket('PutLifecycleConfiguration'),
  GetBucketEncryption: bucket('GetEncryptionConfiguration'),
  PutBucketEncryption: bucket('PutEncryptionConfiguration'),
  DeleteBucketEncryption: bucket('PutEncryptionConfiguration'),
  GetBucketWebsite: bucket('GetBucketWebsite'),
  PutBucketWebsite: bucket('PutBucketWebsite'),
  DeleteBucketWebsite: bucket('DeleteBucketWebsite'),
  GetBucketLogging: bucket('GetBucketLogging'),
  PutBucketLogging: bucket('PutBucketLogging'),
  GetBucketNotificationConfiguration: bucket('GetBucketNotification'),
  PutBucketNotificationConfiguration: bucket('PutBucketNotification'),
  GetBucketRequestPayment: bucket('GetBucketRequestPayment'),
  PutBucketRequestPayment: bucket('PutBucketRequestPayment'),
  GetBucketAccelerateConfiguration: bucket('GetAccelerateConfiguration'),
  PutBucketAccelerateConfiguration: bucket('PutAccelerateConfiguration'),
  GetBucketReplication: bucket('GetReplicationConfiguration'),
  PutBucketReplication: bucket('PutReplicationConfiguration'),
  DeleteBucketReplication: bucket('PutReplicationConfiguration'),
  GetBucketOwnershipControls: bucket('GetBucketOwnershipControls'),
  PutBucketOwnershipControls: bucket('PutBucketOwnershipControls'),
  DeleteBucketOwnershipControls: bucket('PutBucketOwnershipControls'),
  GetPublicAccessBlock: bucket('GetBucketPublicAccessBlock'),
  PutPublicAccessBlock: bucket('PutBucketPublicAccessBlock'),
  DeletePublicAccessBlock: bucket('PutBucketPublicAccessBlock'),
  GetObjectLockConfiguration: bucket('GetBucketObjectLockConfiguration'),
  PutObjectLockConfiguration: bucket('PutBucketObjectLockConfiguration'),
  GetBucketAnalyticsConfiguration: bucket('GetAnalyticsConfiguration'),
  PutBucketAnalyticsConfiguration: bucket('PutAnalyticsConfiguration'),
  GetBucketInventoryConfiguration: bucket('GetInventoryConfiguration'),
  PutBucketInventoryConfiguration: bucket('PutInventoryConfiguration'),
  GetBucketMetricsConfiguration: bucket('GetMetricsConfiguration'),
  PutBucketMetricsConfiguration: bucket('PutMetricsConfiguration'),
  GetBucketIntelligentTieringConfiguration: bucket('GetIntelligentTieringConfiguration'),
  PutBucketIntelligentTieringConfiguration: bucket('PutIntelligentTieringConfiguration'),
  GetObject: on('object', 'GetObject', 'GetObjectVersion'),
  HeadObject: on('object', 'GetObject', 'GetObjectVersion'),
  GetObjectAttributes: (facts: OperationFacts) => [
    ...on('object', 'GetObject', 'GetObjectVersion')(facts),
    ...on('object', 'GetObjectAttributes', 'GetObjectVersionAttributes')(facts),
  ],
  SelectObjectContent: on('object', 'GetObject'),
  RestoreObject: on('object', 'RestoreObject'),
  PutObject: put,
  PostObject: put,
  CopyObject: (facts: OperationFacts) => [...source(facts), ...put(facts)],
  /** Of each object that it names. */
  DeleteObjects: remove,
  DeleteObject: remove,
  GetObjectAcl: on('object', 'GetObjectAcl', 'GetObjectVersionAcl'),
  PutObjectAcl: on('object', 'PutObjectAcl', 'PutObjectVersionAcl'),
  GetObjectTagging: on('object', 'GetObjectTagging', 'GetObjectVersionTagging'),
  PutObjectTagging: on('object', 'PutObjectTagging', 'PutObjectVersionTagging'),
  DeleteObjectTagging: on('object', 'DeleteObjectTagging', 'DeleteObjectVersionTagging'),
  GetObjectRetention: on('object', 'GetObjectRetention'),
  PutObjectRetention: (facts: OperationFacts) => withBypass(on('object', 'PutObjectRetention')(facts), facts),
  GetObjectLegalHold: on('object', 'GetObjectLegalHold'),
  PutObjectLegalHold: on('object', 'PutObjectLegalHold'),
  GetObjectTorrent: on('object', 'GetObjectTorrent', 'GetObjectVersionTorrent'),
  CreateMultipartUpload: put,
  UploadPart: on('object', 'PutObject'),
  UploadPartCopy: (facts: OperationFacts) => [
    ...source({ ...facts, sourceTagging: false }),
    ...on('object', 'PutObject')(facts),
  ],
  CompleteMultipartUpload: (facts: OperationFacts) => withReading(on('object', 'PutObject')(facts), facts),
  AbortMultipartUpload: on('object', 'AbortMultipartUpload'),
  ListParts: on('object', 'ListMultipartUploadParts'),
} satisfies Record<string, (facts: OperationFacts) => NeededAction[]>

export type S3Operation = keyof typeof OPERATIONS

export const S3_OPERATIONS = Object.keys(OPERATIONS) as readonly S3Operation[]

/** All of them must be allowed. */
export function neededActions(operation: S3Operation, facts: OperationFacts = {}): NeededAction[] {
  return OPERATIONS[operation](facts)
}
