/** The actions of S3 that policies name, and what each is done to. From the service authorization reference. */

export type ActionTarget = 'service' | 'bucket' | 'object'

const ON_OBJECTS = `AbortMultipartUpload BypassGovernanceRetention DeleteObject DeleteObjectTagging DeleteObjectVersion
  DeleteObjectVersionTagging GetObject GetObjectAcl GetObjectAttributes GetObjectLegalHold GetObjectRetention
  GetObjectTagging GetObjectTorrent GetObjectVersion GetObjectVersionAcl GetObjectVersionAttributes
  GetObjectVersionForReplication GetObjectVersionTagging GetObjectVersionTorrent InitiateReplication
  ListMultipartUploadParts ObjectOwnerOverrideToBucketOwner PutObject PutObjectAcl PutObjectLegalHold
  PutObjectRetention PutObjectTagging PutObjectVersionAcl PutObjectVersionTagging ReplicateDelete ReplicateObject
  ReplicateTags RestoreObject UpdateObjectEncryption`

const ON_BUCKETS = `CreateBucket CreateBucketMetadataTableConfiguration DeleteBucket
  DeleteBucketMetadataTableConfiguration DeleteBucketOwnershipControls DeleteBucketPolicy DeleteBucketWebsite
  GetAccelerateConfiguration GetAnalyticsConfiguration GetBucketAcl GetBucketCORS GetBucketLocation GetBucketLogging
  GetBucketMetadataTableConfiguration GetBucketNotification GetBucketObjectLockConfiguration
  GetBucketOwnershipControls GetBucketPolicy GetBucketPolicyStatus GetBucketPublicAccessBlock GetBucketRequestPayment
  GetBucketTagging GetBucketVersioning GetBucketWebsite GetEncryptionConfiguration GetIntelligentTieringConfiguration
  GetInventoryConfiguration GetLifecycleConfiguration GetMetricsConfiguration GetReplicationConfiguration ListBucket
  ListBucketMultipartUploads ListBucketVersions PutAccelerateConfiguration PutAnalyticsConfiguration PutBucketAcl
  PutBucketCORS PutBucketLogging PutBucketNotification PutBucketObjectLockConfiguration PutBucketOwnershipControls
  PutBucketPolicy PutBucketPublicAccessBlock PutBucketRequestPayment PutBucketTagging PutBucketVersioning
  PutBucketWebsite PutEncryptionConfiguration PutIntelligentTieringConfiguration PutInventoryConfiguration
  PutLifecycleConfiguration PutMetricsConfiguration PutReplicationConfiguration`

const ON_SERVICE = `GetAccountPublicAccessBlock ListAllMyBuckets PutAccountPublicAccessBlock`

function actionsOf(names: string, target: ActionTarget): [string, ActionTarget][] {
  return names.split(/\s+/).map((name) => [`s3:${name}`, target])
}

/** By name as written, with `s3:`. */
export const S3_ACTIONS: ReadonlyMap<string, ActionTarget> = new Map([
  ...actionsOf(ON_OBJECTS, 'object'),
  ...actionsOf(ON_BUCKETS, 'bucket'),
  ...actionsOf(ON_SERVICE, 'service'),
])

/** Condition keys of S3, in lower case; those before a slash stand for all that begin with them. */
export const S3_CONDITION_KEYS: ReadonlySet<string> = new Set(
  `s3:accessgrantsinstancearn s3:accesspointnetworkorigin s3:accesspointtag/ s3:authtype s3:bucketnamespace
  s3:buckettag/ s3:dataaccesspointaccount s3:dataaccesspointarn s3:delimiter s3:destinationregion
  s3:existingobjecttag/ s3:if-match s3:if-none-match s3:inventoryaccessibleoptionalfields
  s3:isreplicationpauserequest s3:locationconstraint s3:max-keys s3:object-lock-legal-hold s3:object-lock-mode
  s3:object-lock-remaining-retention-days s3:object-lock-retain-until-date s3:objectcreationoperation s3:prefix
  s3:requestobjecttag/ s3:requestobjecttagkeys s3:resourceaccount s3:signatureage s3:signatureversion s3:tlsversion
  s3:versionid s3:x-amz-acl s3:x-amz-content-sha256 s3:x-amz-copy-source s3:x-amz-grant-full-control
  s3:x-amz-grant-read s3:x-amz-grant-read-acp s3:x-amz-grant-write s3:x-amz-grant-write-acp
  s3:x-amz-metadata-directive s3:x-amz-object-ownership s3:x-amz-server-side-encryption
  s3:x-amz-server-side-encryption-aws-kms-key-id s3:x-amz-server-side-encryption-customer-algorithm
  s3:x-amz-storage-class s3:x-amz-website-redirect-location`.split(/\s+/),
)

