/** GetBucketNotificationConfiguration and PutBucketNotificationConfiguration. Nothing is delivered yet, so only "none" is taken. */
import type { Outcome } from '../../../net/reply.ts'
import { emptyOutcome, xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { S3Error } from '../s3-error.ts'

export function getBucketNotificationConfiguration(): Outcome {
  return xmlOutcome('NotificationConfiguration', '')
}

export async function putBucketNotificationConfiguration(context: S3Context): Promise<Outcome> {
  const root = await context.readXml('NotificationConfiguration')
  if (root.children.length > 0) throw new S3Error('NotImplemented')
  return emptyOutcome(200)
}
