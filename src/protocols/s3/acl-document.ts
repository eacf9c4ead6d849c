/** Access control lists as S3 clients send and read them: canned names, grants in headers, and the XML document. */
import {
  ACL_GROUPS,
  ACL_PERMISSIONS,
  type Acl,
  type AclPermission,
  cannedAcl,
  type Grant,
  type Grantee,
  isCannedAcl,
  isPublicAcl,
} from '../../iam/acl.ts'
import type { Identities } from '../../iam/identities.ts'
import type { Bucket } from '../../objects/object-store.ts'
import { ownershipOf, publicAccessBlockOf } from './bucket-rules.ts'
import { invalidArgument, S3Error } from './s3-error.ts'
import type { S3Request } from './s3-request.ts'
import type { XmlNode } from './xml-reader.ts'
import { escapeXml, tag, wrap } from './xml-writer.ts'

const GRANTS_MAX = 100

/** Of a request, or the fields of a form that stand for them. */
type Headers = Pick<S3Request, 'header'>

const GRANT_HEADERS: readonly (readonly [header: string, permission: AclPermission])[] = [
  ['x-amz-grant-full-control', 'FULL_CONTROL'],
  ['x-amz-grant-read', 'READ'],
  ['x-amz-grant-write', 'WRITE'],
  ['x-amz-grant-read-acp', 'READ_ACP'],
  ['x-amz-grant-write-acp', 'WRITE_ACP'],
]

/** Canonical ids of the owner of what the list is for, and of its bucket; for a bucket both are its own. */
export interface AclOwners {
  owner: string
  bucketOwner: string
}

/** The list that the headers of a request ask for; undefined: none. Throws InvalidArgument, InvalidRequest. */
export function aclOfHeaders(request: Headers, owners: AclOwners, identities: Identities): Acl | undefined {
  const canned = request.header('x-amz-acl')
  const grants: Grant[] = []
  for (const [header, permission] of GRANT_HEADERS) {
    const text = request.header(header)
    if (text === undefined) continue
    for (const grantee of parseGrantHeader(header, text, identities)) grants.push({ grantee, permission })
  }
  if (canned === undefined) return grants.length === 0 ? undefined : { owner: owners.owner, grants }
  if (grants.length > 0)
    throw new S3Error('InvalidRequest', 'Specifying both Canned ACLs and Header Grants is not allowed')
  if (!isCannedAcl(canned)) throw invalidArgument('', 'x-amz-acl', canned)
  return cannedAcl(canned, owners)
}

/** `id="…", uri="…", emailAddress="…"`. */
function parseGrantHeader(header: string, text: string, identities: Identities): Grantee[] {
  const grantees: Grantee[] = []
  for (const part of text.split(',')) {
    const match = /^\s*(id|uri|emailAddress)\s*=\s*"?([^"]*?)"?\s*$/i.exec(part)
    if (match === null) throw invalidArgument('Argument format not recognized', header, text)
    const [, kind, value] = match as unknown as [string, string, string]
    const form = kind.toLowerCase() as GranteeForm
    grantees.push(granteeOf({ form, argument: form, value }, identities))
  }
  return grantees
}

type GranteeForm = 'id' | 'uri' | 'emailaddress'

interface GranteeSource {
  form: GranteeForm
  /** What errors call it. */
  argument: string
  value: string
}

function granteeOf({ form, argument, value }: GranteeSource, identities: Identities): Grantee {
  switch (form) {
    case 'id':
      if (identities.accountByCanonicalId(value) === undefined)
        throw invalidArgument('Invalid id', argument, value)
      return { kind: 'user', id: value }
    case 'uri':
      if (!ACL_GROUPS.includes(value)) throw invalidArgument('Invalid group uri', argument, value)
      return { kind: 'group', uri: value }
    case 'emailaddress': {
      const account = identities.accountByEmail(value)
      if (account === undefined) {
        throw new S3Error('UnresolvableGrantByEmailAddress', undefined, {
          extra: { EmailAddress: value },
        })
      }
      return { kind: 'user', id: account.canonicalId }
    }
  }
}

/** The list of an `<AccessControlPolicy>`. Throws MalformedACLError, InvalidArgument, AccessDenied for another owner. */
export function parseAclDocument(root: XmlNode, owner: string, identities: Identities): Acl {
  const ownerNode = root.maybe('Owner')
  const list = root.one('AccessControlList')
  root.done()
  const named = ownerNode?.maybeString('ID')
  if (named === undefined) throw root.malformed()
  if (named !== owner) throw new S3Error('AccessDenied')
  const nodes = list.all('Grant')
  list.done()
  if (nodes.length > GRANTS_MAX) throw root.malformed()
  const grants = nodes.map((node): Grant => {
    const grantee = parseGrantee(node.one('Grantee'), identities)
    const permission = node.word('Permission', ACL_PERMISSIONS)
    node.done()
    return { grantee, permission }
  })
  return { owner, grants }
}

/** Of a `<Grantee>`. */
export function parseGrantee(node: XmlNode, identities: Identities): Grantee {
  switch (node.attribute('type')) {
    case 'CanonicalUser':
      return granteeOf({ form: 'id', argument: 'CanonicalUser/ID', value: node.string('ID') }, identities)
    case 'Group':
      return granteeOf({ form: 'uri', argument: 'Group/URI', value: node.string('URI') }, identities)
    case 'AmazonCustomerByEmail':
      return granteeOf(
        { form: 'emailaddress', argument: 'EmailAddress', value: node.string('EmailAddress') },
        identities,
      )
    default:
      throw node.malformed()
  }
}

/** What is inside an `<AccessControlPolicy>`. */
export function renderAcl(acl: Acl, identities: Identities): string {
  const user = userXml(identities)
  return wrap('Owner', user(acl.owner)) + wrap('AccessControlList', renderGrants(acl.grants, identities))
}

/** `<Grant>`s. */
export function renderGrants(grants: readonly Grant[], identities: Identities): string {
  const user = userXml(identities)
  const list = grants.map(({ grantee, permission }) => {
    const type = grantee.kind === 'user' ? 'CanonicalUser' : 'Group'
    const inside = grantee.kind === 'user' ? user(grantee.id) : `<URI>${escapeXml(grantee.uri)}</URI>`
    const xsi = `xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="${type}"`
    return wrap('Grant', `<Grantee ${xsi}>${inside}</Grantee>${tag('Permission', permission)}`)
  })
  return list.join('')
}

const userXml = (identities: Identities) => (id: string) =>
  tag('ID', id) + tag('DisplayName', identities.accountByCanonicalId(id)?.displayName ?? '')

/**
 * Throws when the bucket does not take such a list: it has none at all (BucketOwnerEnforced), or none that let everyone in.
 * `isCanned`: it came as a canned name, of which two say no more than that the bucket's owner has everything.
 */
export function checkAclAllowed(bucket: Bucket, acl: Acl, request: Headers): void {
  if (ownershipOf(bucket) === 'BucketOwnerEnforced') {
    const canned = request.header('x-amz-acl')
    if (canned !== 'bucket-owner-full-control' && canned !== 'private')
      throw new S3Error('AccessControlListNotSupported')
  }
  if (publicAccessBlockOf(bucket)?.blockPublicAcls === true && isPublicAcl(acl))
    throw new S3Error('AccessDenied')
}
