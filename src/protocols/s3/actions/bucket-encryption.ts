/** GetBucketEncryption, PutBucketEncryption and DeleteBucketEncryption. */
import type { Outcome } from '../../../net/reply.ts'
import { bucketEncryption } from '../../../objects/bucket-encryption.ts'
import { parseEncryption, renderEncryption } from '../encryption-document.ts'
import { emptyOutcome, setConfig, xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { S3Error } from '../s3-error.ts'

const ROOT = 'ServerSideEncryptionConfiguration'

export function getBucketEncryption({ bucket }: S3Context): Outcome {
  const encryption = bucketEncryption(bucket)
  if (encryption === undefined) throw new S3Error('ServerSideEncryptionConfigurationNotFoundError')
  return xmlOutcome(ROOT, renderEncryption(encryption))
}

export async function putBucketEncryption(context: S3Context): Promise<Outcome> {
  const root = await context.readXml(ROOT)
  const encryption = parseEncryption(root, bucketEncryption(context.bucket))
  if (context.bucket.configs.has('dedupe') && encryption.algorithm !== undefined)
    throw new S3Error(
      'InvalidBucketState',
      'The bucket keeps equal bytes once: each object has a key of its own.',
    )
  await setConfig(context, 'encryption', JSON.stringify(encryption))
  return emptyOutcome(200)
}

export async function deleteBucketEncryption(context: S3Context): Promise<Outcome> {
  await setConfig(context, 'encryption', null)
  return emptyOutcome(204)
}
