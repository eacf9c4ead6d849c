/** Which function does what the route table names. An action that is not here is answered with NotImplemented. */
import { absent, removeAbsent } from './actions/absent-configuration.ts'
import {
  getBucketAccelerateConfiguration,
  putBucketAccelerateConfiguration,
} from './actions/bucket-accelerate-configuration.ts'
import { getBucketAcl, putBucketAcl } from './actions/bucket-acl.ts'
import { deleteBucketCors, getBucketCors, putBucketCors } from './actions/bucket-cors.ts'
import { getBucketLogging, putBucketLogging } from './actions/bucket-logging.ts'
import {
  getBucketNotificationConfiguration,
  putBucketNotificationConfiguration,
} from './actions/bucket-notification-configuration.ts'
import {
  deleteBucketOwnershipControls,
  getBucketOwnershipControls,
  putBucketOwnershipControls,
} from './actions/bucket-ownership-controls.ts'
import {
  deleteBucketPolicy,
  getBucketPolicy,
  getBucketPolicyStatus,
  putBucketPolicy,
} from './actions/bucket-policy.ts'
import { getBucketRequestPayment, putBucketRequestPayment } from './actions/bucket-request-payment.ts'
import { deleteBucketTagging, getBucketTagging, putBucketTagging } from './actions/bucket-tagging.ts'
import { getBucketVersioning, putBucketVersioning } from './actions/bucket-versioning.ts'
import { createBucket } from './actions/create-bucket.ts'
import { deleteBucket } from './actions/delete-bucket.ts'
import { getBucketLocation } from './actions/get-bucket-location.ts'
import { headBucket } from './actions/head-bucket.ts'
import { listBuckets } from './actions/list-buckets.ts'
import { listMultipartUploads } from './actions/list-multipart-uploads.ts'
import { listObjectVersions } from './actions/list-object-versions.ts'
import { listObjects } from './actions/list-objects.ts'
import { listObjectsV2 } from './actions/list-objects-v2.ts'
import {
  getObjectLockConfiguration,
  putObjectLockConfiguration,
} from './actions/object-lock-configuration.ts'
import {
  deletePublicAccessBlock,
  getPublicAccessBlock,
  putPublicAccessBlock,
} from './actions/public-access-block.ts'
import type { Action } from './s3-context.ts'

export const HANDLERS: ReadonlyMap<string, Action> = new Map<string, Action>([
  ['ListBuckets', listBuckets],
  ['CreateBucket', createBucket],
  ['HeadBucket', headBucket],
  ['DeleteBucket', deleteBucket],
  ['GetBucketLocation', getBucketLocation],
  ['ListObjects', listObjects],
  ['ListObjectsV2', listObjectsV2],
  ['ListObjectVersions', listObjectVersions],
  ['ListMultipartUploads', listMultipartUploads],
  ['GetBucketVersioning', getBucketVersioning],
  ['PutBucketVersioning', putBucketVersioning],
  ['GetBucketAcl', getBucketAcl],
  ['PutBucketAcl', putBucketAcl],
  ['GetBucketCors', getBucketCors],
  ['PutBucketCors', putBucketCors],
  ['DeleteBucketCors', deleteBucketCors],
  ['GetBucketTagging', getBucketTagging],
  ['PutBucketTagging', putBucketTagging],
  ['DeleteBucketTagging', deleteBucketTagging],
  ['GetBucketPolicy', getBucketPolicy],
  ['PutBucketPolicy', putBucketPolicy],
  ['DeleteBucketPolicy', deleteBucketPolicy],
  ['GetBucketPolicyStatus', getBucketPolicyStatus],
  ['GetBucketOwnershipControls', getBucketOwnershipControls],
  ['PutBucketOwnershipControls', putBucketOwnershipControls],
  ['DeleteBucketOwnershipControls', deleteBucketOwnershipControls],
  ['GetPublicAccessBlock', getPublicAccessBlock],
  ['PutPublicAccessBlock', putPublicAccessBlock],
  ['DeletePublicAccessBlock', deletePublicAccessBlock],
  ['GetObjectLockConfiguration', getObjectLockConfiguration],
  ['PutObjectLockConfiguration', putObjectLockConfiguration],
  ['GetBucketRequestPayment', getBucketRequestPayment],
  ['PutBucketRequestPayment', putBucketRequestPayment],
  ['GetBucketAccelerateConfiguration', getBucketAccelerateConfiguration],
  ['PutBucketAccelerateConfiguration', putBucketAccelerateConfiguration],
  ['GetBucketNotificationConfiguration', getBucketNotificationConfiguration],
  ['PutBucketNotificationConfiguration', putBucketNotificationConfiguration],
  ['GetBucketLogging', getBucketLogging],
  ['PutBucketLogging', putBucketLogging],
  ['GetBucketLifecycleConfiguration', absent('NoSuchLifecycleConfiguration')],
  ['DeleteBucketLifecycle', removeAbsent],
  ['GetBucketEncryption', absent('ServerSideEncryptionConfigurationNotFoundError')],
  ['DeleteBucketEncryption', removeAbsent],
  ['GetBucketWebsite', absent('NoSuchWebsiteConfiguration')],
  ['DeleteBucketWebsite', removeAbsent],
  ['GetBucketReplication', absent('ReplicationConfigurationNotFoundError')],
  ['DeleteBucketReplication', removeAbsent],
])
