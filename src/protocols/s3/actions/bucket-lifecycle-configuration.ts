/** GetBucketLifecycleConfiguration, PutBucketLifecycleConfiguration and DeleteBucketLifecycle. */
import type { Outcome } from '../../../net/reply.ts'
import type { LifecycleRule } from '../../../objects/lifecycle-rules.ts'
import { parseLifecycle, renderLifecycle } from '../lifecycle-document.ts'
import { configOf, emptyOutcome, setConfig, xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'

/** What S3 says of the least size of what is moved to other classes; nothing is moved here. */
const MINIMUM_SIZE = ['x-amz-transition-default-minimum-object-size', 'all_storage_classes_128K']
const ID_BYTES = 16

export function getBucketLifecycleConfiguration({ bucket }: S3Context): Outcome {
  const rules = JSON.parse(configOf(bucket, 'lifecycle', 'NoSuchLifecycleConfiguration')) as LifecycleRule[]
  const outcome = xmlOutcome('LifecycleConfiguration', renderLifecycle(rules))
  outcome.headers.push(...MINIMUM_SIZE)
  return outcome
}

export async function putBucketLifecycleConfiguration(context: S3Context): Promise<Outcome> {
  const { random } = context.services
  const root = await context.readXml('LifecycleConfiguration')
  const rules = parseLifecycle(root, () => random.bytes(ID_BYTES).toString('base64url'))
  await setConfig(context, 'lifecycle', JSON.stringify(rules))
  return { status: 200, headers: [...MINIMUM_SIZE], body: undefined }
}

export async function deleteBucketLifecycle(context: S3Context): Promise<Outcome> {
  await setConfig(context, 'lifecycle', null)
  return emptyOutcome(204)
}
