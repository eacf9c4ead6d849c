/** GetBucketAcl and PutBucketAcl: the list comes as a canned name, as grants in headers, or as a document. */
import { cannedAcl, formatAcl } from '../../../iam/acl.ts'
import type { Outcome } from '../../../net/reply.ts'
import { aclOfHeaders, checkAclAllowed, parseAclDocument, renderAcl } from '../acl-document.ts'
import { aclOf, ownershipOf } from '../bucket-rules.ts'
import { emptyOutcome, setConfig, xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { S3Error } from '../s3-error.ts'
import { parseXml } from '../xml-reader.ts'

export function getBucketAcl({ bucket, identities }: S3Context): Outcome {
  const { canonicalId } = identities.ownerOf(bucket.owner)
  const stored = ownershipOf(bucket) === 'BucketOwnerEnforced' ? undefined : aclOf(bucket)
  const acl = stored ?? cannedAcl('private', { owner: canonicalId, bucketOwner: canonicalId })
  return xmlOutcome('AccessControlPolicy', renderAcl(acl, identities))
}

export async function putBucketAcl(context: S3Context): Promise<Outcome> {
  const { bucket, identities, request } = context
  const owner = identities.ownerOf(bucket.owner).canonicalId
  const bytes = await context.readBody()
  const byHeaders = aclOfHeaders(request, { owner, bucketOwner: owner }, identities)
  if (byHeaders !== undefined && bytes.length > 0) throw new S3Error('UnexpectedContent')
  if (byHeaders === undefined && bytes.length === 0) {
    throw new S3Error('MissingSecurityHeader', 'Your request was missing a required header', {
      extra: { MissingHeaderName: 'x-amz-acl' },
    })
  }
  const acl =
    byHeaders ??
    parseAclDocument(parseXml(bytes, 'AccessControlPolicy', 'MalformedACLError'), owner, identities)
  checkAclAllowed(bucket, acl, request)
  const text = ownershipOf(bucket) === 'BucketOwnerEnforced' ? null : formatAcl(acl)
  await setConfig(context, 'acl', text)
  return emptyOutcome(200)
}
