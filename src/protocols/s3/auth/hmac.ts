/**
 * SHA-256 and HMAC of short texts, by one-shot hashes: half the cost of streams of them, and a request needs several.
 * Signing keys are kept for the day that they are good for.
 */
import crypto, { createHmac } from 'node:crypto'
import type { AccessKey } from '../../../iam/identities.ts'
import { type Credential, SERVICE, TERMINATOR } from './credential.ts'

const BLOCK_BYTES = 64
const HASH_BYTES = 32

/** In hex. `text` is latin1. */
export function sha256Hex(text: string): string {
  return crypto.hash('sha256', Buffer.from(text, 'latin1'), 'hex')
}

/** HMAC-SHA256 with one key. */
export class HmacKey {
  readonly #inner = Buffer.alloc(BLOCK_BYTES, 0x36)
  readonly #outer = Buffer.alloc(BLOCK_BYTES + HASH_BYTES, 0x5c)

  /** `key`: at most 64 bytes. */
  constructor(key: Buffer) {
    for (let i = 0; i < key.length; i++) {
      this.#inner[i]! ^= key[i]!
      this.#outer[i]! ^= key[i]!
    }
  }

  /** `text` is latin1. */
  signHex(text: string): string {
    const message = Buffer.allocUnsafe(BLOCK_BYTES + text.length)
    this.#inner.copy(message)
    message.write(text, BLOCK_BYTES, 'latin1')
    this.#outer.write(crypto.hash('sha256', message, 'latin1'), BLOCK_BYTES, 'latin1')
    return crypto.hash('sha256', this.#outer, 'hex')
  }
}

/** The last keys of each access key: those of today, and around midnight those of yesterday. */
const KEYS_KEPT = 4

/** Signing keys by access key; they go with the access key when identities are read again. */
export class SigningKeys {
  readonly #keys = new WeakMap<AccessKey, Map<string, HmacKey>>()

  get(accessKey: AccessKey, { scope, date, region }: Credential): HmacKey {
    let kept = this.#keys.get(accessKey)
    if (kept === undefined) {
      kept = new Map()
      this.#keys.set(accessKey, kept)
    }
    const known = kept.get(scope)
    if (known !== undefined) return known
    let key = Buffer.from(`AWS4${accessKey.secretKey}`)
    for (const part of [date, region, SERVICE, TERMINATOR])
      key = createHmac('sha256', key).update(part).digest()
    const made = new HmacKey(key)
    if (kept.size >= KEYS_KEPT) kept.delete(kept.keys().next().value!)
    kept.set(scope, made)
    return made
  }
}
