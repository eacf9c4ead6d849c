/**
 * Who there is: the root account, whose key the command line gives, and accounts of an identities file. The file can be
 * read again at any time; a file with a mistake in it changes nothing.
 */
import { createHash, randomBytes } from 'node:crypto'
import { StoreError } from '../base/errors.ts'
import { ACCESS_KEYS_PER_ACCOUNT_MAX, ACCOUNTS_MAX, IDENTITIES_BYTES_MAX } from '../base/limits.ts'
import { type PrincipalDirectory, parsePolicy } from './parse-policy.ts'
import type { Policy } from './policy.ts'

export interface Account {
  id: string
  /** As policies name its user. */
  name: string
  /** As listings show it. */
  displayName: string
  email: string | undefined
  /** 64 hex digits, made from the id unless the file gives another. */
  canonicalId: string
  isRoot: boolean
  /** Without any, the account has all rights over its own buckets. */
  policies: readonly Policy[]
}

export interface AccessKey {
  accessKey: string
  secretKey: string
  account: Account
}

/** Whom a request comes from. */
export interface Principal {
  /** Undefined: anonymous. */
  account: Account | undefined
  /** The key that signed. */
  accessKey: string | undefined
}

export const ANONYMOUS: Principal = Object.freeze({ account: undefined, accessKey: undefined })

export const ROOT_ACCOUNT_ID = 'root'

export function canonicalIdOf(accountId: string): string {
  return createHash('sha256').update(accountId).digest('hex')
}

interface Directory {
  keys: Map<string, AccessKey>
  byId: Map<string, Account>
  byName: Map<string, Account>
  byCanonicalId: Map<string, Account>
  byEmail: Map<string, Account>
}

export interface IdentitiesFile {
  /** Named in errors. */
  path: string
  text: string
}

export class Identities implements PrincipalDirectory {
  readonly #root: AccessKey
  #directory: Directory
  /** Signs like a key, but is nobody's: an unknown key is checked against it and takes as long as a known one. */
  readonly decoy: AccessKey

  /** Throws `bad_request` that says where in the file what is wrong. */
  constructor(root: { accessKey: string; secretKey: string }, file?: IdentitiesFile) {
    checkKey(root, 'the root key')
    this.#root = { ...root, account: rootAccount() }
    this.decoy = { accessKey: '', secretKey: randomBytes(30).toString('base64'), account: this.#root.account }
    this.#directory = build(this.#root, file)
  }

  /** Takes the accounts of a file in place of those before. Throws `bad_request`, and then nothing has changed. */
  replace(file: IdentitiesFile | undefined): void {
    this.#directory = build(this.#root, file)
  }

  /** Undefined: unknown or not active. */
  accessKey(accessKey: string): AccessKey | undefined {
    return this.#directory.keys.get(accessKey)
  }

  get root(): Account {
    return this.#root.account
  }

  account(id: string): Account | undefined {
    return this.#directory.byId.get(id)
  }

  accountByIdOrName(idOrName: string): Account | undefined {
    return this.#directory.byId.get(idOrName) ?? this.#directory.byName.get(idOrName)
  }

  accountByCanonicalId(canonicalId: string): Account | undefined {
    return this.#directory.byCanonicalId.get(canonicalId)
  }

  accountByEmail(email: string): Account | undefined {
    return this.#directory.byEmail.get(email.toLowerCase())
  }

  /** Owners stay known in listings after their account has gone. */
  ownerOf(accountId: string): { canonicalId: string; displayName: string } {
    return this.account(accountId) ?? { canonicalId: canonicalIdOf(accountId), displayName: accountId }
  }
}

function rootAccount(): Account {
  return {
    id: ROOT_ACCOUNT_ID,
    name: ROOT_ACCOUNT_ID,
    displayName: ROOT_ACCOUNT_ID,
    email: undefined,
    canonicalId: canonicalIdOf(ROOT_ACCOUNT_ID),
    isRoot: true,
    policies: [],
  }
}

function build(root: AccessKey, file: IdentitiesFile | undefined): Directory {
  const directory: Directory = {
    keys: new Map([[root.accessKey, root]]),
    byId: new Map(),
    byName: new Map(),
    byCanonicalId: new Map(),
    byEmail: new Map(),
  }
  addAccount(directory, root.account, '')
  if (file !== undefined) new FileReader(directory, file.path).read(file.text)
  return directory
}

function addAccount(directory: Directory, account: Account, where: string): void {
  const { byId, byName, byCanonicalId, byEmail } = directory
  const { id, name, canonicalId } = account
  // Policies name accounts by any of the three, so what is one account's name must not be another's id.
  for (const named of [id, name, canonicalId]) {
    if (!byId.has(named) && !byName.has(named) && !byCanonicalId.has(named)) continue
    throw new StoreError('bad_request', `${where}: another account has ${named} for its id or name`)
  }
  const email = account.email?.toLowerCase()
  if (email !== undefined && byEmail.has(email))
    throw new StoreError('bad_request', `${where}: another account has the email ${email}`)
  byId.set(id, account)
  byName.set(name, account)
  byCanonicalId.set(canonicalId, account)
  if (email !== undefined) byEmail.set(email, account)
}

/** No slash: credentials have the parts of their scope behind one. */
const ACCESS_KEY = /^[A-Za-z0-9._~+=@-]{3,128}$/
const SECRET_KEY = /^[\x21-\x7e]{8,128}$/
const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const NAME = /^[\w+=,.@-]{1,64}$/
const DISPLAY_NAME = /^[^\p{Cc}]{1,128}$/u
const EMAIL = /^[^\s@]{1,64}@[^\s@]{1,190}$/
const CANONICAL_ID = /^[0-9A-Za-z]{8,64}$/

function checkKey({ accessKey, secretKey }: { accessKey: unknown; secretKey: unknown }, where: string): void {
  if (typeof accessKey !== 'string' || !ACCESS_KEY.test(accessKey))
    throw new StoreError(
      'bad_request',
      `${where}: accessKey must be 3 to 128 letters, digits and . _ ~ + = @ -`,
    )
  if (typeof secretKey !== 'string' || !SECRET_KEY.test(secretKey))
    throw new StoreError('bad_request', `${where}: secretKey must be 8 to 128 visible ASCII characters`)
}

/** Reads the file; every error begins with its path and the place in it. */
class FileReader {
  readonly #directory: Directory
  readonly #path: string

