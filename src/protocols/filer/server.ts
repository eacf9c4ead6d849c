/**
 * The filer: files and directories by path over HTTP, as SeaweedFS's filer has them. One instance a thread; all of them
 * listen on one port. What the replies are is in `actions/`; here is who may ask, and the way from request to reply.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../../base/clock.ts'
import { StoreError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { Random } from '../../base/random.ts'
import { BASIC_AUTH_CHALLENGE, type BasicAuth } from '../../net/basic-auth.ts'
import { announcedLength, arrivingPieces, type BodyBudget, drain, readBody } from '../../net/body.ts'
import type { FastReply, FastRequest } from '../../net/fast-lane.ts'
import { HttpServer, type HttpServerSettings, type ListenOptions } from '../../net/http-server.ts'
import { CommonHeaders, errorOutcome, type Outcome, rawHeader, sendOutcome } from '../../net/reply.ts'
import { MARK, marksOf } from '../../net/request-marks.ts'
import { originForm } from '../../net/request-target.ts'
import type { ObjectStore } from '../../objects/object-store.ts'
import type { FilerContext, FilerRequest } from './actions/context.ts'
import { deletePath } from './actions/delete-path.ts'
import { FILES_BUCKET, parseFilerPath, plainKey } from './actions/filer-path.ts'
import { FilerQuery } from './actions/filer-query.ts'
import { FilesBucket } from './actions/files-bucket.ts'
import { readPlain } from './actions/get-file.ts'
import { readPath } from './actions/get-path.ts'
import { KnownDirectories } from './actions/known-directories.ts'
import { copyPath, movePath } from './actions/move-copy.ts'
import { putFile, type RequestBody } from './actions/put-file.ts'
import { deleteTags, putTags } from './actions/tagging.ts'
import { failureOutcome } from './errors.ts'

export interface FilerServerOptions {
  objects: ObjectStore
  clock: Clock
  random: Random
  log: Log
  /** The program's, for the Server header and listings. */
  version: string
  /** Account that owns the buckets which are made here. */
  owner: string
  /** `/buckets/<bucket>/<key>` shows the other buckets. */
  filerBuckets: boolean
  bodyBudget: BodyBudget
  /** Asked for on everything but `/healthz` and preflights. */
  basicAuth?: BasicAuth | undefined
  tls?: { cert: string | Buffer; key: string | Buffer } | undefined
  settings?: Partial<HttpServerSettings> | undefined
  /** Logs every request at level debug. */
  logsRequests?: boolean
  /** Told of every reply, for counters. */
  onReply?: (reply: { method: string; status: number; receivedBytes: number; sentBytes: number }) => void
}

const ALLOWED_METHODS = 'PUT, POST, GET, HEAD, DELETE, OPTIONS'
/** Bodies up to this size are gathered before they are looked at; longer ones are stored while they come. */
const GATHERED_BYTES_MAX = 64 * 1024
const EMPTY_QUERY = new FilerQuery('')
/** What keeps a GET from the short way. */
const SPECIAL_MARKS = MARK.range | MARK.conditional | MARK.origin

export class FilerServer {
  readonly #options: FilerServerOptions
  readonly #context: FilerContext
  readonly #server: HttpServer
  readonly #common: CommonHeaders

