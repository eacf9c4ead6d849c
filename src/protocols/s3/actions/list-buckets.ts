/** ListBuckets: the caller's buckets, or all of them for root. */
import { LIST_KEYS_MAX } from '../../../base/limits.ts'
import { bucketArn } from '../../../iam/policy.ts'
import type { Outcome } from '../../../net/reply.ts'
import type { Bucket } from '../../../objects/object-store.ts'
import { decodeToken, encodeToken } from '../page-token.ts'
import { ownerXml, xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { invalidArgument } from '../s3-error.ts'
import type { S3Request } from '../s3-request.ts'
import { isoTime, optionalTag, tag, wrap } from '../xml-writer.ts'

const REGION = /^[a-z0-9]+(-[a-z0-9]+)+$/
const BUCKETS_PER_PAGE_MAX = 10_000

export async function listBuckets(context: S3Context): Promise<Outcome> {
  const { request, services } = context
  const account = context.account!
  const count = bucketCount(request)
  const prefix = request.filledParam('prefix')
  const token = request.param('continuation-token')
  const region = request.filledParam('bucket-region')
  const isElsewhere = region !== undefined && region !== services.region
  if (isElsewhere && !REGION.test(region))
    throw invalidArgument(`Argument value ${region} is not a valid AWS Region`, 'bucket-region', region)
  const { buckets, next } = isElsewhere
    ? { buckets: [], next: undefined }
    : await collect(context, {
        count: count ?? BUCKETS_PER_PAGE_MAX,
        ...(account.isRoot ? {} : { owner: account.id }),
        ...(prefix === undefined ? {} : { prefix }),
        ...(token === undefined ? {} : { after: decodeToken(token) }),
      })
  const isPaged = count !== undefined || token !== undefined || region !== undefined || prefix !== undefined
  const list = buckets.map((bucket) => bucketXml(bucket, isPaged ? services.region : undefined)).join('')
  return xmlOutcome(
    'ListAllMyBucketsResult',
    ownerXml(context, account.id) +
      wrap('Buckets', list) +
      optionalTag('Prefix', prefix) +
      optionalTag('ContinuationToken', next === undefined ? undefined : encodeToken(next)),
  )
}

function bucketXml({ name, createdMs }: Bucket, region: string | undefined): string {
  const xml = tag('Name', name) + tag('CreationDate', isoTime(createdMs))
  if (region === undefined) return wrap('Bucket', xml)
  return wrap('Bucket', xml + tag('BucketRegion', region) + tag('BucketArn', bucketArn(name)))
}

function bucketCount(request: S3Request): number | undefined {
  const text = request.param('max-buckets')
  if (text === undefined) return undefined
  const count = /^[0-9]{1,9}$/.test(text) ? Number(text) : 0
  if (count < 1 || count > BUCKETS_PER_PAGE_MAX) {
    const message = `Argument max-buckets must be an integer between 1 and ${BUCKETS_PER_PAGE_MAX}`
    throw invalidArgument(message, 'max-buckets', text)
  }
  return count
}

/** The store's pages are smaller than this action's. */
async function collect(
  context: S3Context,
  asked: { count: number; owner?: string; prefix?: string; after?: string },
): Promise<{ buckets: Bucket[]; next: string | undefined }> {
  const { count, ...options } = asked
  const buckets: Bucket[] = []
  let after = options.after
  for (;;) {
    const limit = Math.min(count - buckets.length, LIST_KEYS_MAX)
    const page = await context.objects.listBuckets({
      ...options,
      ...(after === undefined ? {} : { after }),
      limit,
    })
    buckets.push(...page.buckets)
    after = page.next
    if (after === undefined || buckets.length >= count) return { buckets, next: after }
  }
}
