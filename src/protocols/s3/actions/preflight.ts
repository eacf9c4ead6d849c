/** OPTIONS: a browser asks whether a page of another site may send the request that it has in mind. */
import type { Outcome } from '../../../net/reply.ts'
import type { Bucket } from '../../../objects/object-store.ts'
import type { BucketCache } from '../bucket-cache.ts'
import { type CorsRule, corsHeaders, matchCors, preflightQuestion } from '../cors.ts'
import { S3Error } from '../s3-error.ts'
import type { S3Request } from '../s3-request.ts'

/** Without a bucket, or with one that has no rules, nothing is allowed. Throws AccessForbidden, BadRequest. */
export function preflight(
  request: S3Request,
  bucket: Bucket | undefined,
  cors: BucketCache<readonly CorsRule[]>,
): Outcome {
  const asked = preflightQuestion(request)
  const place = { Method: asked.method, ResourceType: request.key === '' ? 'BUCKET' : 'OBJECT' }
  const rules = bucket === undefined ? [] : cors.of(bucket)
  if (rules.length === 0) {
    throw new S3Error('AccessForbidden', 'CORSResponse: CORS is not enabled for this bucket.', {
      extra: place,
    })
  }
  const rule = matchCors(rules, asked)
  if (rule === undefined) {
    throw new S3Error(
      'AccessForbidden',
      "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.",
      { extra: place },
    )
  }
  return { status: 200, headers: corsHeaders(rule, asked), body: undefined }
}
