/** GetBucketLocation: the region, which is empty for us-east-1. */
import type { Outcome } from '../../../net/reply.ts'
import { xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { escapeXml } from '../xml-writer.ts'

export function getBucketLocation({ services }: S3Context): Outcome {
  return xmlOutcome('LocationConstraint', services.region === 'us-east-1' ? '' : escapeXml(services.region))
}
