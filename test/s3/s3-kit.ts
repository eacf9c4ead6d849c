/** An S3 server on a real store and a real port, and clients that sign, for the tests of this folder. */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { systemRandom } from '../../src/base/random.ts'
import { Identities } from '../../src/iam/identities.ts'
import { SignerV4, type SigningKey } from '../../src/iam/sign.ts'
import type { MetaStore } from '../../src/meta/meta-store.ts'
import { openMetaStore } from '../../src/meta/open-meta-store.ts'
import { BodyBudget } from '../../src/net/body.ts'
import { BUCKET_CHANGES_BYTES } from '../../src/objects/bucket-memory.ts'
import { Buckets } from '../../src/objects/buckets.ts'
import { BlobContentReader } from '../../src/objects/content-reader.ts'
import { BlobContentWriter } from '../../src/objects/content-writer.ts'
import { inlineHashPool } from '../../src/objects/digests.ts'
import { IndexedStore } from '../../src/objects/indexed-store.ts'
import type { ObjectKeys } from '../../src/objects/object-keys.ts'
import type { Bucket, ObjectStore } from '../../src/objects/object-store.ts'
import { ObjectTree } from '../../src/objects/tree.ts'
import { UPLOAD_LOAD_BYTES, UploadLoad } from '../../src/objects/upload-load.ts'
import { MultipartUploads } from '../../src/objects/uploads.ts'
import { IamGate } from '../../src/protocols/s3/iam-gate.ts'
import { S3Counters } from '../../src/protocols/s3/s3-counters.ts'
import { S3Server, type S3ServerOptions } from '../../src/protocols/s3/server.ts'
import { type BlobStoreKit, startBlobStore } from '../blob-store/blob-store-kit.ts'
import { CheckedNames } from '../support/checked-names.ts'
import { objectKeys } from '../support/object-keys.ts'

export const ROOT: SigningKey = { accessKey: 'rootkey', secretKey: 'rootsecret' }
export const ALICE: SigningKey = { accessKey: 'alicekey', secretKey: 'alicesecret' }
export const BOB: SigningKey = { accessKey: 'bobkey', secretKey: 'bobsecret' }

const ACCOUNTS = JSON.stringify({
  accounts: [
    { name: 'alice', displayName: 'Alice', email: 'alice@example.com', accessKeys: [ALICE] },
    { name: 'bob', displayName: 'Bob', email: 'bob@example.com', accessKeys: [BOB] },
  ],
})

/** The canonical id that an account is shown by. */
export function canonicalId(account: 'root' | 'alice' | 'bob'): string {
  return createHash('sha256').update(account).digest('hex')
}

export interface S3KitOptions extends Partial<Omit<S3ServerOptions, 'gate' | 'objects'>> {
  allowsV2?: boolean
  clock?: Clock
  keys?: ObjectKeys
}

export interface S3Kit {
  port: number
  server: S3Server
  objects: ObjectStore
  /** What the bytes of objects lie in. */
  volumes: BlobStoreKit
  meta: MetaStore
  counters: S3Counters
  budget: BodyBudget
  identities: Identities
  /** The account's signing client; without a key an anonymous one. */
  as(key?: SigningKey): S3Client
  /** Of root. */
  client: S3Client
  close(): Promise<void>
}

