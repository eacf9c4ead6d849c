/** GetBucketLogging and PutBucketLogging. Logs go to a bucket of the same owner. */
import type { Outcome } from '../../../net/reply.ts'
import { type Logging, parseLogging, renderLogging } from '../logging-document.ts'
import { emptyOutcome, setConfig, xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { S3Error } from '../s3-error.ts'

export function getBucketLogging({ bucket, identities }: S3Context): Outcome {
  const text = bucket.configs.get('logging')
  const xml = text === undefined ? '' : renderLogging(JSON.parse(text) as Logging, identities)
  return xmlOutcome('BucketLoggingStatus', xml)
}

export async function putBucketLogging(context: S3Context): Promise<Outcome> {
  const { bucket, objects, identities } = context
  const logging = parseLogging(await context.readXml('BucketLoggingStatus'), identities)
  if (logging !== undefined) {
    const target = await objects.bucket(logging.bucket)
    if (target === undefined) throw refused(logging.bucket, undefined)
    if (target.owner !== bucket.owner) {
      const message = 'The owner for the bucket to be logged and the target bucket must be the same.'
      throw refused(logging.bucket, message)
    }
  }
  await setConfig(context, 'logging', logging === undefined ? null : JSON.stringify(logging))
  return emptyOutcome(200)
}

function refused(target: string, message: string | undefined): S3Error {
  return new S3Error('InvalidTargetBucketForLogging', message, { extra: { TargetBucket: target } })
}
