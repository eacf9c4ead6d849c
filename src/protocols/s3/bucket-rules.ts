/** What a bucket's documents say of who may use it, as they are stored. */
import { type Acl, parseAcl } from '../../iam/acl.ts'
import type { BucketRules, ObjectOwnership, PublicAccessBlock } from '../../iam/authorize.ts'
import { parsePolicy } from '../../iam/parse-policy.ts'
import type { Bucket } from '../../objects/object-store.ts'

export const OBJECT_OWNERSHIPS = ['BucketOwnerEnforced', 'BucketOwnerPreferred', 'ObjectWriter'] as const

/** Throws `corrupt` for documents that cannot be read: they must not be taken for none. */
export function rulesOf(bucket: Bucket): BucketRules {
  const { name, owner, configs } = bucket
  const policy = configs.get('policy')
  return {
    name,
    owner,
    policy: policy === undefined ? undefined : parsePolicy(policy, { bucket: name }),
    acl: aclOf(bucket),
    publicAccessBlock: publicAccessBlockOf(bucket),
    ownership: ownershipOf(bucket),
  }
}

/** Undefined: the owner's alone. */
export function aclOf({ configs }: Bucket): Acl | undefined {
  const text = configs.get('acl')
  return text === undefined ? undefined : parseAcl(text)
}

export function publicAccessBlockOf({ configs }: Bucket): PublicAccessBlock | undefined {
  const text = configs.get('public_access_block')
  return text === undefined ? undefined : (JSON.parse(text) as PublicAccessBlock)
}

export function ownershipOf({ configs }: Bucket): ObjectOwnership | undefined {
  return configs.get('ownership') as ObjectOwnership | undefined
}
