/**
 * Signs requests as clients do, versions 4 and 2: in headers, in presigned links, over forms, and chunk by chunk. It has
 * nothing in common with the verifier of the S3 front door, so that each proves the other.
 */
import { createHash, createHmac } from 'node:crypto'

export interface SigningKey {
  accessKey: string
  secretKey: string
}

export interface SignerOptions extends SigningKey {
  region?: string
  /** Default s3; with any other, no header names the payload. */
  service?: string
}

export interface RequestToSign {
  method: string
  host: string
  /** Not encoded, begins with `/`. */
  path: string
  /** Not encoded. */
  query?: readonly (readonly [name: string, value: string])[]
  /** Beside Host and those that signing adds. All of them are signed. */
  headers?: readonly (readonly [name: string, value: string])[]
  /** Its digest is signed, or what `payload` says instead. */
  body?: Buffer
  /** Value of x-amz-content-sha256. */
  payload?: string
}

export interface SignedRequest {
  /** Encoded path and query. */
  target: string
  /** All of them, Host first. */
  headers: [name: string, value: string][]
  signature: string
}

type Pair = readonly [name: string, value: string]

/** Percent-encodes all but unreserved characters. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
}

function encodePath(path: string): string {
  return path.split('/').map(encode).join('/')
}

/** As it is sent: in the order given. */
function encodeQuery(query: readonly Pair[]): string {
  return query.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&')
}

