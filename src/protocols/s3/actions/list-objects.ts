/** ListObjects, the first version: pages by marker, owners always shown. */
import type { Outcome } from '../../../net/reply.ts'
import {
  contentsXml,
  encodingTag,
  filledKeyTag,
  keyTag,
  type ListParams,
  listParams,
  objectOwnerXml,
  prefixesXml,
} from '../list-params.ts'
import { xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { invalidArgument } from '../s3-error.ts'
import type { S3Request } from '../s3-request.ts'
import { tag } from '../xml-writer.ts'

function assertFirstVersion(request: S3Request): void {
  const type = request.filledParam('list-type')
  if (type !== undefined && type !== '1')
    throw invalidArgument('Invalid List Type specified in Request', 'list-type', type)
  const after = request.param('start-after')
  if (after === undefined) return
  const message = 'startAfter only supported in REST.GET.BUCKET with list-type=2'
  throw invalidArgument(message, 'start-after', after)
}

export async function listObjects(context: S3Context): Promise<Outcome> {
  const { request, bucket, objects } = context
  assertFirstVersion(request)
  const params = listParams(request, 'max-keys')
  const { prefix, delimiter, limit } = params
  const marker = request.param('marker') ?? ''
  const page = await objects.list({ bucket, prefix, delimiter, after: marker, limit })
  const isTruncated = page.next !== undefined && limit > 0
  // Without a delimiter the last key is the next marker, and S3 does not say it again.
  const nextMarker = isTruncated && delimiter !== '' ? page.next : undefined
  return xmlOutcome(
    'ListBucketResult',
    tag('Name', bucket.name) +
      prefixTag(prefix, params) +
      keyTag('Marker', marker, params) +
      filledKeyTag('NextMarker', nextMarker, params) +
      tag('MaxKeys', limit) +
      filledKeyTag('Delimiter', delimiter, params) +
      encodingTag(params) +
      tag('IsTruncated', isTruncated) +
      contentsXml(page.objects, params, (info) => objectOwnerXml(context, info)) +
      prefixesXml(page.prefixes, params),
  )
}

/** Characters that decoding would change, or that XML does not have. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is about
const NOT_PLAIN = /[%+&<>"\u0000-\u0008\u000b-\u001f\u007f\ufffe\uffff]/g

/**
 * Clients differ in whether they decode this one under `encoding-type=url` (boto3, which decodes all others, does not), so
 * nothing is encoded that can stand for itself.
 */
function prefixTag(prefix: string, params: ListParams): string {
  if (!params.isUrlEncoded) return keyTag('Prefix', prefix, params)
  return `<Prefix>${prefix.replace(NOT_PLAIN, encodeURIComponent)}</Prefix>`
}
