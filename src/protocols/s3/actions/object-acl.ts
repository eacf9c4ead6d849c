/** GetObjectAcl and PutObjectAcl: the list comes as a canned name, as grants in headers, or as a document. */
import { cannedAcl, formatAcl, parseAcl } from '../../../iam/acl.ts'
import type { Outcome } from '../../../net/reply.ts'
import { aclOfHeaders, checkAclAllowed, parseAclDocument, renderAcl } from '../acl-document.ts'
import { ownershipOf } from '../bucket-rules.ts'
import { versionIdOf } from '../read-options.ts'
import { versionHeaders } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { S3Error } from '../s3-error.ts'
import { parseXml } from '../xml-reader.ts'
import { XML_HEADERS, xmlDocument } from '../xml-writer.ts'

export function getObjectAcl(context: S3Context): Outcome {
  const { bucket, found, identities } = context
  const owners = ownersOf(context)
  const stored = ownershipOf(bucket) === 'BucketOwnerEnforced' ? undefined : found.info.attributes.acl
  const acl = stored === undefined ? cannedAcl('private', owners) : parseAcl(stored)
  const headers = [...XML_HEADERS, ...versionHeaders(found)]
  return { status: 200, headers, body: xmlDocument('AccessControlPolicy', renderAcl(acl, identities)) }
}

function ownersOf({ bucket, found, identities }: S3Context): { owner: string; bucketOwner: string } {
  const bucketOwner = identities.ownerOf(bucket.owner).canonicalId
  const { owner } = found.info.attributes
  const isBuckets = owner === undefined || ownershipOf(bucket) === 'BucketOwnerEnforced'
  return { owner: isBuckets ? bucketOwner : identities.ownerOf(owner).canonicalId, bucketOwner }
}

export async function putObjectAcl(context: S3Context): Promise<Outcome> {
  const { bucket, found, identities, key, objects, request } = context
  const owners = ownersOf(context)
  const bytes = await context.readBody()
  const byHeaders = aclOfHeaders(request, owners, identities)
  if (byHeaders !== undefined && bytes.length > 0) throw new S3Error('UnexpectedContent')
  if (byHeaders === undefined && bytes.length === 0) {
    throw new S3Error('MissingSecurityHeader', 'Your request was missing a required header', {
      extra: { MissingHeaderName: 'x-amz-acl' },
    })
  }
  const acl =
    byHeaders ??
    parseAclDocument(parseXml(bytes, 'AccessControlPolicy', 'MalformedACLError'), owners.owner, identities)
  checkAclAllowed(bucket, acl, request)
  if (ownershipOf(bucket) !== 'BucketOwnerEnforced')
    await objects.setAttributes({ bucket, key, versionId: versionIdOf(request) }, { acl: formatAcl(acl) })
  return { status: 200, headers: versionHeaders(found), body: undefined }
}
