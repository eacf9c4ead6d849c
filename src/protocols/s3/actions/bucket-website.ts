/** GetBucketWebsite, PutBucketWebsite and DeleteBucketWebsite. */
import { WEBSITE_BYTES_MAX } from '../../../base/limits.ts'
import type { Outcome } from '../../../net/reply.ts'
import { configOf, emptyOutcome, setConfig, xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { parseWebsite, renderWebsite, type Website } from '../website-document.ts'

export function getBucketWebsite({ bucket }: S3Context): Outcome {
  const website = JSON.parse(configOf(bucket, 'website', 'NoSuchWebsiteConfiguration')) as Website
  return xmlOutcome('WebsiteConfiguration', renderWebsite(website))
}

export async function putBucketWebsite(context: S3Context): Promise<Outcome> {
  const website = parseWebsite(await context.readXml('WebsiteConfiguration', { bytesMax: WEBSITE_BYTES_MAX }))
  await setConfig(context, 'website', JSON.stringify(website))
  return emptyOutcome(200)
}

export async function deleteBucketWebsite(context: S3Context): Promise<Outcome> {
  await setConfig(context, 'website', null)
  return emptyOutcome(204)
}