/** The keys of conditions that all services have, in lower case; those with a slash are followed by a name. */
export const GLOBAL_CONDITION_KEYS: ReadonlySet<string> = new Set(
  `aws:assumedroot aws:calledvia aws:calledviafirst aws:calledvialast aws:chatbotsourcearn aws:currenttime
  aws:ec2instancesourceprivateipv4 aws:ec2instancesourcevpc aws:epochtime aws:federatedprovider
  aws:multifactorauthage aws:multifactorauthpresent aws:principalaccount aws:principalarn
  aws:principalisawsservice aws:principalorgid aws:principalorgpaths aws:principalservicename
  aws:principalservicenameslist aws:principaltag/ aws:principaltype aws:referer aws:requestedregion aws:requesttag/
  aws:resourceaccount aws:resourceorgid aws:resourceorgpaths aws:resourcetag/ aws:securetransport
  aws:signinsessionarn aws:sourceaccount aws:sourcearn aws:sourceidentity aws:sourceip aws:sourceorgid
  aws:sourceorgpaths aws:sourcevpc aws:sourcevpcarn aws:sourcevpce aws:tagkeys aws:tokenissuetime aws:useragent
  aws:userid aws:username aws:viaawsservice aws:vpceaccount aws:vpceorgid aws:vpceorgpaths
  aws:vpcsourceip`.split(/\s+/),
)

const LISTS = 's3:ListBucket s3:ListBucketVersions'
const PUTS_ACL = 's3:CreateBucket s3:PutBucketAcl s3:PutObject s3:PutObjectAcl s3:PutObjectVersionAcl'
const PUTS_TAGS = 's3:PutObject s3:PutObjectTagging s3:PutObjectVersionTagging'
const PUTS = 's3:InitiateReplication s3:PutObject s3:ReplicateObject'
const OF_VERSIONS = ON_OBJECTS.split(/\s+/)
  .filter((name) => name.includes('Version'))
  .map((name) => `s3:${name}`)
  .join(' ')

/** Condition keys that speak of what few actions have, and those actions, in lower case. Others go with any action. */
export const ACTIONS_OF_KEYS: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  (
    [
      ['s3:prefix s3:delimiter s3:max-keys', LISTS],
      ['s3:versionid', OF_VERSIONS],
      ['s3:x-amz-acl s3:x-amz-grant-full-control s3:x-amz-grant-read s3:x-amz-grant-read-acp', PUTS_ACL],
      ['s3:x-amz-grant-write s3:x-amz-grant-write-acp', PUTS_ACL],
      ['s3:requestobjecttag/ s3:requestobjecttagkeys', PUTS_TAGS],
      ['s3:x-amz-copy-source s3:x-amz-metadata-directive s3:x-amz-website-redirect-location', PUTS],
      ['s3:x-amz-server-side-encryption s3:x-amz-server-side-encryption-aws-kms-key-id', PUTS],
      ['s3:x-amz-server-side-encryption-customer-algorithm s3:x-amz-storage-class', PUTS],
      ['s3:locationconstraint', 's3:CreateBucket'],
      ['s3:x-amz-object-ownership', 's3:CreateBucket s3:PutBucketOwnershipControls'],
    ] as const
  ).flatMap(([keys, actions]) =>
    keys.split(' ').map((key) => [key, new Set(actions.toLowerCase().split(' '))] as const),
  ),
)

/** Keys whose values are addresses, whatever compares them. */
export const ADDRESS_KEYS: ReadonlySet<string> = new Set(['aws:sourceip', 'aws:vpcsourceip'])
