/**
 * Tokens of uploads in steps: all that a server must know to go on with one, signed, so that any server of the installation can.
 * A token is `<JSON, base64url>.<HMAC-SHA256, base64url>`.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { StoreError } from '../../base/errors.ts'

export interface UploadToken {
  name: string
  sizeBytes: number
  sha256: Buffer
  uploadId: string
  /** Milliseconds since 1970. */
  expiresMs: number
}

/** What is signed with the same secret elsewhere is no token, and no token is that. */
const PURPOSE = 'cairn objects upload'

export class UploadTokens {
  readonly #key: Buffer

  /** `secret`: of the whole installation. */
  constructor(secret: string) {
    this.#key = createHmac('sha256', secret).update(PURPOSE).digest()
  }

  sign({ name, sizeBytes, sha256, uploadId, expiresMs }: UploadToken): string {
    const words = [name, sizeBytes, sha256.toString('base64'), uploadId, expiresMs]
    const payload = Buffer.from(JSON.stringify(words)).toString('base64url')
    return `${payload}.${this.#mac(payload).toString('base64url')}`
  }

  /** Throws `forbidden` for a token that was not signed here, or not in time. */
  verify(token: string, nowMs: number): UploadToken {
    const [payload = '', signature = '', ...rest] = token.split('.')
    const given = Buffer.from(signature, 'base64url')
    const wanted = this.#mac(payload)
    const isSame = given.length === wanted.length && timingSafeEqual(given, wanted)
    if (!isSame || rest.length > 0) throw new StoreError('forbidden', 'this is no token of an upload')
    // What was signed is well-formed.
    const [name, sizeBytes, hash, uploadId, expiresMs] = JSON.parse(
      Buffer.from(payload, 'base64url').toString(),
    ) as [string, number, string, string, number]
    if (nowMs >= expiresMs) throw new StoreError('forbidden', 'the token of this upload has expired')
    return { name, sizeBytes, sha256: Buffer.from(hash, 'base64'), uploadId, expiresMs }
  }

  #mac(payload: string): Buffer {
    return createHmac('sha256', this.#key).update(payload).digest()
  }
}
