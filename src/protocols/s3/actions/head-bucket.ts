/** HeadBucket: whether it is there and the caller may list it, and where it is. */
import { bucketArn } from '../../../iam/policy.ts'
import type { Outcome } from '../../../net/reply.ts'
import type { S3Context } from '../s3-context.ts'
import { XML_HEADERS } from '../xml-writer.ts'

export function headBucket({ services, bucket }: S3Context): Outcome {
  const facts = [
    'x-amz-bucket-region',
    services.region,
    'x-amz-bucket-arn',
    bucketArn(bucket.name),
    'x-amz-access-point-alias',
    'false',
  ]
  return { status: 200, headers: [...XML_HEADERS, ...facts], body: undefined }
}
