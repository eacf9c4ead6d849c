/** ListObjects, the first version: pages by marker, owners always shown. */
import type { Outcome } from '../../../net/reply.ts'
import {
  contentsXml,
  encodingTag,
  filledKeyTag,
  keyTag,
  listParams,
  objectOwnerXml,
  prefixesXml,
} from '../list-params.ts'
import { xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { tag } from '../xml-writer.ts'

export async function listObjects(context: S3Context): Promise<Outcome> {
  const { request, bucket, objects } = context
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
      keyTag('Prefix', prefix, params) +
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
