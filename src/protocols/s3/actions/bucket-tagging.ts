/** GetBucketTagging, PutBucketTagging and DeleteBucketTagging. */
import type { Outcome } from '../../../net/reply.ts'
import type { Tag } from '../../../objects/object-store.ts'
import { configOf, emptyOutcome, setConfig, xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { BUCKET_TAGS_MAX, parseTagging, renderTagging } from '../tags.ts'

export function getBucketTagging({ bucket }: S3Context): Outcome {
  const tags = JSON.parse(configOf(bucket, 'tagging', 'NoSuchTagSet')) as Tag[]
  return xmlOutcome('Tagging', renderTagging(tags))
}

export async function putBucketTagging(context: S3Context): Promise<Outcome> {
  const tags = parseTagging(await context.readXml('Tagging'), { countMax: BUCKET_TAGS_MAX, of: 'Bucket' })
  await setConfig(context, 'tagging', tags.length === 0 ? null : JSON.stringify(tags))
  return emptyOutcome(204)
}

export async function deleteBucketTagging(context: S3Context): Promise<Outcome> {
  await setConfig(context, 'tagging', null)
  return emptyOutcome(204)
}