/** As it is signed: in order. */
function sortQuery(query: readonly Pair[]): string {
  return encodeQuery(query)
    .split('&')
    .map((pair) => pair.split('='))
    .sort(([a, x], [b, y]) => compare(a!, b!) || compare(x!, y!))
    .map((pair) => pair.join('='))
    .join('&')
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function sha256(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex')
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function stamp(ms: number): string {
  return new Date(ms).toISOString().replace(/[-:]|\.[0-9]{3}/g, '')
}

/** Lower case, in order, with the values of repeated names joined. Version 4 takes spaces in a row for one. */
function collect(headers: readonly Pair[], spaces: 'one' | 'all' = 'one'): Pair[] {
  const values = new Map<string, string[]>()
  for (const [name, value] of headers) {
    const list = values.get(name.toLowerCase()) ?? []
    list.push(spaces === 'one' ? value.trim().replace(/\s+/g, ' ') : value.trim())
    values.set(name.toLowerCase(), list)
  }
  return [...values].map(([name, list]): Pair => [name, list.join(',')]).sort(([a], [b]) => compare(a, b))
}

/** Version 4. */
export class SignerV4 {
  readonly #key: SigningKey
  readonly #region: string
  readonly #service: string
  /** The key of the last day that something was signed on. */
  #derived: { day: string; key: Buffer } = { day: '', key: Buffer.alloc(0) }

  constructor({ accessKey, secretKey, region = 'us-east-1', service = 's3' }: SignerOptions) {
    this.#key = { accessKey, secretKey }
    this.#region = region
    this.#service = service
  }

  /** A request with an Authorization header. */
  sign(request: RequestToSign, nowMs: number): SignedRequest {
    const { method, host, path, query = [], headers = [], body } = request
    const payload = request.payload ?? sha256(body ?? Buffer.alloc(0))
    const date = stamp(nowMs)
    const all: Pair[] = [['Host', host], ...headers, ['X-Amz-Date', date]]
    if (this.#service === 's3') all.push(['x-amz-content-sha256', payload])
    const signed = collect(all)
    const names = signed.map(([name]) => name).join(';')
    const canonical = [method, encodePath(path), sortQuery(query), lines(signed), names, payload].join('\n')
    const signature = this.#signature(date, canonical)
    const credential = `${this.#key.accessKey}/${this.scope(date)}`
    const authorization = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names}, Signature=${signature}`
    return {
      target: encodePath(path) + (query.length === 0 ? '' : `?${encodeQuery(query)}`),
      headers: [...(all as [string, string][]), ['Authorization', authorization]],
      signature,
    }
  }

  /** A link that is good for so many seconds. The headers must be sent with it. */
  presign(request: RequestToSign, { nowMs, expiresS }: { nowMs: number; expiresS: number }): SignedRequest {
    const { method, host, path, query = [], headers = [], payload = 'UNSIGNED-PAYLOAD' } = request
    const date = stamp(nowMs)
    const all: Pair[] = [['Host', host], ...headers]
    const signed = collect(all)
    const names = signed.map(([name]) => name).join(';')
    const complete: Pair[] = [
      ...query,
      ['X-Amz-Algorithm', 'AWS4-HMAC-SHA256'],
      ['X-Amz-Credential', `${this.#key.accessKey}/${this.scope(date)}`],
      ['X-Amz-Date', date],
      ['X-Amz-Expires', String(expiresS)],
      ['X-Amz-SignedHeaders', names],
    ]
    const canonical = [method, encodePath(path), sortQuery(complete), lines(signed), names, payload].join(
      '\n',
    )
    const signature = this.#signature(date, canonical)
    const target = `${encodePath(path)}?${encodeQuery([...complete, ['X-Amz-Signature', signature]])}`
    return { target, headers: all as [string, string][], signature }
  }

  /** The fields that a form needs beside its own. `policy`: JSON; fields must be in its conditions. */
  signForm(policy: string, nowMs: number): [name: string, value: string][] {
    const date = stamp(nowMs)
    const base64 = Buffer.from(policy).toString('base64')
    return [
      ['policy', base64],
      ['x-amz-algorithm', 'AWS4-HMAC-SHA256'],
      ['x-amz-credential', `${this.#key.accessKey}/${this.scope(date)}`],
      ['x-amz-date', date],
      ['x-amz-signature', hmac(this.#derive(date), base64).toString('hex')],
    ]
  }

  /** Signs the pieces of a body, in order, behind a request that was signed at `nowMs`. */
  chunks(seed: string, nowMs: number): ChunkSigner {
    const date = stamp(nowMs)
    return new ChunkSigner({ key: this.#derive(date), date, scope: this.scope(date), seed })
  }

  /** `date`: `20130524T000000Z`, or its day. */
  scope(date: string): string {
    return `${date.slice(0, 8)}/${this.#region}/${this.#service}/aws4_request`
  }

  #signature(date: string, canonical: string): string {
    const text = `AWS4-HMAC-SHA256\n${date}\n${this.scope(date)}\n${sha256(canonical)}`
    return hmac(this.#derive(date), text).toString('hex')
  }

  #derive(date: string): Buffer {
    const day = date.slice(0, 8)
    if (this.#derived.day !== day) {
      const parts = this.scope(day).split('/')
      const key = parts.reduce<Buffer>(hmac, Buffer.from(`AWS4${this.#key.secretKey}`))
      this.#derived = { day, key }
    }
    return this.#derived.key
  }
}

function lines(headers: readonly Pair[]): string {
  return headers.map(([name, value]) => `${name}:${value}\n`).join('')
}

/** The signatures of one aws-chunked body. */
class ChunkSigner {
  readonly #key: Buffer
  readonly #date: string
  readonly #scope: string
  #previous: string

  constructor({ key, date, scope, seed }: { key: Buffer; date: string; scope: string; seed: string }) {
    this.#key = key
    this.#date = date
    this.#scope = scope
    this.#previous = seed
  }

  /** The signature of the next piece; the last one is empty. */
  chunk(data: Buffer): string {
    return this.#next('AWS4-HMAC-SHA256-PAYLOAD', `${sha256('')}\n${sha256(data)}`)
  }

  /** Of the trailing headers, each `name:value` in lower case with a line feed. */
  trailer(text: string): string {
    return this.#next('AWS4-HMAC-SHA256-TRAILER', sha256(text))
  }

  #next(kind: string, rest: string): string {
    const text = `${kind}\n${this.#date}\n${this.#scope}\n${this.#previous}\n${rest}`
    this.#previous = hmac(this.#key, text).toString('hex')
    return this.#previous
  }
}

/** Parameters that version 2 signs, of those that this program sends. */
const V2_PARAMS =
  /^(acl|cors|delete|lifecycle|location|logging|notification|partNumber|policy|requestPayment|tagging|torrent|uploadId|uploads|versionId|versioning|versions|website|response-[a-z-]+)$/

/** Version 2. */
export class SignerV2 {
  readonly #key: SigningKey

  constructor(key: SigningKey) {
    this.#key = key
  }

  /** `bucketOfHost`: where the bucket is named by the host and not in the path. */
  sign(request: RequestToSign, nowMs: number, bucketOfHost?: string): SignedRequest {
    const date = new Date(nowMs).toUTCString()
    const headers: Pair[] = [['Host', request.host], ...(request.headers ?? []), ['Date', date]]
    const signature = this.#signature({ ...request, headers }, date, bucketOfHost)
    const authorization = `AWS ${this.#key.accessKey}:${signature}`
    return {
      target: targetOf(request, request.query ?? []),
      headers: [...(headers as [string, string][]), ['Authorization', authorization]],
      signature,
    }
  }

  presign(request: RequestToSign, expiresS: number, bucketOfHost?: string): SignedRequest {
    const signature = this.#signature(request, String(expiresS), bucketOfHost)
    const query: Pair[] = [
      ...(request.query ?? []),
      ['AWSAccessKeyId', this.#key.accessKey],
      ['Expires', String(expiresS)],
      ['Signature', signature],
    ]
    const headers: [string, string][] = [
      ['Host', request.host],
      ...((request.headers ?? []) as [string, string][]),
    ]
    return { target: targetOf(request, query), headers, signature }
  }

  signForm(policy: string): [name: string, value: string][] {
    const base64 = Buffer.from(policy).toString('base64')
    return [
      ['policy', base64],
      ['AWSAccessKeyId', this.#key.accessKey],
      ['signature', this.#hmac(base64)],
    ]
  }

  #signature(request: RequestToSign, date: string, bucketOfHost: string | undefined): string {
    const headers = new Map(collect(request.headers ?? [], 'all'))
    const amz = [...headers].filter(([name]) => name.startsWith('x-amz-'))
    const params = (request.query ?? [])
      .filter(([name]) => V2_PARAMS.test(name))
      .sort(([a], [b]) => compare(a, b))
    const query = params.map(([name, value]) => (value === '' ? name : `${name}=${value}`)).join('&')
    const bucket = bucketOfHost === undefined ? '' : `/${bucketOfHost}`
    const resource = bucket + encodePath(request.path) + (query === '' ? '' : `?${query}`)
    const { method } = request
    const [md5, type] = [headers.get('content-md5') ?? '', headers.get('content-type') ?? '']
    return this.#hmac(`${method}\n${md5}\n${type}\n${date}\n${lines(amz)}${resource}`)
  }

  #hmac(text: string): string {
    return createHmac('sha1', this.#key.secretKey).update(text).digest('base64')
  }
}

/** Parameters without a value stand alone, as version 2 signs them. */
function targetOf({ path }: RequestToSign, query: readonly Pair[]): string {
  const pairs = query.map(([name, value]) =>
    value === '' ? encode(name) : `${encode(name)}=${encode(value)}`,
  )
  return encodePath(path) + (pairs.length === 0 ? '' : `?${pairs.join('&')}`)
}
