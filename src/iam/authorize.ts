/**
 * The one decision: may this principal do this to that? Every action of S3 asks here, anonymous ones too. Nothing is
 * allowed that is not granted: by the account that owns it, its identity's policies, the bucket's policy, or an ACL.
 */
import { type Acl, type AclPermission, aclAllows } from './acl.ts'
import type { Account, Principal } from './identities.ts'
import {
  bucketArn,
  evaluate,
  isPublicPolicy,
  NOBODY,
  objectArn,
  type Policy,
  type PolicyContext,
  type PolicyPrincipal,
  type Verdict,
} from './policy.ts'

export interface PublicAccessBlock {
  blockPublicAcls: boolean
  ignorePublicAcls: boolean
  blockPublicPolicy: boolean
  restrictPublicBuckets: boolean
}

export type ObjectOwnership = 'BucketOwnerEnforced' | 'BucketOwnerPreferred' | 'ObjectWriter'

/** What a bucket says of who may use it. */
export interface BucketRules {
  name: string
  /** Account id. */
  owner: string
  policy?: Policy | undefined
  /** Absent: only the owner has anything. */
  acl?: Acl | undefined
  publicAccessBlock?: PublicAccessBlock | undefined
  /** Absent: ObjectWriter. */
  ownership?: ObjectOwnership | undefined
}

export interface AccessRequest {
  principal: Principal
  /** As S3_ACTIONS names it: `s3:GetObject`. */
  action: string
  /** Absent for what is done to no bucket that exists: ListAllMyBuckets, CreateBucket. */
  bucket?: BucketRules | undefined
  /** With CreateBucket: its name. */
  newBucket?: string | undefined
  /** For actions on objects. */
  key?: string | undefined
  /** Of an object that exists and is looked at or changed where it is: who owns it, and its list. Absent for a new one. */
  object?: { owner: string | undefined; acl: Acl | undefined } | undefined
  /** Values for conditions; asked for only where a policy has some. */
  context(): PolicyContext
}

/** True: go on. False: AccessDenied, whatever else is wrong with the request. */
export function authorize(request: AccessRequest): boolean {
  const { principal, bucket } = request
  const { account } = principal
  if (bucket === undefined) return account !== undefined && identityVerdict(account, request) === 'allow'
  const asked = { ...request, bucket }
  const byBucket = bucketVerdict(asked)
  if (POLICY_ACTIONS.has(request.action)) return mayManagePolicy(asked, byBucket)
  if (byBucket === 'deny') return false
  if (account?.isRoot) return true
  const byIdentity = account === undefined ? 'none' : identityVerdict(account, request)
  if (byIdentity === 'deny') return false
  if (account !== undefined && byIdentity === 'none' && account.id !== bucket.owner) return false
  if (isForeignObject(asked)) return allowedForeign(asked)
  if (account?.id === bucket.owner) return byIdentity === 'allow' || byBucket === 'allow'
  if (byBucket === 'allow' && !isShutToOthers(bucket)) return true
  if (isWithNewObject(asked)) return authorize({ ...request, action: 's3:PutObject' })
  return allowedByAcl(asked)
}

type BucketRequest = AccessRequest & { bucket: BucketRules }

/** An account without policies may do everything that its bucket's owner, or itself as that, allows. */
function identityVerdict(account: Account, request: AccessRequest): Verdict {
  if (account.isRoot || account.policies.length === 0) return 'allow'
  return evaluate(account.policies, policyRequest(request))
}

function bucketVerdict(request: BucketRequest): Verdict {
  const { policy } = request.bucket
  if (policy === undefined) return 'none'
  return evaluate([policy], policyRequest(request))
}

function policyRequest(request: AccessRequest) {
  const { principal, action, bucket, newBucket, key, context } = request
  const name = bucket?.name ?? newBucket
  const resource = name === undefined ? '*' : key === undefined ? bucketArn(name) : objectArn(name, key)
  return { principal: policyPrincipal(principal), action, resource, context }
}

function policyPrincipal({ account }: Principal): PolicyPrincipal {
  if (account === undefined) return NOBODY
  return { accountId: account.id, name: account.name, canonicalId: account.canonicalId }
}

const POLICY_ACTIONS = new Set(['s3:GetBucketPolicy', 's3:PutBucketPolicy', 's3:DeleteBucketPolicy'])

