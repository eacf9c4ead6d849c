/** Which function does what the route table names. An action that is not here is answered with NotImplemented. */

import { abortMultipartUpload } from './actions/abort-multipart-upload.ts'
import { absent, noneOf, removeAbsent } from './actions/absent-configuration.ts'
import {
  getBucketAccelerateConfiguration,
  putBucketAccelerateConfiguration,
} from './actions/bucket-accelerate-configuration.ts'
import { getBucketAcl, putBucketAcl } from './actions/bucket-acl.ts'
import { deleteBucketCors, getBucketCors, putBucketCors } from './actions/bucket-cors.ts'
import {
  deleteBucketEncryption,
  getBucketEncryption,
  putBucketEncryption,
} from './actions/bucket-encryption.ts'
import {
  deleteBucketLifecycle,
  getBucketLifecycleConfiguration,
  putBucketLifecycleConfiguration,
} from './actions/bucket-lifecycle-configuration.ts'
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
import { deleteBucketWebsite, getBucketWebsite, putBucketWebsite } from './actions/bucket-website.ts'
import { completeMultipartUpload } from './actions/complete-multipart-upload.ts'
import { copyObject } from './actions/copy-object.ts'
import { createBucket } from './actions/create-bucket.ts'
import { createMultipartUpload } from './actions/create-multipart-upload.ts'
import { deleteBucket } from './actions/delete-bucket.ts'
import { deleteObject } from './actions/delete-object.ts'
import { deleteObjects } from './actions/delete-objects.ts'
import { getBucketLocation } from './actions/get-bucket-location.ts'
import { getObject } from './actions/get-object.ts'
import { askedNames, getObjectAttributes } from './actions/get-object-attributes.ts'
import { getObjectTorrent } from './actions/get-object-torrent.ts'
import { headBucket } from './actions/head-bucket.ts'
import { headObject } from './actions/head-object.ts'
import { listBuckets } from './actions/list-buckets.ts'
import { listMultipartUploads } from './actions/list-multipart-uploads.ts'
import { listObjectVersions } from './actions/list-object-versions.ts'
import { listObjects } from './actions/list-objects.ts'
import { listObjectsV2 } from './actions/list-objects-v2.ts'
import { listParts } from './actions/list-parts.ts'
import { getObjectAcl, putObjectAcl } from './actions/object-acl.ts'
import { getObjectLegalHold, putObjectLegalHold, readLegalHold } from './actions/object-legal-hold.ts'
import {
  getObjectLockConfiguration,
  putObjectLockConfiguration,
} from './actions/object-lock-configuration.ts'
import { getObjectRetention, putObjectRetention, readRetention } from './actions/object-retention.ts'
import { deleteObjectTagging, getObjectTagging, putObjectTagging } from './actions/object-tagging.ts'
import { postObject } from './actions/post-object.ts'
import {
  deletePublicAccessBlock,
  getPublicAccessBlock,
  putPublicAccessBlock,
} from './actions/public-access-block.ts'
import { putObject } from './actions/put-object.ts'
import { restoreObject } from './actions/restore-object.ts'
import { uploadPart } from './actions/upload-part.ts'
import { uploadPartCopy } from './actions/upload-part-copy.ts'
import type { Action, S3Context } from './s3-context.ts'

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
  ['GetBucketLifecycleConfiguration', getBucketLifecycleConfiguration],
  ['PutBucketLifecycleConfiguration', putBucketLifecycleConfiguration],
  ['DeleteBucketLifecycle', deleteBucketLifecycle],
  ['GetBucketEncryption', getBucketEncryption],
  ['PutBucketEncryption', putBucketEncryption],
  ['DeleteBucketEncryption', deleteBucketEncryption],
  ['GetBucketWebsite', getBucketWebsite],
  ['PutBucketWebsite', putBucketWebsite],
  ['DeleteBucketWebsite', deleteBucketWebsite],
  ['GetBucketReplication', absent('ReplicationConfigurationNotFoundError')],
  ['DeleteBucketReplication', removeAbsent],
  ['GetBucketAnalyticsConfiguration', absent('NoSuchConfiguration')],
  ['ListBucketAnalyticsConfigurations', noneOf('ListBucketAnalyticsConfigurationResult')],
  ['DeleteBucketAnalyticsConfiguration', absent('NoSuchConfiguration')],
  ['GetBucketInventoryConfiguration', absent('NoSuchConfiguration')],
  ['ListBucketInventoryConfigurations', noneOf('ListInventoryConfigurationsResult')],
  ['DeleteBucketInventoryConfiguration', absent('NoSuchConfiguration')],
  ['GetBucketMetricsConfiguration', absent('NoSuchConfiguration')],
  ['ListBucketMetricsConfigurations', noneOf('ListMetricsConfigurationsResult')],
  ['DeleteBucketMetricsConfiguration', absent('NoSuchConfiguration')],
  ['GetBucketIntelligentTieringConfiguration', absent('NoSuchConfiguration')],
  ['ListBucketIntelligentTieringConfigurations', noneOf('ListBucketIntelligentTieringConfigurationsOutput')],
  ['DeleteBucketIntelligentTieringConfiguration', absent('NoSuchConfiguration')],
  ['GetObject', getObject],
  ['HeadObject', headObject],
  ['PutObject', putObject],
  ['PostObject', postObject],
  ['CopyObject', copyObject],
  ['DeleteObject', deleteObject],
  ['DeleteObjects', deleteObjects],
  ['GetObjectAttributes', getObjectAttributes],
  ['GetObjectTagging', getObjectTagging],
  ['PutObjectTagging', putObjectTagging],
  ['DeleteObjectTagging', deleteObjectTagging],
  ['GetObjectAcl', getObjectAcl],
  ['PutObjectAcl', putObjectAcl],
  ['GetObjectRetention', getObjectRetention],
  ['PutObjectRetention', putObjectRetention],
  ['GetObjectLegalHold', getObjectLegalHold],
  ['PutObjectLegalHold', putObjectLegalHold],
  ['RestoreObject', restoreObject],
  ['GetObjectTorrent', getObjectTorrent],
  ['CreateMultipartUpload', createMultipartUpload],
  ['UploadPart', uploadPart],
  ['UploadPartCopy', uploadPartCopy],
  ['CompleteMultipartUpload', completeMultipartUpload],
  ['AbortMultipartUpload', abortMultipartUpload],
  ['ListParts', listParts],
])

/** Of actions on an object: what is wrong with the request itself, which S3 tells before that there is no such object. */
export const CHECKS: ReadonlyMap<string, (context: S3Context) => unknown> = new Map<
  string,
  (context: S3Context) => unknown
>([
  ['GetObjectAttributes', ({ request }) => askedNames(request)],
  ['PutObjectRetention', readRetention],
  ['PutObjectLegalHold', readLegalHold],
])
