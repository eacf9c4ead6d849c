/** The page that says which operations work is what the code says. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { compatibilityPage, STUBS, stateOf } from '../../script/s3-compatibility.ts'
import { HANDLERS } from '../../src/protocols/s3/handlers.ts'
import { ROUTES } from '../../src/protocols/s3/routes.ts'

/** Operations of general purpose buckets that AWS's own command line knows; older names of the same are left out. */
const OPERATIONS = `
  AbortMultipartUpload CompleteMultipartUpload CopyObject CreateBucket
  CreateBucketMetadataConfiguration CreateBucketMetadataTableConfiguration CreateMultipartUpload
  CreateSession DeleteBucket DeleteBucketAnalyticsConfiguration DeleteBucketCors
  DeleteBucketEncryption DeleteBucketIntelligentTieringConfiguration
  DeleteBucketInventoryConfiguration DeleteBucketLifecycle DeleteBucketMetadataConfiguration
  DeleteBucketMetadataTableConfiguration DeleteBucketMetricsConfiguration
  DeleteBucketOwnershipControls DeleteBucketPolicy DeleteBucketReplication DeleteBucketTagging
  DeleteBucketWebsite DeleteObject DeleteObjectAnnotation DeleteObjectTagging DeleteObjects
  DeletePublicAccessBlock GetBucketAbac GetBucketAccelerateConfiguration GetBucketAcl
  GetBucketAnalyticsConfiguration GetBucketCors GetBucketEncryption
  GetBucketIntelligentTieringConfiguration GetBucketInventoryConfiguration
  GetBucketLifecycleConfiguration GetBucketLocation GetBucketLogging GetBucketMetadataConfiguration
  GetBucketMetadataTableConfiguration GetBucketMetricsConfiguration GetBucketNotificationConfiguration
  GetBucketOwnershipControls GetBucketPolicy GetBucketPolicyStatus GetBucketReplication
  GetBucketRequestPayment GetBucketTagging GetBucketVersioning GetBucketWebsite GetObject GetObjectAcl
  GetObjectAnnotation GetObjectAttributes GetObjectLegalHold GetObjectLockConfiguration
  GetObjectRetention GetObjectTagging GetObjectTorrent GetPublicAccessBlock HeadBucket HeadObject
  ListBucketAnalyticsConfigurations ListBucketIntelligentTieringConfigurations
  ListBucketInventoryConfigurations ListBucketMetricsConfigurations ListBuckets ListMultipartUploads
  ListObjectAnnotations ListObjectVersions ListObjects ListObjectsV2 ListParts PutBucketAbac
  PutBucketAccelerateConfiguration PutBucketAcl PutBucketAnalyticsConfiguration PutBucketCors
  PutBucketEncryption PutBucketIntelligentTieringConfiguration PutBucketInventoryConfiguration
  PutBucketLifecycleConfiguration PutBucketLogging PutBucketMetricsConfiguration
  PutBucketNotificationConfiguration PutBucketOwnershipControls PutBucketPolicy PutBucketReplication
  PutBucketRequestPayment PutBucketTagging PutBucketVersioning PutBucketWebsite PutObject PutObjectAcl
  PutObjectAnnotation PutObjectLegalHold PutObjectLockConfiguration PutObjectRetention
  PutObjectTagging PutPublicAccessBlock RenameObject RestoreObject SelectObjectContent
  UpdateBucketMetadataAnnotationTableConfiguration UpdateBucketMetadataInventoryTableConfiguration
  UpdateBucketMetadataJournalTableConfiguration UpdateObjectEncryption UploadPart UploadPartCopy
`
  .trim()
  .split(/\s+/)

test('every operation has a row', () => {
  const rows = new Set(ROUTES.map(({ action }) => action))
  assert.deepEqual(
    OPERATIONS.filter((operation) => !rows.has(operation)),
    [],
  )
})

test('docs/s3-compatibility.md is what script/s3-compatibility.ts writes', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/s3-compatibility.md'), 'utf8')
  assert.equal(page, compatibilityPage(), 'run: node script/s3-compatibility.ts')
})

test('whatever works has a test that names it', () => {
  const without = compatibilityPage()
    .split('\n')
    .filter((row) => row.includes('no test of its own'))
  assert.deepEqual(without, [])
  for (const action of Object.keys(STUBS)) assert.ok(HANDLERS.has(action), action)
  assert.equal(stateOf('SelectObjectContent'), '501')
})