  constructor(directory: Directory, path: string) {
    this.#directory = directory
    this.#path = path
  }

  read(text: string): void {
    if (Buffer.byteLength(text) > IDENTITIES_BYTES_MAX)
      throw this.#error('', `larger than ${IDENTITIES_BYTES_MAX} bytes`)
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch (error) {
      throw this.#error('', `not JSON: ${(error as Error).message}`)
    }
    const { accounts } = this.#object(value, '', ['accounts'])
    const list = this.#list(accounts, 'accounts', ACCOUNTS_MAX)
    for (const [at, each] of list.entries()) this.#account(each, `accounts[${at}]`)
  }

  #account(value: unknown, at: string): void {
    const fields = ['name', 'id', 'displayName', 'email', 'canonicalId', 'accessKeys', 'policies']
    const source = this.#object(value, at, fields)
    const name = this.#text(source.name, `${at}.name`, NAME)
    const id = this.#text(source.id ?? name, `${at}.id`, ID)
    const account: Account = {
      id,
      name,
      displayName: this.#text(source.displayName ?? name, `${at}.displayName`, DISPLAY_NAME),
      email: source.email === undefined ? undefined : this.#text(source.email, `${at}.email`, EMAIL),
      canonicalId:
        source.canonicalId === undefined
          ? canonicalIdOf(id)
          : this.#text(source.canonicalId, `${at}.canonicalId`, CANONICAL_ID),
      isRoot: false,
      policies: this.#list(source.policies ?? [], `${at}.policies`, ACCESS_KEYS_PER_ACCOUNT_MAX).map(
        (each, index) => this.#policy(each, `${at}.policies[${index}]`),
      ),
    }
    addAccount(this.#directory, account, `${this.#path}: ${at}`)
    const keys = this.#list(source.accessKeys ?? [], `${at}.accessKeys`, ACCESS_KEYS_PER_ACCOUNT_MAX)
    for (const [index, each] of keys.entries()) this.#key(each, account, `${at}.accessKeys[${index}]`)
  }

  #key(value: unknown, account: Account, at: string): void {
    const source = this.#object(value, at, ['accessKey', 'secretKey', 'status'])
    checkKey(source as { accessKey: unknown; secretKey: unknown }, `${this.#path}: ${at}`)
    const { accessKey, secretKey, status = 'active' } = source as Record<string, string>
    if (status !== 'active' && status !== 'inactive')
      throw this.#error(`${at}.status`, 'must be "active" or "inactive"')
    if (this.#directory.keys.has(accessKey!))
      throw this.#error(at, `the access key ${accessKey} is there twice`)
    if (status === 'active')
      this.#directory.keys.set(accessKey!, { accessKey: accessKey!, secretKey: secretKey!, account })
  }

  #policy(value: unknown, at: string): Policy {
    this.#object(value, at, undefined)
    try {
      return parsePolicy(JSON.stringify(value))
    } catch (error) {
      throw this.#error(at, (error as Error).message)
    }
  }

  #object(value: unknown, at: string, fields: readonly string[] | undefined): Record<string, unknown> {
    if (value === null || typeof value !== 'object' || Array.isArray(value))
      throw this.#error(at, 'must be an object')
    const unknown = fields && Object.keys(value).find((each) => !fields.includes(each))
    if (unknown !== undefined)
      throw this.#error(at, `unknown field ${unknown}; known are ${fields!.join(', ')}`)
    return value as Record<string, unknown>
  }

  #list(value: unknown, at: string, lengthMax: number): unknown[] {
    if (!Array.isArray(value)) throw this.#error(at, 'must be a list')
    if (value.length > lengthMax) throw this.#error(at, `more than ${lengthMax} entries`)
    return value
  }

  #text(value: unknown, at: string, pattern: RegExp): string {
    if (typeof value === 'string' && pattern.test(value)) return value
    throw this.#error(at, value === undefined ? 'is missing' : `must be a text like ${pattern.source}`)
  }

  #error(at: string, message: string): StoreError {
    return new StoreError(
      'bad_request',
      at === '' ? `${this.#path}: ${message}` : `${this.#path}: ${at}: ${message}`,
    )
  }
}
