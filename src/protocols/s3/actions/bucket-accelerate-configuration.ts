/** GetBucketAccelerateConfiguration and PutBucketAccelerateConfiguration: kept and given back; there is no faster way in. */
import type { Outcome } from '../../../net/reply.ts'
import { emptyOutcome, setConfig, xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { S3Error } from '../s3-error.ts'
import { optionalTag } from '../xml-writer.ts'

export function getBucketAccelerateConfiguration({ bucket }: S3Context): Outcome {
  return xmlOutcome('AccelerateConfiguration', optionalTag('Status', bucket.configs.get('accelerate')))
}

export async function putBucketAccelerateConfiguration(context: S3Context): Promise<Outcome> {
  const root = await context.readXml('AccelerateConfiguration')
  const status = root.word('Status', ['Enabled', 'Suspended'])
  root.done()
  if (context.bucket.name.includes('.')) {
    const message = 'S3 Transfer Acceleration is not supported for buckets with periods (.) in their names'
    throw new S3Error('InvalidRequest', message)
  }
  await setConfig(context, 'accelerate', status)
  return emptyOutcome(200)
}