/**
 * The policy is a matter of root and of the bucket's own account. They are let in whatever it says, unless the account
 * is itself under policies: a mistake must not lock everyone out for good.
 */
function mayManagePolicy(request: BucketRequest, byBucket: Verdict): boolean {
  const { account } = request.principal
  if (account === undefined) return false
  if (account.isRoot) return true
  if (account.id !== request.bucket.owner) return false
  if (account.policies.length === 0) return true
  const byIdentity = identityVerdict(account, request)
  if (byBucket === 'deny' || byIdentity === 'deny') return false
  return byBucket === 'allow' || byIdentity === 'allow'
}

/** The bucket's policy is public, and public policies count for its own account only. */
function isShutToOthers({ policy, publicAccessBlock }: BucketRules): boolean {
  return publicAccessBlock?.restrictPublicBuckets === true && policy !== undefined && isPublicPolicy(policy)
}

/** An object that another account writes is its own, so what it may write it may also label. */
function isWithNewObject({ action, object, bucket }: BucketRequest): boolean {
  if (object !== undefined || bucket.ownership === 'BucketOwnerEnforced') return false
  return action === 's3:PutObjectAcl' || action === 's3:PutObjectTagging'
}

/** The object belongs to another account than the bucket: then the bucket's owner cannot give it away. */
function isForeignObject({ bucket, object, action }: BucketRequest): boolean {
  if (object?.owner === undefined || object.owner === bucket.owner) return false
  if (bucket.ownership === 'BucketOwnerEnforced') return false
  return OBJECT_PERMISSIONS.has(action) || OBJECT_OWNER_ACTIONS.has(action)
}

function allowedForeign(request: BucketRequest): boolean {
  const { principal, object, action } = request
  if (OBJECT_OWNER_ACTIONS.has(action)) return principal.account?.id === object!.owner
  if (principal.account !== undefined && principal.account.id === object!.owner) return true
  return allowedByAcl(request)
}

function allowedByAcl(request: BucketRequest): boolean {
  const { principal, bucket, object, action } = request
  if (bucket.ownership === 'BucketOwnerEnforced') return false
  const onObject = OBJECT_PERMISSIONS.get(action)
  const permission = onObject ?? BUCKET_PERMISSIONS.get(action)
  const acl = onObject === undefined ? bucket.acl : object?.acl
  if (permission === undefined || acl === undefined) return false
  return aclAllows(acl, {
    canonicalId: principal.account?.canonicalId,
    permission,
    ignorePublic: bucket.publicAccessBlock?.ignorePublicAcls === true,
  })
}

type Permission = Exclude<AclPermission, 'FULL_CONTROL'>

/** What a permission on a bucket lets one do. */
const BUCKET_PERMISSIONS = new Map<string, Permission>([
  ['s3:ListBucket', 'READ'],
  ['s3:ListBucketVersions', 'READ'],
  ['s3:ListBucketMultipartUploads', 'READ'],
  ['s3:PutObject', 'WRITE'],
  ['s3:DeleteObject', 'WRITE'],
  ['s3:DeleteObjectVersion', 'WRITE'],
  ['s3:AbortMultipartUpload', 'WRITE'],
  ['s3:ListMultipartUploadParts', 'WRITE'],
  ['s3:GetBucketAcl', 'READ_ACP'],
  ['s3:PutBucketAcl', 'WRITE_ACP'],
])

/** And one on an object. */
const OBJECT_PERMISSIONS = new Map<string, Permission>([
  ['s3:GetObject', 'READ'],
  ['s3:GetObjectVersion', 'READ'],
  ['s3:GetObjectAttributes', 'READ'],
  ['s3:GetObjectVersionAttributes', 'READ'],
  ['s3:GetObjectTorrent', 'READ'],
  ['s3:GetObjectAcl', 'READ_ACP'],
  ['s3:GetObjectVersionAcl', 'READ_ACP'],
  ['s3:PutObjectAcl', 'WRITE_ACP'],
  ['s3:PutObjectVersionAcl', 'WRITE_ACP'],
])

/** No list grants these: of an object of another account, they are that account's. */
const OBJECT_OWNER_ACTIONS = new Set([
  's3:GetObjectTagging',
  's3:GetObjectVersionTagging',
  's3:PutObjectTagging',
  's3:PutObjectVersionTagging',
  's3:DeleteObjectTagging',
  's3:DeleteObjectVersionTagging',
])
