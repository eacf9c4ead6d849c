/** GetBucketLogging and PutBucketLogging. No logs are delivered yet, so only "none" is taken. */
import type { Outcome } from '../../../net/reply.ts'
import { emptyOutcome, xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { S3Error } from '../s3-error.ts'

export function getBucketLogging(): Outcome {
  return xmlOutcome('BucketLoggingStatus', '')
}

export async function putBucketLogging(context: S3Context): Promise<Outcome> {
  const root = await context.readXml('BucketLoggingStatus')
  if (root.children.length > 0) throw new S3Error('NotImplemented')
  return emptyOutcome(200)
}
