/**
 * Keys of encrypted objects. The bytes of each are encrypted with a key of their own, the data key, which is kept beside them,
 * wrapped: with a key of the installation (SSE-S3), or with one that only the client has (SSE-C).
 */
import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto'
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import { ENCRYPTION_KEY_BYTES, INSTALLATION_KEY_WAIT_MS } from '../base/limits.ts'
import type { Random } from '../base/random.ts'
import type { BlobId } from '../blobs/blob-store.ts'
import { encryptionOf } from './bucket-encryption.ts'
import type { Bucket, ObjectAttributes, PutObject } from './object-store.ts'

export type StoredEncryption = NonNullable<ObjectAttributes['encryption']>
type Asked = NonNullable<PutObject['encryption']>

/** One generation of the installation's keys. */
export interface InstallationKey {
  id: string
  createdMs: number
  /** ENCRYPTION_KEY_BYTES. */
  secret: Buffer
}

const CIPHER = 'aes-256-gcm'
const SALT_BYTES = 16
const TAG_BYTES = 16
const WRAPPED_BYTES = SALT_BYTES + ENCRYPTION_KEY_BYTES + TAG_BYTES
const ETAG_BYTES = 16
const OPENED_KEYS_MAX = 1_000
/** A key that is derived for one message needs no other nonce. */
const NONCE = Buffer.alloc(12)

/** The key that bytes are encrypted with, and how it is kept. */
export class DataKey {
  readonly stored: StoredEncryption
  readonly #secret: Buffer

  constructor(stored: StoredEncryption, secret: Buffer) {
    this.stored = stored
    this.#secret = secret
  }

