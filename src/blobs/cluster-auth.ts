/**
 * Who may speak on the cluster's wire: every message between roles carries an HMAC-SHA256 with the cluster secret over
 * its method, path with query, time, nonce and the SHA-256 of its body. So a message cannot be forged, changed, sent
 * to another path, or sent again, and a stranger is refused before a byte of a body is read. The header is
 * `Authorization: Cairn-Cluster time=<ms>,nonce=<32 hex>,body=<64 hex>,mac=<64 hex>`.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import { CLUSTER_CLOCK_SKEW_MS_MAX, CLUSTER_NONCES_MAX, CLUSTER_SECRET_BYTES_MIN } from '../base/limits.ts'
import type { Random } from '../base/random.ts'

export interface ClusterHead {
  method: string
  /** Path and query exactly as on the request line. */
  path: string
}

export interface ClusterMessage extends ClusterHead {
  body: Buffer
}

const SCHEME = 'Cairn-Cluster'
const HEADER =
  /^Cairn-Cluster time=([0-9]{1,15}),nonce=([0-9a-f]{32}),body=([0-9a-f]{64}),mac=([0-9a-f]{64})$/
const NONCE_BYTES = 16
const EMPTY_HASH = hashOf(Buffer.alloc(0))

/** Whether an Authorization header is of this kind, right or wrong. */
export function isClusterAuthorization(authorization: string | undefined): authorization is string {
  return authorization?.startsWith(`${SCHEME} `) === true
}

/** Signs what one process sends and verifies what it receives. One secret for the cluster. */
export class ClusterAuth {
  readonly #secret: Buffer
  readonly #clock: Clock
  readonly #random: Random
  /** Nonces already seen, with the monotonic time after which their message is too old anyway. In order of arrival. */
  readonly #nonces = new Map<string, number>()

  /** `secret`: at least CLUSTER_SECRET_BYTES_MIN bytes, the same in every process of the cluster. */
  constructor(options: { secret: Buffer; clock: Clock; random: Random }) {
    assert(options.secret.length >= CLUSTER_SECRET_BYTES_MIN, 'the cluster secret is too short')
    this.#secret = options.secret
    this.#clock = options.clock
    this.#random = options.random
  }

  /** The value of the Authorization header for a message. */
  sign(message: ClusterMessage): string {
    const time = String(this.#clock.nowMs())
    const nonce = this.#random.bytes(NONCE_BYTES).toString('hex')
    const bodyHash = hashOf(message.body)
    const mac = this.#mac(message, [time, nonce, bodyHash]).toString('hex')
    return `${SCHEME} time=${time},nonce=${nonce},body=${bodyHash},mac=${mac}`
  }

  /** Throws `unauthorized` with the reason, or `too_many_requests` when nonces come faster than they expire. */
  verify(message: ClusterMessage, authorization: string | undefined): void {
    this.verifyHead(message, authorization)(message.body)
  }

  /**
   * Verifies all but the body, before it is read. Throws as `verify`; gives the check of the body, which throws
   * `unauthorized` when it is another one.
   */
  verifyHead(head: ClusterHead, authorization: string | undefined): (body: Buffer) => void {
    const { nonce, bodyHash } = this.#verifySigned(head, authorization)
    this.#useNonce(nonce)
    return (body) => {
      if (hashOf(body) !== bodyHash) throw wrongBody()
    }
  }

  /**
   * Verifies a request that changes nothing and has no body. It may come again while its time is good: whoever could send
   * it again has seen the reply. So no thread need know what others have seen. Throws `unauthorized`.
   */
  verifyRead(head: ClusterHead, authorization: string | undefined): void {
    const { bodyHash } = this.#verifySigned(head, authorization)
    if (bodyHash !== EMPTY_HASH) throw new StoreError('unauthorized', 'a read has no body')
  }

  /** Verifies all of a head but that it comes the first time: a stranger need not get any further. Throws `unauthorized`. */
  verifySignature(head: ClusterHead, authorization: string | undefined): void {
    this.#verifySigned(head, authorization)
  }

  /** The body of a head that was verified. Throws `unauthorized` when it is another one. */
  verifyBody(body: Buffer, authorization: string | undefined): void {
    if (HEADER.exec(authorization ?? '')?.[3] !== hashOf(body)) throw wrongBody()
  }

  #verifySigned(head: ClusterHead, authorization: string | undefined): { nonce: string; bodyHash: string } {
    const match = HEADER.exec(authorization ?? '')
    if (match === null) throw new StoreError('unauthorized', 'this path needs the cluster secret')
    const [, time, nonce, bodyHash, mac] = match as unknown as [string, string, string, string, string]
    if (!timingSafeEqual(Buffer.from(mac, 'hex'), this.#mac(head, [time, nonce, bodyHash]))) {
      throw new StoreError('unauthorized', 'wrong cluster secret')
    }
    const skewMs = Number(time) - this.#clock.nowMs()
    if (Math.abs(skewMs) > CLUSTER_CLOCK_SKEW_MS_MAX) {
      throw new StoreError(
        'unauthorized',
        `clocks differ by ${Math.round(skewMs / 1000)} s, more than ${CLUSTER_CLOCK_SKEW_MS_MAX / 1000} s`,
      )
    }
    return { nonce, bodyHash }
  }

  #useNonce(nonce: string): void {
    const now = this.#clock.monotonicMs()
    for (const [old, expiresMs] of this.#nonces) {
      if (expiresMs > now) break
      this.#nonces.delete(old)
    }
    if (this.#nonces.has(nonce)) throw new StoreError('unauthorized', 'this message was already received')
    // A nonce is never dropped early: that would let its message in again.
    if (this.#nonces.size >= CLUSTER_NONCES_MAX)
      throw new StoreError('too_many_requests', 'too many cluster messages')
    this.#nonces.set(nonce, now + 2 * CLUSTER_CLOCK_SKEW_MS_MAX + 1)
  }

  #mac({ method, path }: ClusterHead, signed: string[]): Buffer {
    return createHmac('sha256', this.#secret)
      .update([SCHEME, method, path, ...signed].join('\n'))
      .digest()
  }
}

function wrongBody(): StoreError {
  return new StoreError('unauthorized', 'the body is not the one that was signed')
}

function hashOf(body: Buffer): string {
  return createHash('sha256').update(body).digest('hex')
}
