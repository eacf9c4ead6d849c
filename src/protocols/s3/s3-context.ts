/**
 * What an action is given: the request, the bucket, who asks, and the body. An action returns its outcome or throws; what
 * every request needs (credentials, permissions, CORS, counters, errors as XML) is done around it by `server.ts`.
 */
import { assert } from '../../base/assert.ts'
import type { Clock } from '../../base/clock.ts'
import { StoreError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { Random } from '../../base/random.ts'
import type { Account, Identities } from '../../iam/identities.ts'
import { neededActions } from '../../iam/s3-operations.ts'
import type { BodyBudget } from '../../net/body.ts'
import type { Outcome } from '../../net/reply.ts'
import { digestsOf } from '../../objects/digests.ts'
import type { Bucket, FoundObject, ObjectBody, ObjectStore } from '../../objects/object-store.ts'
import { assertHasDigest } from './digest-headers.ts'
import type { ExpirationHeader } from './expiration-header.ts'
import type { Authenticated, Gate, Question, Told } from './gate.ts'
import type { RequestBody } from './request-body.ts'
import { factsOf } from './route.ts'
import type { Route } from './routes.ts'
import { S3Error, type S3ErrorCode } from './s3-error.ts'
import type { S3Request } from './s3-request.ts'
import { openUpload, type UploadBody } from './upload-body.ts'
import { parseXml, type XmlNode } from './xml-reader.ts'

/** What all requests share. */
export interface S3Services {
  objects: ObjectStore
  gate: Gate
  clock: Clock
  random: Random
  log: Log
  /** Where buckets are, as clients name it. */
  region: string
  /** Lower case; a host below one of them names a bucket. */
  domains: readonly string[]
  bodyBudget: BodyBudget
  expiration: ExpirationHeader
  /** SSE-C is taken without TLS. */
  allowsKeysOverHttp: boolean
}

export type Action = (context: S3Context) => Outcome | Promise<Outcome>

/** A document in a body: policies, rules, lists of keys. */
export const DOCUMENT_BYTES_MAX = 1024 * 1024

export interface DocumentOptions {
  /** Default DOCUMENT_BYTES_MAX. */
  bytesMax?: number
  /** Code of the error for a document that is malformed. Default MalformedXML. */
  fault?: S3ErrorCode
}

/** What a question of permission is about. */
interface Place extends Pick<Question, 'object' | 'told'> {
  bucket: Bucket
  /** '' or absent: the bucket itself. */
  key?: string
}

export class S3Context {
  readonly services: S3Services
  readonly request: S3Request
  readonly route: Route
  readonly authenticated: Authenticated
  readonly #bucket: Bucket | undefined
  readonly #found: FoundObject | undefined
  readonly #body: RequestBody

  constructor(options: {
    services: S3Services
    request: S3Request
    route: Route
    authenticated: Authenticated
    bucket: Bucket | undefined
    found: FoundObject | undefined
    body: RequestBody
  }) {
    this.services = options.services
    this.request = options.request
    this.route = options.route
    this.authenticated = options.authenticated
    this.#bucket = options.bucket
    this.#found = options.found
    this.#body = options.body
  }

  get objects(): ObjectStore {
    return this.services.objects
  }

  get identities(): Identities {
    return this.services.gate.identities
  }

  /** Who asks; undefined: anonymous. */
  get account(): Account | undefined {
    return this.authenticated.principal.account
  }

  /** The bucket of the request, which was found before the action was called. Throws NoSuchBucket for that of a form. */
  get bucket(): Bucket {
    if (this.#bucket === undefined) throw new S3Error('NoSuchBucket')
    return this.#bucket
  }

  /** The object or version of the request, of routes with `ofObject`; also a delete marker. */
  get found(): FoundObject {
    assert(this.#found !== undefined, 'an action of an object has one')
    return this.#found
  }

  get key(): string {
    return this.request.key
  }

  /** The body as it arrives; only for what needs the wire itself, such as forms. */
  get wireBody(): RequestBody {
    return this.#body
  }

  /** The body as the client meant it, and the check that it is. */
  openUpload(): UploadBody {
    return openUpload(this.request, this.authenticated.open(this.#body))
  }

  /** The whole body, verified. Throws `MaxMessageLengthExceeded`. */
  async readBody(bytesMax: number = DOCUMENT_BYTES_MAX): Promise<Buffer> {
    if (this.route.needsDigest === true) assertHasDigest(this.request)
    return await this.#readUpload(this.openUpload(), bytesMax)
  }

  /** The same, where checksums in the headers speak of something else than the body. */
  async readDocument(bytesMax: number): Promise<Buffer> {
    const header = (name: string) => (name === 'content-md5' ? this.request.header(name) : undefined)
    const body = this.authenticated.open(this.#body)
    return await this.#readUpload(openUpload({ header, rawHeaders: [] }, body), bytesMax)
  }

  async #readUpload({ body, check }: UploadBody, bytesMax: number): Promise<Buffer> {
    const known = body.whole?.length ?? body.sizeBytes
    if (known !== undefined && known > bytesMax) throw new S3Error('MaxMessageLengthExceeded')
    const bytes = body.whole ?? (await this.#collect(body, bytesMax))
    if (body.sizeBytes !== undefined && bytes.length < body.sizeBytes) throw new S3Error('IncompleteBody')
    check.verify(digestsOf(['md5', ...check.digests], bytes), bytes.length)
    return bytes
  }

  async #collect(body: ObjectBody, bytesMax: number): Promise<Buffer> {
    const { bodyBudget } = this.services
    const pieces: Buffer[] = []
    let length = 0
    let reserved = 0
    try {
      for await (const piece of body.pieces()) {
        length += piece.length
        if (length > bytesMax) throw new S3Error('MaxMessageLengthExceeded')
        if (!bodyBudget.reserve(piece.length))
          throw new StoreError('too_many_requests', 'too many bytes of requests in flight; try again')
        reserved += 1
        pieces.push(piece)
      }
      return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
    } finally {
      for (const piece of pieces.slice(0, reserved)) bodyBudget.release(piece.length)
    }
  }

  /** The body as an XML document with that root. */
  async readXml(root: string, { bytesMax, fault }: DocumentOptions = {}): Promise<XmlNode> {
    const bytes = await this.readBody(bytesMax)
    if (bytes.length === 0) throw new S3Error(fault ?? 'MissingRequestBodyError')
    return parseXml(bytes, root, fault)
  }

  /** Whether the caller may do something more than the route itself asked for. */
  allows(action: string, { bucket, key = '', ...more }: Place): boolean {
    const question = { action, bucketName: bucket.name, bucket, key, request: this.request, ...more }
    return this.services.gate.allows(this.authenticated, question)
  }

  /** The same, and throws AccessDenied. */
  demand(action: string, where: Place): void {
    if (!this.allows(action, where)) throw new S3Error('AccessDenied')
  }

  /**
   * For routes with the access `document`: reads what the body says, and asks whether the caller may do that. What is wrong
   * with a document is for those to know who could send a right one.
   */
  async readAllowed<T extends Told>(read: () => Promise<T>): Promise<T> {
    let told: T
    try {
      told = await read()
    } catch (error) {
      this.#demandRoute({})
      throw error
    }
    this.#demandRoute(told)
    return told
  }

  #demandRoute(told: Told): void {
    const where = { bucket: this.bucket, key: this.key, object: this.found.info, told }
    for (const { action } of neededActions(this.route.needsOf, factsOf(this.request)))
      this.demand(action, where)
  }

  /** A bucket other than the request's. Throws NoSuchBucket. */
  async findBucket(name: string): Promise<Bucket> {
    const bucket = await this.objects.bucket(name)
    if (bucket === undefined) throw new S3Error('NoSuchBucket', undefined, { extra: { BucketName: name } })
    return bucket
  }
}
