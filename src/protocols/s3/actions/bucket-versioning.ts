/** GetBucketVersioning and PutBucketVersioning. */
import type { Outcome } from '../../../net/reply.ts'
import { emptyOutcome, xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { S3Error } from '../s3-error.ts'
import { tag } from '../xml-writer.ts'

export function getBucketVersioning({ bucket }: S3Context): Outcome {
  const { versioning } = bucket
  const status = versioning === 'enabled' ? 'Enabled' : 'Suspended'
  return xmlOutcome('VersioningConfiguration', versioning === 'off' ? '' : tag('Status', status))
}

export async function putBucketVersioning(context: S3Context): Promise<Outcome> {
  const { bucket, objects } = context
  const root = await context.readXml('VersioningConfiguration')
  const status = root.maybeWord('Status', ['Enabled', 'Suspended'])
  const mfaDelete = root.maybeWord('MfaDelete', ['Enabled', 'Disabled'])
  root.done()
  if (status === undefined) throw new S3Error('IllegalVersioningConfigurationException')
  if (mfaDelete === 'Enabled') throw new S3Error('NotImplemented')
  if (status === 'Suspended' && bucket.objectLock) {
    throw new S3Error(
      'InvalidBucketState',
      'An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.',
    )
  }
  await objects.changeBucket(bucket, { versioning: status === 'Enabled' ? 'enabled' : 'suspended' })
  return emptyOutcome(200)
}