  constructor(options: FilerServerOptions) {
    this.#options = options
    const { objects, clock, random, log, version, owner, filerBuckets } = options
    const directories = new KnownDirectories(clock)
    this.#context = {
      ...{ objects, clock, random, log, owner, directories },
      files: new FilesBucket(objects, clock),
      version: `Cairn ${version}`,
      showsBuckets: filerBuckets,
    }
    this.#common = new CommonHeaders({ clock, random, server: `Cairn/${version}` })
    this.#server = new HttpServer({
      clock,
      handler: (request, response) => this.#handle(request, response),
      fastLane: {
        answer: (request) => this.#answerFast(request),
        commonHead: () => this.#common.lines(),
        bodyBudget: options.bodyBudget,
      },
      tls: options.tls,
      settings: options.settings,
      onHandlerError: (error) => log.error({ error }, 'a request to the filer failed by a bug'),
    })
  }

  /** Starts to serve; gives the port. Throws `in_use`, `bad_request`. */
  listen(options: ListenOptions): Promise<number> {
    return this.#server.listen(options)
  }

  /** Stops accepting and lets the requests in flight finish, for a bounded time. */
  close(): Promise<void> {
    return this.#server.close()
  }

  /** Small files under plain paths, read or written whole. Everything else takes the ordinary way. */
  #answerFast({ method, target, rawHeaders, body }: FastRequest): FastReply | undefined {
    if (this.#options.basicAuth !== undefined || this.#options.logsRequests) return undefined
    const key = plainKey(target)
    if (key === undefined) return undefined
    const marks = marksOf(rawHeaders)
    if ((marks & SPECIAL_MARKS) !== 0) return undefined
    const onSent = ({ status }: Outcome, sentBytes: number) => {
      this.#options.onReply?.({ method, status, receivedBytes: body.length, sentBytes })
    }
    if (method === 'GET') {
      const outcome = this.#readFast(key)
      return outcome === undefined ? undefined : { outcome, onSent }
    }
    if (method !== 'PUT' && method !== 'POST') return undefined
    const path = { bucket: FILES_BUCKET, key, endsWithSlash: false, display: target }
    const request: FilerRequest = { method, path, query: EMPTY_QUERY, rawHeaders, marks }
    return { outcome: this.#settled(putFile(this.#context, request, body)), onSent }
  }

  #readFast(key: string): Outcome | Promise<Outcome> | undefined {
    const bucket = this.#context.files.find()
    if (bucket === undefined || bucket instanceof Promise || !this.#context.files.isNear) return undefined
    try {
      const outcome = readPlain(this.#context, bucket, key)
      return outcome instanceof Promise ? this.#settled(outcome) : outcome
    } catch (error) {
      return this.#failure(error)
    }
  }

  #settled(outcome: Promise<Outcome>): Promise<Outcome> {
    return outcome.catch((error: unknown) => this.#failure(error))
  }

  #failure(error: unknown, pretty = false): Outcome {
    if (error instanceof StoreError && error.code === 'bucket_not_found') this.#context.files.forget()
    const outcome = failureOutcome(error, pretty)
    if (outcome !== undefined) return outcome
    this.#options.log.error({ error }, 'a request to the filer failed by a bug')
    return errorOutcome(500, 'internal error', pretty)
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { rawHeaders } = request
    const method = request.method!
    const url = originForm(request.url!)
    const question = url.indexOf('?')
    const path = question < 0 ? url : url.slice(0, question)
    const exchange = { request, response, marks: marksOf(rawHeaders), pretty: false, receivedBytes: 0 }
    let outcome: Outcome
    try {
      outcome = await this.#outcomeOf(exchange, {
        path,
        queryText: question < 0 ? '' : url.slice(question + 1),
      })
    } catch (error) {
      outcome = this.#failure(error, exchange.pretty)
    }
    this.#reply(exchange, outcome)
    if (this.#options.logsRequests) {
      this.#options.log.debug({ door: 'filer', method, path, status: outcome.status }, 'request')
    }
  }

  async #outcomeOf(
    exchange: Exchange,
    { path, queryText }: { path: string; queryText: string },
  ): Promise<Outcome> {
    const { request, marks } = exchange
    const method = request.method!
    if (method === 'OPTIONS') {
      const headers = ['Access-Control-Allow-Methods', ALLOWED_METHODS, 'Access-Control-Allow-Headers', '*']
      return { status: 200, headers, body: undefined }
    }
    if (path === '/healthz') return { status: 200, headers: [], body: undefined }
    if (!(await this.#isKnown(request))) return wrongPassword()
    const query = new FilerQuery(queryText)
    exchange.pretty = query.pretty
    const { rawHeaders } = request
    const parsed = parseFilerPath(path, { showsBuckets: this.#options.filerBuckets })
    const asked: FilerRequest = { method, path: parsed, query, rawHeaders, marks }
    switch (method) {
      case 'GET':
      case 'HEAD':
        return readPath(this.#context, asked)
      case 'PUT':
      case 'POST':
        if (method === 'PUT' && query.has('tagging')) return putTags(this.#context, asked)
        if (query.has('mv.from')) return movePath(this.#context, asked)
        if (query.has('cp.from')) return copyPath(this.#context, asked)
        return this.#store(exchange, asked)
      case 'DELETE':
        if (query.has('tagging')) return deleteTags(this.#context, asked)
        return deletePath(this.#context, asked)
      default: {
        const outcome = errorOutcome(405, `method ${method} is not allowed`)
        outcome.headers.push('Allow', ALLOWED_METHODS)
        return outcome
      }
    }
  }

  /** Throws `too_many_requests`. */
  async #isKnown(request: IncomingMessage): Promise<boolean> {
    const { basicAuth } = this.#options
    if (basicAuth === undefined) return true
    return (await basicAuth.user(rawHeader(request.rawHeaders, 'authorization'))) !== undefined
  }

  async #store(exchange: Exchange, asked: FilerRequest): Promise<Outcome> {
    const { request, response } = exchange
    const length = announcedLength(request)
    const count = (lengthBytes: number) => {
      exchange.receivedBytes += lengthBytes
    }
    if (length === undefined || length > GATHERED_BYTES_MAX) {
      const body: RequestBody = { sizeBytes: length, pieces: arrivingPieces(request, response, count) }
      return putFile(this.#context, asked, body)
    }
    const options = { bytesMax: GATHERED_BYTES_MAX, budget: this.#options.bodyBudget }
    const body = await readBody(request, response, options)
    exchange.receivedBytes = body.bytes.length
    try {
      return await putFile(this.#context, asked, body.bytes)
    } finally {
      body.release()
    }
  }

  #reply(exchange: Exchange, outcome: Outcome): void {
    const { request, response, marks, receivedBytes } = exchange
    const headers = this.#common.begin()
    if ((marks & MARK.origin) !== 0) {
      headers.push('Access-Control-Allow-Origin', '*', 'Access-Control-Allow-Credentials', 'true')
    }
    const sentBytes = sendOutcome(response, outcome, headers)
    this.#options.onReply?.({ method: request.method!, status: outcome.status, receivedBytes, sentBytes })
    if (!request.complete) {
      const { drainBytesMax, drainMsMax } = this.#server.settings
      drain(request, { clock: this.#options.clock, bytesMax: drainBytesMax, msMax: drainMsMax })
    }
  }
}

/** One request on its way to its reply. */
interface Exchange {
  request: IncomingMessage
  response: ServerResponse
  /** Bits of MARK. */
  marks: number
  pretty: boolean
  receivedBytes: number
}

function wrongPassword(): Outcome {
  const outcome = errorOutcome(401, 'wrong user or password')
  outcome.headers.push('WWW-Authenticate', BASIC_AUTH_CHALLENGE)
  return outcome
}
