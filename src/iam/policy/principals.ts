/** Who a statement is about: everyone, accounts by id, name or ARN, and canonical ids. */
import type { PolicyPrincipal } from '../policy.ts'

export interface PrincipalPattern {
  /** As written. */
  text: string
  isEveryone: boolean
  matches(principal: PolicyPrincipal): boolean
}

const EVERYONE: PrincipalPattern = { text: '*', isEveryone: true, matches: () => true }

/** Says which account a name in a policy means; undefined: there is none. */
export interface PrincipalDirectory {
  accountByIdOrName(idOrName: string): { id: string } | undefined
  accountByCanonicalId(canonicalId: string): { id: string } | undefined
}

/** Undefined: no form of a principal, or nobody of that name. */
export function parsePrincipals(
  value: unknown,
  directory: PrincipalDirectory | undefined,
): PrincipalPattern[] | undefined {
  if (value === '*') return [EVERYONE]
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return undefined
  const patterns: (PrincipalPattern | undefined)[] = []
  for (const [kind, named] of Object.entries(value)) {
    const texts: unknown[] = Array.isArray(named) ? named : [named]
    if (texts.length === 0) return undefined
    for (const text of texts) {
      if (typeof text !== 'string') return undefined
      patterns.push(parseOne(kind, text, directory))
    }
  }
  if (patterns.length === 0 || patterns.some((each) => each === undefined)) return undefined
  return patterns as PrincipalPattern[]
}

function parseOne(
  kind: string,
  text: string,
  directory: PrincipalDirectory | undefined,
): PrincipalPattern | undefined {
  switch (kind) {
    case 'AWS':
      return text === '*' ? EVERYONE : parseAccount(text, directory)
    case 'CanonicalUser':
      return CANONICAL_ID.test(text) ? byCanonicalId(text, directory) : undefined
    case 'Service':
    case 'Federated':
      // Nobody comes as one, so such a statement is about nobody here.
      return text === '' ? undefined : { text, isEveryone: false, matches: () => false }
    default:
      return undefined
  }
}

const CANONICAL_ID = /^[0-9A-Za-z+/=_-]{1,128}$/
/** `arn:aws:iam::<account>:root`, `…:user/<path/><name>`; the account may be left out. */
const IAM_ARN =
  /^arn:aws[a-z-]*:(?:iam|sts):[^:]*:([^:]*):(root|(?:user|assumed-role|role|federated-user)\/(.+))$/

function parseAccount(text: string, directory: PrincipalDirectory | undefined): PrincipalPattern | undefined {
  const arn = IAM_ARN.exec(text)
  if (arn === null) {
    if (text.startsWith('arn:') || text === '') return undefined
    return byAccount(text, text, directory) ?? byCanonicalId(text, directory)
  }
  const [, account = '', rest = '', path] = arn
  if (rest === 'root') return account === '' ? undefined : byAccount(text, account, directory)
  const name = path!.slice(path!.lastIndexOf('/') + 1)
  if (name === '*') return undefined
  if (!rest.startsWith('user/')) return { text, isEveryone: false, matches: () => false }
  return byUser(text, { account, name }, directory)
}

function byAccount(
  text: string,
  account: string,
  directory: PrincipalDirectory | undefined,
): PrincipalPattern | undefined {
  if (directory === undefined) {
    // No account has another's id for its name, so this is one account and no more.
    const isIt = ({ accountId, name, canonicalId }: PolicyPrincipal) =>
      accountId !== undefined && (accountId === account || name === account || canonicalId === account)
    return { text, isEveryone: false, matches: isIt }
  }
  const found = directory.accountByIdOrName(account)
  if (found === undefined) return undefined
  return { text, isEveryone: false, matches: ({ accountId }) => accountId === found.id }
}

/** An account has one user, of its own name. */
function byUser(
  text: string,
  { account, name }: { account: string; name: string },
  directory: PrincipalDirectory | undefined,
): PrincipalPattern | undefined {
  if (directory !== undefined) {
    const found = directory.accountByIdOrName(name)
    if (found === undefined) return undefined
    if (account !== '' && directory.accountByIdOrName(account)?.id !== found.id) return undefined
    return { text, isEveryone: false, matches: ({ accountId }) => accountId === found.id }
  }
  return {
    text,
    isEveryone: false,
    matches: (principal) =>
      principal.accountId !== undefined &&
      (principal.accountId === name || principal.name === name) &&
      (account === '' || account === principal.accountId || account === principal.name),
  }
}

function byCanonicalId(
  text: string,
  directory: PrincipalDirectory | undefined,
): PrincipalPattern | undefined {
  if (directory !== undefined && directory.accountByCanonicalId(text) === undefined) return undefined
  return { text, isEveryone: false, matches: ({ canonicalId }) => canonicalId === text }
}
