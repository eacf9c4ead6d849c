/** Access control lists: who may read or write a bucket or an object, or its list itself. Kept as JSON. */
import { StoreError } from '../base/errors.ts'

export const ACL_PERMISSIONS = ['FULL_CONTROL', 'READ', 'WRITE', 'READ_ACP', 'WRITE_ACP'] as const
export type AclPermission = (typeof ACL_PERMISSIONS)[number]

export const ALL_USERS = 'http://acs.amazonaws.com/groups/global/AllUsers'
export const AUTHENTICATED_USERS = 'http://acs.amazonaws.com/groups/global/AuthenticatedUsers'
const LOG_DELIVERY = 'http://acs.amazonaws.com/groups/s3/LogDelivery'
export const ACL_GROUPS: readonly string[] = [ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY]

/** A canonical id, or the address of a group. */
export type Grantee = { kind: 'user'; id: string } | { kind: 'group'; uri: string }

export interface Grant {
  grantee: Grantee
  permission: AclPermission
}

export interface Acl {
  /** Canonical id. */
  owner: string
  grants: readonly Grant[]
}

const CANNED_ACLS = [
  'private',
  'public-read',
  'public-read-write',
  'authenticated-read',
  'aws-exec-read',
  'bucket-owner-read',
  'bucket-owner-full-control',
  'log-delivery-write',
] as const
export type CannedAcl = (typeof CANNED_ACLS)[number]

export function isCannedAcl(name: string): name is CannedAcl {
  return (CANNED_ACLS as readonly string[]).includes(name)
}

/** The list that a canned name stands for. Owners by canonical id; of a bucket both are its own. */
export function cannedAcl(
  name: CannedAcl,
  { owner, bucketOwner }: { owner: string; bucketOwner: string },
): Acl {
  const full: Grant = { grantee: { kind: 'user', id: owner }, permission: 'FULL_CONTROL' }
  const group = (uri: string, permission: AclPermission): Grant => ({
    grantee: { kind: 'group', uri },
    permission,
  })
  const toBucketOwner = (permission: AclPermission): Grant[] =>
    owner === bucketOwner ? [] : [{ grantee: { kind: 'user', id: bucketOwner }, permission }]
  switch (name) {
    case 'private':
    case 'aws-exec-read':
      return { owner, grants: [full] }
    case 'public-read':
      return { owner, grants: [full, group(ALL_USERS, 'READ')] }
    case 'public-read-write':
      return { owner, grants: [full, group(ALL_USERS, 'READ'), group(ALL_USERS, 'WRITE')] }
    case 'authenticated-read':
      return { owner, grants: [full, group(AUTHENTICATED_USERS, 'READ')] }
    case 'bucket-owner-read':
      return { owner, grants: [full, ...toBucketOwner('READ')] }
    case 'bucket-owner-full-control':
      return { owner, grants: [full, ...toBucketOwner('FULL_CONTROL')] }
    case 'log-delivery-write':
      return { owner, grants: [full, group(LOG_DELIVERY, 'WRITE'), group(LOG_DELIVERY, 'READ_ACP')] }
  }
}

/** As it is stored. */
export function formatAcl(acl: Acl): string {
  return JSON.stringify({ owner: acl.owner, grants: acl.grants })
}

/** A stored list. Throws `corrupt`: what cannot be read must not be taken for open, nor for anything else. */
export function parseAcl(text: string): Acl {
  try {
    const acl = JSON.parse(text) as Acl
    if (typeof acl.owner === 'string' && Array.isArray(acl.grants) && acl.grants.every(isGrant)) return acl
  } catch {
    // Said below.
  }
  throw new StoreError('corrupt', 'an access control list cannot be read')
}

function isGrant(value: unknown): value is Grant {
  const { grantee, permission } = (value ?? {}) as Partial<Grant>
  if (!ACL_PERMISSIONS.includes(permission as AclPermission)) return false
  if (grantee?.kind === 'user') return typeof grantee.id === 'string'
  return grantee?.kind === 'group' && typeof grantee.uri === 'string'
}

/** Grants anything to everyone, or to everyone with an account. */
export function isPublicAcl(acl: Acl): boolean {
  return acl.grants.some(
    ({ grantee }) =>
      grantee.kind === 'group' && (grantee.uri === ALL_USERS || grantee.uri === AUTHENTICATED_USERS),
  )
}

export interface AclQuestion {
  /** Undefined: anonymous. */
  canonicalId: string | undefined
  permission: Exclude<AclPermission, 'FULL_CONTROL'>
  /** Grants to groups of everyone count for nothing. */
  ignorePublic: boolean
}

export function aclAllows(acl: Acl, { canonicalId, permission, ignorePublic }: AclQuestion): boolean {
  return acl.grants.some(({ grantee, permission: granted }) => {
    if (granted !== 'FULL_CONTROL' && granted !== permission) return false
    if (grantee.kind === 'user') return canonicalId !== undefined && grantee.id === canonicalId
    if (ignorePublic) return false
    return grantee.uri === ALL_USERS || (grantee.uri === AUTHENTICATED_USERS && canonicalId !== undefined)
  })
}
