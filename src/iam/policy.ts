/**
 * Policies: read strictly, evaluated as AWS does: an explicit deny first, then an allow, else nothing is granted.
 * Grammar: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
 */
import { StoreError } from '../base/errors.ts'
import { type Condition, contextKey, type PolicyContext } from './policy/conditions.ts'
import { parseIpRange } from './policy/ip-range.ts'
import { type Lookup, matchPattern, matchText, type Pattern } from './policy/pattern.ts'
import type { PolicyPrincipal, PrincipalPattern } from './policy/principals.ts'

export type { PolicyContext } from './policy/conditions.ts'
export type { PolicyPrincipal } from './policy/principals.ts'

/** What is wrong with a policy, in the words that AWS has for it. */
export class PolicyError extends StoreError {
  constructor(message: string) {
    super('bad_request', message)
    this.name = 'PolicyError'
  }
}

export interface Statement {
  sid: string | undefined
  isAllow: boolean
  /** Undefined in policies of an identity: they are about who they belong to. */
  principals: readonly PrincipalPattern[] | undefined
  isNotPrincipal: boolean
  /** Lower case. */
  actions: readonly Pattern[]
  isNotAction: boolean
  resources: readonly Pattern[]
  isNotResource: boolean
  conditions: readonly Condition[]
}

export interface Policy {
  /** As it was given. */
  text: string
  statements: readonly Statement[]
  /** Nothing of the request beside who, what and where is asked for. */
  isUnconditional: boolean
}

export const NOBODY: PolicyPrincipal = { accountId: undefined, name: undefined, canonicalId: undefined }

export interface PolicyRequest {
  principal: PolicyPrincipal
  /** `s3:GetObject`. */
  action: string
  /** `arn:aws:s3:::bucket/key`; `*` for actions on nothing in particular. */
  resource: string
  /** Asked for only where a policy has conditions or variables. */
  context(): PolicyContext
}

/** `none`: no statement says anything about it. */
export type Verdict = 'allow' | 'deny' | 'none'

export function evaluate(policies: readonly Policy[], request: PolicyRequest): Verdict {
  let verdict: Verdict = 'none'
  for (const { statements } of policies) {
    for (const statement of statements) {
      if (statement.isAllow && verdict === 'allow') continue
      if (!applies(statement, request)) continue
      if (!statement.isAllow) return 'deny'
      verdict = 'allow'
    }
  }
  return verdict
}

function applies(statement: Statement, request: PolicyRequest): boolean {
  const { principals, actions, resources, conditions } = statement
  if (principals !== undefined) {
    const isNamed = principals.some((each) => each.matches(request.principal))
    if (isNamed === statement.isNotPrincipal) return false
  }
  const action = request.action.toLowerCase()
  if (actions.some((each) => matchText(each, action)) === statement.isNotAction) return false
  const lookup: Lookup = (name) => {
    const values = request.context().get(contextKey(name))
    // A variable with several values has none: which would it be?
    return values?.length === 1 ? values[0] : undefined
  }
  const isThere = resources.some((each) => matchPattern(each, request.resource, lookup))
  if (isThere === statement.isNotResource) return false
  return conditions.length === 0 || conditions.every((each) => each.matches(request.context(), lookup))
}

export function bucketArn(bucket: string): string {
  return `arn:aws:s3:::${bucket}`
}

export function objectArn(bucket: string, key: string): string {
  return `arn:aws:s3:::${bucket}/${key}`
}

/** Keys that tie a grant to someone when they are compared with fixed values. */
const TYING_KEYS = new Set([
  'aws:principalaccount',
  'aws:principalarn',
  'aws:principalorgid',
  'aws:sourceaccount',
  'aws:sourcearn',
  'aws:sourceip',
  'aws:sourceorgid',
  'aws:sourceowner',
  'aws:sourcevpc',
  'aws:sourcevpce',
  'aws:userid',
  'aws:username',
  's3:dataaccesspointaccount',
  's3:dataaccesspointarn',
])

/** Ranges of more addresses than these are everyone's. */
const PUBLIC_IPV4_PREFIX_BITS = 8
const PUBLIC_IPV6_PREFIX_BITS = 32

/** Whether a bucket policy grants something to everyone: an Allow to `*` with no condition that ties it to someone. */
export function isPublicPolicy(policy: Policy): boolean {
  return policy.statements.some(({ isAllow, principals, isNotPrincipal, conditions }) => {
    if (!isAllow) return false
    const isForAll = isNotPrincipal || principals?.some((each) => each.isEveryone) === true
    return isForAll && !conditions.some(ties)
  })
}

function ties({ operator, key, values }: Condition): boolean {
  if (!TYING_KEYS.has(key.toLowerCase())) return false
  if (/ifexists$|^forallvalues:/i.test(operator)) return false
  const base = operator.replace(/^foranyvalue:/i, '').toLowerCase()
  if (base === 'ipaddress') {
    return values.every((value) => {
      const range = parseIpRange(value)
      if (range === undefined) return false
      return range.prefixBits >= (range.family === 4 ? PUBLIC_IPV4_PREFIX_BITS : PUBLIC_IPV6_PREFIX_BITS)
    })
  }
  if (!['stringequals', 'stringequalsignorecase', 'stringlike', 'arnequals', 'arnlike'].includes(base))
    return false
  return values.every((value) => !/[*?]|\$\{/.test(value))
}
