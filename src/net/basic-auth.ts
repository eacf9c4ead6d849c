/**
 * Basic authentication (RFC 7617) by a file of `user:secret` lines. A secret is
 * `scrypt$<N>$<r>$<p>$<salt, base64>$<hash, base64>` (made by `hashPassword`), `{SHA}<base64>` as other servers' tools
 * write it, or a plain password. Lines that are empty or begin with # are skipped.
 */
import { createHash, createHmac, randomBytes, scrypt, scryptSync, timingSafeEqual } from 'node:crypto'
import { StoreError } from '../base/errors.ts'
import { BASIC_AUTH_CACHE_MAX, BASIC_AUTH_CHECKS_MAX, BASIC_AUTH_USERS_MAX } from '../base/limits.ts'

type CheckPassword = (password: Buffer) => boolean | Promise<boolean>

const SCRYPT = { N: 16_384, r: 8, p: 1 }
const SCRYPT_HASH_BYTES = 32
const SCRYPT_SALT_BYTES = 16
const SCRYPT_MEMORY_BYTES_MAX = 256 * 1024 * 1024

/** The text of a password in the file's scrypt form. */
export function hashPassword(password: string): string {
  const salt = randomBytes(SCRYPT_SALT_BYTES)
  const hash = scryptSync(password, salt, SCRYPT_HASH_BYTES, { ...SCRYPT, maxmem: SCRYPT_MEMORY_BYTES_MAX })
  return ['scrypt', SCRYPT.N, SCRYPT.r, SCRYPT.p, salt.toString('base64'), hash.toString('base64')].join('$')
}

export class BasicAuth {
  readonly #users = new Map<string, CheckPassword>()
  /** HMACs of credentials that were right: hashing a password again for each request would cost more than the request. */
  readonly #known = new Set<string>()
  readonly #cacheKey = randomBytes(32)
  /** Passwords that are being hashed. */
  #checks = 0
  /** Checked for unknown users, so that they take as long as known ones. */
  readonly #decoy: CheckPassword

  /** `text`: the file's content. Throws `bad_request` that names the first bad line (never its secret). */
  constructor(text: string) {
    const lines = text.split(/\r?\n/)
    for (const [index, line] of lines.entries()) {
      if (line.trim() === '' || line.startsWith('#')) continue
      const colon = line.indexOf(':')
      if (colon < 1)
        throw new StoreError('bad_request', `basic auth file, line ${index + 1}: not user:password`)
      const check = parseSecret(line.slice(colon + 1))
      if (check === undefined)
        throw new StoreError('bad_request', `basic auth file, line ${index + 1}: unusable secret`)
      this.#users.set(line.slice(0, colon), check)
    }
    if (this.#users.size === 0) throw new StoreError('bad_request', 'basic auth file: no users')
    if (this.#users.size > BASIC_AUTH_USERS_MAX)
      throw new StoreError('bad_request', 'basic auth file: too many users')
    this.#decoy = this.#users.values().next().value as CheckPassword
  }

  /**
   * The user that an Authorization header proves, or undefined. A promise only where a password must be hashed slowly,
   * which happens on another thread; it rejects with `too_many_requests` when too many wait for that already.
   */
  user(authorization: string | undefined): string | undefined | Promise<string | undefined> {
    const match = /^basic +([A-Za-z0-9+/=_-]+) *$/i.exec(authorization ?? '')
    if (match === null) return undefined
    const credentials = Buffer.from(match[1]!, 'base64')
    const colon = credentials.indexOf(':')
    if (colon < 1) return undefined
    const name = credentials.toString('utf8', 0, colon)
    const token = createHmac('sha256', this.#cacheKey).update(credentials).digest('latin1')
    if (this.#known.has(token)) return name
    const check = this.#users.get(name)
    if (this.#checks >= BASIC_AUTH_CHECKS_MAX) {
      return Promise.reject(new StoreError('too_many_requests', 'too many passwords to check; try again'))
    }
    const isRight = (check ?? this.#decoy)(credentials.subarray(colon + 1))
    const proven = (right: boolean) =>
      right && check !== undefined ? this.#remember(token, name) : undefined
    if (!(isRight instanceof Promise)) return proven(isRight)
    this.#checks++
    return isRight.then(proven).finally(() => this.#checks--)
  }

  #remember(token: string, name: string): string {
    if (this.#known.size >= BASIC_AUTH_CACHE_MAX) this.#known.clear()
    this.#known.add(token)
    return name
  }
}

/** The header that asks a client for its password. */
export const BASIC_AUTH_CHALLENGE = 'Basic realm="cairn", charset="UTF-8"'

function parseSecret(secret: string): CheckPassword | undefined {
  if (secret === '') return undefined
  if (secret.startsWith('{SHA}')) return shaCheck(secret.slice(5))
  if (secret.startsWith('scrypt$')) return scryptCheck(secret)
  // Formats of other tools that this one cannot check must not become plain passwords.
  if (/^(\$2[aby]\$|\$apr1\$|\$[156]\$|\{[A-Z0-9]+\})/.test(secret)) return undefined
  const wanted = digest(Buffer.from(secret))
  return (password) => timingSafeEqual(digest(password), wanted)
}

function digest(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest()
}

function shaCheck(base64: string): CheckPassword | undefined {
  const wanted = Buffer.from(base64, 'base64')
  if (wanted.length !== 20) return undefined
  return (password) => timingSafeEqual(createHash('sha1').update(password).digest(), wanted)
}

function scryptCheck(secret: string): CheckPassword | undefined {
  const [, cost, blockSize, parallel, salt, hash] = secret.split('$')
  const options = {
    N: Number(cost),
    r: Number(blockSize),
    p: Number(parallel),
    maxmem: SCRYPT_MEMORY_BYTES_MAX,
  }
  const wanted = Buffer.from(hash ?? '', 'base64')
  const saltBytes = Buffer.from(salt ?? '', 'base64')
  if (wanted.length < 16 || saltBytes.length < 8) return undefined
  try {
    // Costs that cannot be computed are found when the file is read, not at the first log-in.
    scryptSync('', saltBytes, wanted.length, options)
  } catch {
    return undefined
  }
  return (password) =>
    new Promise((resolve, reject) => {
      scrypt(password, saltBytes, wanted.length, options, (error, hash) => {
        if (error !== null) reject(error)
        else resolve(timingSafeEqual(hash, wanted))
      })
    })
}
