/** GetBucketCors, PutBucketCors and DeleteBucketCors. */
import type { Outcome } from '../../../net/reply.ts'
import { type CorsRule, parseCors, renderCors } from '../cors.ts'
import { configOf, emptyOutcome, setConfig, xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'

export function getBucketCors({ bucket }: S3Context): Outcome {
  const rules = JSON.parse(configOf(bucket, 'cors', 'NoSuchCORSConfiguration')) as CorsRule[]
  return xmlOutcome('CORSConfiguration', renderCors(rules))
}

export async function putBucketCors(context: S3Context): Promise<Outcome> {
  const rules = parseCors(await context.readXml('CORSConfiguration', { bytesMax: CORS_BYTES_MAX }))
  await setConfig(context, 'cors', JSON.stringify(rules))
  return emptyOutcome(200)
}

export async function deleteBucketCors(context: S3Context): Promise<Outcome> {
  await setConfig(context, 'cors', null)
  return emptyOutcome(204)
}

const CORS_BYTES_MAX = 64 * 1024
