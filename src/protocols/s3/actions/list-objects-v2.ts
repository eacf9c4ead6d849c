/** ListObjects, the second version: pages by token, owners where they are asked for. */
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
import { decodeToken, encodeToken } from '../page-token.ts'
import { xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { optionalTag, tag } from '../xml-writer.ts'

export async function listObjectsV2(context: S3Context): Promise<Outcome> {
  const { request, bucket, objects } = context
  const params = listParams(request, 'max-keys')
  const { prefix, delimiter, limit } = params
  const startAfter = request.filledParam('start-after')
  const token = request.param('continuation-token')
  const after = token === undefined ? (startAfter ?? '') : decodeToken(token)
  const withOwner = request.param('fetch-owner')?.toLowerCase() === 'true'
  const page = await objects.list({ bucket, prefix, delimiter, after, limit })
  const isTruncated = page.next !== undefined && limit > 0
  const next = isTruncated ? encodeToken(page.next!) : undefined
  return xmlOutcome(
    'ListBucketResult',
    tag('Name', bucket.name) +
      keyTag('Prefix', prefix, params) +
      filledKeyTag('StartAfter', startAfter, params) +
      optionalTag('ContinuationToken', token) +
      optionalTag('NextContinuationToken', next) +
      tag('KeyCount', page.objects.length + page.prefixes.length) +
      tag('MaxKeys', limit) +
      filledKeyTag('Delimiter', delimiter, params) +
      encodingTag(params) +
      tag('IsTruncated', isTruncated) +
      contentsXml(page.objects, params, (info) => (withOwner ? objectOwnerXml(context, info) : '')) +
      prefixesXml(page.prefixes, params),
  )
}
