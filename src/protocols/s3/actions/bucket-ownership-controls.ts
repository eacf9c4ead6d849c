/** GetBucketOwnershipControls, PutBucketOwnershipControls and DeleteBucketOwnershipControls. */
import type { Outcome } from '../../../net/reply.ts'
import { aclOf, OBJECT_OWNERSHIPS } from '../bucket-rules.ts'
import { configOf, emptyOutcome, setConfig, xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { S3Error } from '../s3-error.ts'
import { tag, wrap } from '../xml-writer.ts'

export function getBucketOwnershipControls({ bucket }: S3Context): Outcome {
  const ownership = configOf(bucket, 'ownership', 'OwnershipControlsNotFoundError')
  return xmlOutcome('OwnershipControls', wrap('Rule', tag('ObjectOwnership', ownership)))
}

export async function putBucketOwnershipControls(context: S3Context): Promise<Outcome> {
  const root = await context.readXml('OwnershipControls')
  const rule = root.one('Rule')
  root.done()
  const ownership = rule.word('ObjectOwnership', OBJECT_OWNERSHIPS)
  rule.done()
  const acl = aclOf(context.bucket)
  // Nobody shall lose a grant by this without a word.
  const hasGrants = acl?.grants.some(({ grantee }) => grantee.kind !== 'user' || grantee.id !== acl.owner)
  if (ownership === 'BucketOwnerEnforced' && hasGrants)
    throw new S3Error('InvalidBucketAclWithObjectOwnership')
  await setConfig(context, 'ownership', ownership)
  return emptyOutcome(200)
}

export async function deleteBucketOwnershipControls(context: S3Context): Promise<Outcome> {
  await setConfig(context, 'ownership', null)
  return emptyOutcome(204)
}