  /** For one blob alone. */
  blobKey({ volumeId, keyHigh, keyLow, cookie }: BlobId): Buffer {
    const id = Buffer.allocUnsafe(16)
    id.writeUInt32BE(volumeId, 0)
    id.writeUInt32BE(keyHigh, 4)
    id.writeUInt32BE(keyLow, 8)
    id.writeUInt32BE(cookie, 12)
    return derived(this.#secret, 'cairn blob 1', id)
  }

  /** MD5 of the bytes, or what stands for it where nobody without the key shall learn anything of them. */
  etagOf(md5: Buffer): string {
    const etag = this.stored.kind === 'SSE-S3' ? md5 : derived(this.#secret, 'cairn etag 1', md5)
    return etag.toString('hex', 0, ETAG_BYTES)
  }
}

export class ObjectKeys {
  readonly #clock: Clock
  readonly #random: Random
  #keys: readonly InstallationKey[]
  /** Of the objects that were read last, by their wrapped keys. */
  readonly #opened = new Map<string, DataKey>()

  /** `keys`: of the installation, in the order in which they were made; without any SSE-S3 is refused. */
  constructor(options: { clock: Clock; random: Random; keys?: readonly InstallationKey[] }) {
    this.#clock = options.clock
    this.#random = options.random
    this.#keys = options.keys ?? []
  }

  /** The same, from now on. */
  replace(keys: readonly InstallationKey[]): void {
    this.#keys = keys
    this.#opened.clear()
  }

  /**
   * A new key for a new object of a bucket, where it is to be encrypted: because that is asked for, or the bucket says so.
   * Throws `forbidden` (the bucket takes no such keys), `unsupported` (no key management service; no keys).
   */
  forNew(bucket: Bucket, asked: PutObject['encryption']): DataKey | undefined {
    const wanted = encryptionOf(bucket, asked)
    return wanted === undefined ? undefined : this.make(wanted)
  }

  make(asked: Asked): DataKey {
    const secret = this.#random.bytes(ENCRYPTION_KEY_BYTES)
    if ('customerKey' in asked) {
      assert(asked.customerKey.length === ENCRYPTION_KEY_BYTES, 'front doors check the length of keys')
      const key = this.#wrap(secret, asked.customerKey, 'SSE-C')
      return new DataKey({ kind: 'SSE-C', key }, secret)
    }
    const { id, secret: newest } = this.#newest()
    const key = this.#wrap(secret, newest, `SSE-S3 ${id}`)
    return new DataKey({ kind: 'SSE-S3', keyId: id, key }, secret)
  }

  /**
   * The key of bytes that are there; undefined: they are not encrypted. Throws `key_required`, `key_not_needed`,
   * `wrong_key`, `unavailable` (a generation that is not in the key file), `corrupt`.
   */
  open(stored: StoredEncryption | undefined, customerKey: Buffer | undefined): DataKey | undefined {
    if (stored?.kind !== 'SSE-C' && customerKey !== undefined)
      throw new StoreError('key_not_needed', 'the object is not encrypted with a key of its owner')
    if (stored === undefined) return undefined
    if (stored.kind === 'SSE-S3') return this.#openManaged(stored)
    if (customerKey === undefined)
      throw new StoreError('key_required', 'the object is encrypted with a key that its owner keeps (SSE-C)')
    const secret = unwrap(stored.key, customerKey, 'SSE-C')
    if (secret === undefined)
      throw new StoreError('wrong_key', 'the object is encrypted with another key of its owner')
    return new DataKey(stored, secret)
  }

  #openManaged(stored: StoredEncryption): DataKey {
    const known = this.#opened.get(stored.key)
    if (known !== undefined && known.stored.keyId === stored.keyId) return known
    const key = this.#keys.find(({ id }) => id === stored.keyId)
    if (key === undefined)
      throw new StoreError('unavailable', `the file of encryption keys has no key ${stored.keyId}`)
    const secret = unwrap(stored.key, key.secret, `SSE-S3 ${key.id}`)
    if (secret === undefined) throw new StoreError('corrupt', 'the wrapped key of an object is damaged')
    if (this.#opened.size >= OPENED_KEYS_MAX) this.#opened.clear()
    const dataKey = new DataKey(stored, secret)
    this.#opened.set(stored.key, dataKey)
    return dataKey
  }

  /** A key that was made a moment ago is not known to every thread and process yet. */
  #newest(): InstallationKey {
    const knownBeforeMs = this.#clock.nowMs() - INSTALLATION_KEY_WAIT_MS
    const key = this.#keys.findLast(({ createdMs }) => createdMs <= knownBeforeMs) ?? this.#keys[0]
    if (key === undefined)
      throw new StoreError('unsupported', 'there are no encryption keys of this installation')
    return key
  }

  #wrap(secret: Buffer, wrapping: Buffer, purpose: string): string {
    const salt = this.#random.bytes(SALT_BYTES)
    const cipher = createCipheriv(CIPHER, derived(wrapping, `cairn wrap 1 ${purpose}`, salt), NONCE)
    const wrapped = [salt, cipher.update(secret), cipher.final(), cipher.getAuthTag()]
    return Buffer.concat(wrapped).toString('base64')
  }
}

/** Undefined: it is not the key. */
function unwrap(text: string, wrapping: Buffer, purpose: string): Buffer | undefined {
  const wrapped = Buffer.from(text, 'base64')
  if (wrapped.length !== WRAPPED_BYTES) return undefined
  const salt = wrapped.subarray(0, SALT_BYTES)
  const key = derived(wrapping, `cairn wrap 1 ${purpose}`, salt)
  const decipher = createDecipheriv(CIPHER, key, NONCE, { authTagLength: TAG_BYTES })
  decipher.setAuthTag(wrapped.subarray(-TAG_BYTES))
  const secret = decipher.update(wrapped.subarray(SALT_BYTES, -TAG_BYTES))
  try {
    decipher.final()
    return secret
  } catch {
    return undefined
  }
}

/** 32 bytes for one purpose. */
function derived(secret: Buffer, purpose: string, context: Buffer): Buffer {
  return createHmac('sha256', secret).update(`${purpose}\0`).update(context).digest()
}
