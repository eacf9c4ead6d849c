/** GetBucketPolicy, PutBucketPolicy, DeleteBucketPolicy and GetBucketPolicyStatus. */
import { POLICY_BYTES_MAX } from '../../../base/limits.ts'
import { isPublicAcl } from '../../../iam/acl.ts'
import { parsePolicy } from '../../../iam/parse-policy.ts'
import { isPublicPolicy, type Policy, PolicyError } from '../../../iam/policy.ts'
import type { Outcome } from '../../../net/reply.ts'
import { publicAccessBlockOf, rulesOf } from '../bucket-rules.ts'
import { configOf, emptyOutcome, setConfig, xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { S3Error } from '../s3-error.ts'
import { tag } from '../xml-writer.ts'

/** A body somewhat above the limit of a policy is still read, to say what is wrong with it. */
const BODY_BYTES_MAX = 4 * POLICY_BYTES_MAX

export function getBucketPolicy({ bucket }: S3Context): Outcome {
  const text = configOf(bucket, 'policy', 'NoSuchBucketPolicy')
  return { status: 200, headers: ['Content-Type', 'application/json'], body: Buffer.from(text) }
}

export async function putBucketPolicy(context: S3Context): Promise<Outcome> {
  const { bucket } = context
  const text = (await context.readBody(BODY_BYTES_MAX)).toString('utf8')
  const policy = parse(text, context)
  if (publicAccessBlockOf(bucket)?.blockPublicPolicy === true && isPublicPolicy(policy))
    throw new S3Error('AccessDenied')
  await setConfig(context, 'policy', text)
  return emptyOutcome(204)
}

function parse(text: string, { bucket, identities }: S3Context): Policy {
  try {
    return parsePolicy(text, { bucket: bucket.name, directory: identities })
  } catch (error) {
    if (error instanceof PolicyError)
      throw new S3Error('MalformedPolicy', error.message, { extra: {}, cause: error })
    throw error
  }
}

export async function deleteBucketPolicy(context: S3Context): Promise<Outcome> {
  await setConfig(context, 'policy', null)
  return emptyOutcome(204)
}

/** Whether everyone is let in, by the policy or by the ACL; without either nobody is. */
export function getBucketPolicyStatus({ bucket }: S3Context): Outcome {
  const { policy, acl, publicAccessBlock, ownership } = rulesOf(bucket)
  const countsAcl = ownership !== 'BucketOwnerEnforced' && publicAccessBlock?.ignorePublicAcls !== true
  const isPublic =
    (policy !== undefined && isPublicPolicy(policy)) || (countsAcl && acl !== undefined && isPublicAcl(acl))
  return xmlOutcome('PolicyStatus', tag('IsPublic', isPublic))
}
