/** Who a statement is about: everyone, accounts by id, name or ARN, and canonical ids. */

/** Whom a request comes from, as policies name them. */
export interface PolicyPrincipal {
  /** Undefined: nobody who is known. */
  accountId: string | undefined
  name: string | undefined
  canonicalId: string | undefined
}

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
      return text === '' ? undefined : nobody(text)
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
  if (arn === null)
    return text.startsWith('arn:') || text === '' ? undefined : byAccount(text, [text], directory)
  const [, account = '', rest = '', path] = arn
  if (rest === 'root') return account === '' ? undefined : byAccount(text, [account], directory)
  const name = path!.slice(path!.lastIndexOf('/') + 1)
  if (name === '*') return undefined
  if (!rest.startsWith('user/')) return nobody(text)
  // An account has one user, of its own name.
  return byAccount(text, account === '' ? [name] : [name, account], directory)
}

/** `names`: each its id, its name or its canonical id, and all of them the same account's. */
function byAccount(
  text: string,
  names: readonly string[],
  directory: PrincipalDirectory | undefined,
): PrincipalPattern | undefined {
  if (directory === undefined) {
    // No account has another's id for its name, so this is one account and no more.
    const isIt = ({ accountId, name, canonicalId }: PolicyPrincipal) =>
      accountId !== undefined &&
      names.every((each) => each === accountId || each === name || each === canonicalId)
    return { text, isEveryone: false, matches: isIt }
  }
  const ids = names.map((each) => find(directory, each)?.id)
  if (ids[0] === undefined || ids.some((each) => each !== ids[0])) return undefined
  return { text, isEveryone: false, matches: ({ accountId }) => accountId === ids[0] }
}

function find(directory: PrincipalDirectory, name: string): { id: string } | undefined {
  return directory.accountByIdOrName(name) ?? directory.accountByCanonicalId(name)
}

function nobody(text: string): PrincipalPattern {
  return { text, isEveryone: false, matches: () => false }
}

function byCanonicalId(
  text: string,
  directory: PrincipalDirectory | undefined,
): PrincipalPattern | undefined {
  if (directory !== undefined && directory.accountByCanonicalId(text) === undefined) return undefined
  return { text, isEveryone: false, matches: ({ canonicalId }) => canonicalId === text }
}