export async function startS3(options: S3KitOptions = {}): Promise<S3Kit> {
  const { allowsV2 = true, clock = systemClock, region = 'us-east-1', keys = objectKeys(), ...rest } = options
  const random = systemRandom
  const blobKit = await startBlobStore({ isLocal: true, sync: 'none' })
  const directory = mkdtempSync(join(tmpdir(), 'cairn-s3-'))
  const meta = await openMetaStore(directory, { clock, random })
  const { blobs } = blobKit
  const load = new UploadLoad(new SharedArrayBuffer(UPLOAD_LOAD_BYTES))
  const hashPool = inlineHashPool
  const collection = '_objects'
  const writer = new BlobContentWriter({ blobs, load, hashPool, meta, clock, random, collection })
  const reader = new BlobContentReader({ blobs, meta, hashPool, keys })
  const objects = new IndexedStore({
    buckets: new Buckets({ meta, clock, random, changes: new SharedArrayBuffer(BUCKET_CHANGES_BYTES) }),
    names: new CheckedNames({ meta, keys, clock, random, writer, reader }),
    uploads: new MultipartUploads({ meta, keys, writer, reader, hashPool, clock, random }),
    tree: new ObjectTree({ meta, clock, random }),
  })
  const identities = new Identities(ROOT, { path: 'accounts.json', text: ACCOUNTS })
  const counters = new S3Counters(S3Counters.share(1), 0)
  const budget = new BodyBudget(new SharedArrayBuffer(4), 64 * 1024 * 1024)
  const server = new S3Server({
    objects,
    gate: new IamGate({ identities, region, clock, allowsV2 }),
    clock,
    random,
    log: silentLog,
    version: '0.0.0',
    region,
    counters,
    bodyBudget: budget,
    ...rest,
  })
  const port = await server.listen({ host: '127.0.0.1', port: 0 })
  const as = (key?: SigningKey) => new S3Client(port, { key, region, clock })
  return {
    ...{ port, server, objects, volumes: blobKit, meta, counters, budget, identities, as },
    client: as(ROOT),
    async close() {
      await server.close()
      await meta.close()
      await blobKit.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

export interface S3Reply {
  status: number
  headers: http.IncomingHttpHeaders
  body: Buffer
  text: string
}

export interface S3Ask {
  /** `/bucket/key`, not encoded; `query` beside it. */
  path: string
  query?: Record<string, string>
  headers?: Record<string, string>
  body?: string | Buffer
  /** Value of x-amz-content-sha256, in place of the body's digest. */
  payload?: string
  /** Sent as it is, in place of path and query; the signature stays that of path and query. */
  target?: string
  host?: string
}

const REPLY_MS_MAX = 20_000

export class S3Client {
  readonly #port: number
  readonly #signer: SignerV4 | undefined
  readonly #clock: Clock

  constructor(port: number, options: { key: SigningKey | undefined; region: string; clock: Clock }) {
    const { key, region, clock } = options
    this.#port = port
    this.#clock = clock
    this.#signer = key === undefined ? undefined : new SignerV4({ ...key, region })
  }

  get(path: string, query: Record<string, string> = {}, headers: Record<string, string> = {}) {
    return this.send('GET', { path, query, headers })
  }

  head(path: string, headers: Record<string, string> = {}) {
    return this.send('HEAD', { path, headers })
  }

  put(path: string, body: string | Buffer = '', more: Partial<S3Ask> = {}) {
    return this.send('PUT', { path, body, ...more })
  }

  /** An XML document, with the digest that most of them need. */
  putXml(path: string, sub: string, xml: string, headers: Record<string, string> = {}) {
    const md5 = createHash('md5').update(xml).digest('base64')
    return this.send('PUT', {
      path,
      query: { [sub]: '' },
      body: xml,
      headers: { 'Content-MD5': md5, ...headers },
    })
  }

  delete(path: string, query: Record<string, string> = {}, headers: Record<string, string> = {}) {
    return this.send('DELETE', { path, query, headers })
  }

  send(method: string, ask: S3Ask): Promise<S3Reply> {
    const { path, query = {}, headers = {}, payload } = ask
    const host = ask.host ?? `127.0.0.1:${this.#port}`
    const body = Buffer.from(ask.body ?? '')
    const pairs = Object.entries(query)
    const signing = { method, host, path, query: pairs, headers: Object.entries(headers), body }
    const nowMs = this.#clock.nowMs()
    const signed = this.#signer?.sign(payload === undefined ? signing : { ...signing, payload }, nowMs)
    const list = signed?.headers ?? [['Host', host], ...Object.entries(headers)]
    const plain = `${encodeURI(path)}${pairs.length === 0 ? '' : `?${new URLSearchParams(pairs)}`}`
    return exchange(
      this.#port,
      method,
      ask.target ?? signed?.target ?? plain,
      list as [string, string][],
      body,
    )
  }
}

/** One request over a connection of its own. */
export function exchange(
  port: number,
  method: string,
  target: string,
  headers: readonly (readonly [string, string])[],
  body: Buffer,
): Promise<S3Reply> {
  return new Promise((resolve, reject) => {
    const hasBody = body.length > 0 || method === 'PUT' || method === 'POST'
    const all = hasBody ? [...headers, ['Content-Length', String(body.length)] as const] : headers
    const options = { host: '127.0.0.1', port, method, path: target, agent: false, timeout: REPLY_MS_MAX }
    const sent = http.request({ ...options, headers: all.flat(), setHost: false }, (reply) => {
      const pieces: Buffer[] = []
      reply.on('data', (piece: Buffer) => pieces.push(piece))
      reply.on('error', reject)
      reply.on('end', () => {
        const whole = Buffer.concat(pieces)
        resolve({
          status: reply.statusCode!,
          headers: reply.headers,
          body: whole,
          text: whole.toString(),
        })
      })
    })
    sent.on('timeout', () => sent.destroy(new Error('no answer in time')))
    sent.on('error', reject)
    sent.end(body)
  })
}

/** Text of the first element of that name, as it stands in the document. */
export function element(xml: string, name: string): string | undefined {
  return new RegExp(`<${name}(?: [^>]*)?>([^<]*)</${name}>`).exec(xml)?.[1]
}

/** Texts of all elements of that name. */
export function elements(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}(?: [^>]*)?>([^<]*)</${name}>`, 'g'))].map(([, text]) => text!)
}

/** Status and code of an error reply, as one text. */
export function errorOf(reply: S3Reply): string {
  return `${reply.status} ${element(reply.text, 'Code') ?? ''}`
}

/** Puts objects past the front door. Gives the bucket as it is. */
export async function fill(kit: S3Kit, bucketName: string, keys: readonly string[]): Promise<Bucket> {
  const bucket = (await kit.objects.bucket(bucketName))!
  for (const key of keys) {
    const body = { sizeBytes: 3, whole: Buffer.from('abc'), async *pieces() {} }
    await kit.objects.put({ bucket, key, body, attributes: {} })
  }
  return bucket
}
