/**
 * The S3 front door. One instance a thread; all of them listen on one port. Here is the way of every request: read its
 * target once, find out who asks, find the action, find the bucket, ask whether the caller may, act, and answer. What an
 * action throws becomes an error document here, and here alone are metrics, CORS and the access log.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Clock } from '../../base/clock.ts'
import { StoreError } from '../../base/errors.ts'
import { ACCESS_LOG_PERIOD_MS } from '../../base/limits.ts'
import type { Log } from '../../base/log.ts'
import type { Random } from '../../base/random.ts'
import { neededActions } from '../../iam/s3-operations.ts'
import { type BodyBudget, drain } from '../../net/body.ts'
import type { FastReply, FastRequest } from '../../net/fast-lane.ts'
import {
  type ErrorBody,
  HttpServer,
  type HttpServerSettings,
  type ListenOptions,
} from '../../net/http-server.ts'
import { type Outcome, rawHeader, sendOutcome } from '../../net/reply.ts'
import type { Bucket, FoundObject, ObjectStore } from '../../objects/object-store.ts'
import { AccessLogs } from './access-logs.ts'
import { preflight } from './actions/preflight.ts'
import { BucketCache } from './bucket-cache.ts'
import { corsHeaders, corsOf, matchCors } from './cors.ts'
import { type ErrorPlace, errorDocument, errorOutcome, toS3Error } from './error-reply.ts'
import { ExpirationHeader } from './expiration-header.ts'
import type { Authenticated, Gate, Question } from './gate.ts'
import { CHECKS, HANDLERS } from './handlers.ts'
import { healthOf, isHealthCheck } from './health.ts'
import { deletedError, readOptionsOf } from './read-options.ts'
import { ReplyIds } from './reply-ids.ts'
import { arrivingBody, cutOffBody, longBody, type RequestBody, wholeBody } from './request-body.ts'
import { factsOf, routeOf } from './route.ts'
import { PREFLIGHT, type Route, WEBSITE } from './routes.ts'
import { S3Context, type S3Services } from './s3-context.ts'
import type { S3Counters } from './s3-counters.ts'
import { S3Error, type S3ErrorCode } from './s3-error.ts'
import { ANY_HOST, S3Request, type S3RequestInput } from './s3-request.ts'
import { errorPage, WebsiteHost } from './website.ts'
import { XML_HEADERS } from './xml-writer.ts'

export interface S3ServerOptions {
  objects: ObjectStore
  gate: Gate
  clock: Clock
  random: Random
  log: Log
  /** The program's, for the Server header. */
  version: string
  /** Default us-east-1. */
  region?: string
  /** Hosts whose sub-domains name buckets. Without one, buckets are named by the path only. */
  domains?: readonly string[]
  /** Hosts whose sub-domains show buckets as websites. */
  websiteDomains?: readonly string[]
  /** SSE-C is taken without TLS: for doors behind something that speaks it. */
  allowsKeysOverHttp?: boolean
  counters: S3Counters
  bodyBudget: BodyBudget
  /** How often access logs of buckets are stored. Default ACCESS_LOG_PERIOD_MS. */
  accessLogPeriodMs?: number
  /** Logs every request at level debug. */
  logsRequests?: boolean
  tls?: { cert: string | Buffer; key: string | Buffer }
  settings?: Partial<HttpServerSettings>
}

export const REGION_DEFAULT = 'us-east-1'

/** Browsers find names below it on their own machine. */
const LOCAL_DOMAIN = 'localhost'

/** Codes of what the HTTP server refuses by itself. */
const HTTP_ERROR_CODES: Readonly<Record<number, S3ErrorCode>> = {
  400: 'BadRequest',
  408: 'RequestTimeout',
  431: 'RequestHeaderSectionTooLarge',
  500: 'InternalError',
}

/** What `find` throws when there is no such object. */
const MISSING: ReadonlySet<string> = new Set(['not_found', 'version_not_found', 'method_not_allowed'])

/** A key that is not there tells whether a delete marker is. */
const NO_MARKER = { headers: ['x-amz-delete-marker', 'false'] }

/** `1.3` of `TLSv1.3`. */
function tlsVersionOf(socket: Socket | TLSSocket): string | undefined {
  return 'getProtocol' in socket ? socket.getProtocol()?.replace('TLSv', '') : undefined
}

/** One request on its way to its reply. */
interface Exchange {
  input: S3RequestInput
  body: RequestBody
  requestId: string
  request: S3Request | undefined
  route: Route | undefined
  bucket: Bucket | undefined
  isWebsite: boolean
  /** By the monotonic clock. */
  startedMs: number
  /** For access logs. */
  requester: string | undefined
  objectBytes: number | undefined
  errorCode: string | undefined
}

export class S3Server {
  readonly #options: S3ServerOptions
  readonly #services: S3Services
  readonly #server: HttpServer
  /** The door that shows nothing but websites. */
  readonly #websiteServer: HttpServer
  readonly #ids: ReplyIds
  readonly #accessLogs: AccessLogs
  readonly #websites: WebsiteHost
  readonly #websiteDomains: readonly string[]
  readonly #cors = new BucketCache(corsOf)

  constructor(options: S3ServerOptions) {
    this.#options = options
    const { clock, random, log, version } = options
    this.#ids = new ReplyIds({ clock, random, server: `Cairn/${version}` })
    this.#services = {
      objects: options.objects,
      gate: options.gate,
      clock,
      random,
      log,
      region: options.region ?? REGION_DEFAULT,
      domains: (options.domains ?? []).map((domain) => domain.toLowerCase()),
      bodyBudget: options.bodyBudget,
      expiration: new ExpirationHeader(),
      allowsKeysOverHttp: options.allowsKeysOverHttp ?? false,
    }
    this.#accessLogs = new AccessLogs({
      ...{ objects: options.objects, clock, random, log, hostId: this.#ids.hostId },
      identities: options.gate.identities,
      region: this.#services.region,
      periodMs: options.accessLogPeriodMs ?? ACCESS_LOG_PERIOD_MS,
    })
    this.#websites = new WebsiteHost(this.#services)
    this.#websiteDomains = (options.websiteDomains ?? []).map((domain) => domain.toLowerCase())
    const shared = {
      ...(options.tls === undefined ? {} : { tls: options.tls }),
      ...(options.settings === undefined ? {} : { settings: options.settings }),
      onHandlerError: (error: unknown) => log.error({ error }, 'a request failed by a bug'),
    }
    this.#server = new HttpServer({
      clock,
      handler: (request, response) => this.#handle(request, response, { isWebsite: false }),
      takesAnyExpectation: true,
      errorBody: (status, reason, isCutOff) => this.#httpErrorBody(status, reason, isCutOff),
      fastLane: {
        answer: (request) => this.#answerFast(request, wholeBody(request.body)),
        answerLong: (request) => this.#answerFast(request, longBody(request.body)),
        answerCutOff: (request) => this.#answerFast(request, cutOffBody(request.rawHeaders)),
        commonHead: () => this.#ids.lines(),
        bodyBudget: options.bodyBudget,
      },
      ...shared,
    })
    this.#websiteServer = new HttpServer({
      ...shared,
      clock,
      handler: (request, response) => this.#handle(request, response, { isWebsite: true }),
    })
  }

  /** Starts to serve; gives the port. Throws `in_use`, `bad_request`. */
  async listen(options: ListenOptions): Promise<number> {
    const port = await this.#server.listen(options)
    this.#accessLogs.start()
    return port
  }

  /** Shows websites on a port of their own, where every host names a bucket. Throws the same. */
  async listenWebsite(options: ListenOptions): Promise<number> {
    return await this.#websiteServer.listen(options)
  }

  /** Stops accepting and lets the requests in flight finish, for a bounded time. */
  async close(): Promise<void> {
    await Promise.all([this.#server.close(), this.#websiteServer.close()])
    await this.#accessLogs.close()
  }

  get connectionCount(): number {
    return this.#server.connectionCount
  }

  /** Small requests over plain connections: nearly all of the traffic. */
  #answerFast(asked: Omit<FastRequest, 'body'>, body: RequestBody): FastReply {
    const { method, target, rawHeaders, remoteAddress } = asked
    const input = { method, target, rawHeaders, remoteAddress, isTls: false }
    const exchange = this.#begin(input, body)
    const received = body.wireBytes ?? 0
    return {
      outcome: this.#run(exchange),
      onSent: ({ status }, sent) => this.#note(exchange, status, { received, sent }),
    }
  }

  async #handle(
    request: IncomingMessage,
    response: ServerResponse,
    { isWebsite }: { isWebsite: boolean },
  ): Promise<void> {
    const { socket } = request
    const input = {
      method: request.method!,
      target: request.url!,
      rawHeaders: request.rawHeaders,
      remoteAddress: socket.remoteAddress ?? '',
      isTls: this.#options.tls !== undefined,
      tlsVersion: tlsVersionOf(socket),
    }
    const receivedBefore = socket.bytesRead
    const exchange = this.#begin(input, arrivingBody(request, response))
    exchange.isWebsite = isWebsite
    const outcome = await this.#run(exchange)
    const sent = sendOutcome(response, outcome, this.#ids.begin())
    this.#note(exchange, outcome.status, { received: socket.bytesRead - receivedBefore, sent })
    if (!request.complete) {
      const { drainBytesMax, drainMsMax } = this.#server.settings
      drain(request, { clock: this.#options.clock, bytesMax: drainBytesMax, msMax: drainMsMax })
    }
  }

  #begin(input: S3RequestInput, body: RequestBody): Exchange {
    return {
      input,
      body,
      requestId: this.#ids.next(),
      request: undefined,
      route: undefined,
      bucket: undefined,
      isWebsite: false,
      startedMs: this.#options.clock.monotonicMs(),
      requester: undefined,
      objectBytes: undefined,
      errorCode: undefined,
    }
  }

  /** Never rejects. */
  async #run(exchange: Exchange): Promise<Outcome> {
    let outcome: Outcome
    try {
      outcome = await this.#act(exchange)
    } catch (thrown) {
      const error = toS3Error(thrown)
      exchange.errorCode = error.code
      if (exchange.bucket === undefined) await this.#findRefused(exchange)
      if (error.status === 500) this.#logFault(exchange, error)
      const place = this.#placeOf(exchange)
      outcome = exchange.isWebsite ? errorPage(error, place) : errorOutcome(error, place)
    }
    this.#addCors(exchange, outcome)
    outcome.headers.push('x-amz-request-id', exchange.requestId, 'x-amz-id-2', this.#ids.hostId)
    return outcome
  }

  async #act(exchange: Exchange): Promise<Outcome> {
    if (exchange.isWebsite) {
      const domains = [...this.#websiteDomains, LOCAL_DOMAIN, ANY_HOST]
      return this.#visit(exchange, new S3Request(exchange.input, domains))
    }
    if (this.#websiteDomains.length > 0) {
      const asked = new S3Request(exchange.input, this.#websiteDomains)
      if (asked.isVirtualHost) return this.#visit(exchange, asked)
    }
    const request = new S3Request(exchange.input, this.#services.domains)
    exchange.request = request
    if (isHealthCheck(request)) {
      const health = await healthOf(request, this.#services.objects)
      if (health !== undefined) return health
    }
    if (request.method === 'OPTIONS') return this.#preflight(exchange, request)
    const pending = this.#services.gate.authenticate(request)
    const authenticated = pending instanceof Promise ? await pending : pending
    exchange.requester = authenticated.principal.account?.canonicalId
    const route = routeOf(request)
    exchange.route = route
    if (request.bucket !== '') await this.#findBucket(exchange, request, route)
    const found = route.ofObject === true ? await this.#find(exchange, request) : undefined
    this.#authorize(authenticated, exchange, { route, found })
    if (found !== undefined && !(found instanceof Error)) exchange.objectBytes = found.info.sizeBytes
    const missing = found instanceof Error ? found : deletedError(found, request)
    const { body, bucket } = exchange
    const context = new S3Context({
      services: this.#services,
      ...{ request, route, authenticated, bucket, body },
      found: missing === undefined ? (found as FoundObject | undefined) : undefined,
    })
    if (missing !== undefined) {
      await CHECKS.get(route.action)?.(context)
      throw this.#asSeenBy(authenticated, exchange, missing)
    }
    const action = HANDLERS.get(route.action)
    if (action === undefined) throw new S3Error('NotImplemented')
    return action(context)
  }

  /** A page of a bucket's website. */
  async #visit(exchange: Exchange, asked: S3Request): Promise<Outcome> {
    exchange.request = asked
    exchange.isWebsite = true
    if (asked.method === 'OPTIONS') return this.#preflight(exchange, asked)
    exchange.route = WEBSITE
    exchange.bucket = await this.#services.objects.bucket(asked.bucket)
    return this.#websites.answer(asked, exchange.input, exchange.bucket)
  }

  async #preflight(exchange: Exchange, request: S3Request): Promise<Outcome> {
    exchange.route = PREFLIGHT
    const bucket = request.bucket === '' ? undefined : await this.#services.objects.bucket(request.bucket)
    return preflight(request, bucket, this.#cors)
  }

  async #findBucket(exchange: Exchange, request: S3Request, route: Route): Promise<void> {
    if (route.withoutBucket === true) return
    const pending = this.#services.objects.bucket(request.bucket)
    const bucket = pending instanceof Promise ? await pending : pending
    if (bucket === undefined) {
      // Who signed a form is known when it has been read, and comes first.
      if (route.access === 'form') return
      throw new S3Error('NoSuchBucket')
    }
    exchange.bucket = bucket
    const expected = request.header('x-amz-expected-bucket-owner')
    if (expected !== undefined && expected !== bucket.owner) throw new S3Error('AccessDenied')
  }

  /** The object that the request is about, or the error that there is none, which not every caller may know. */
  async #find(exchange: Exchange, request: S3Request): Promise<FoundObject | Error> {
    try {
      return await this.#services.objects.find(exchange.bucket!, request.key, readOptionsOf(request))
    } catch (error) {
      if (!(error instanceof StoreError) || !MISSING.has(error.code)) throw error
      return error.code === 'not_found' ? new S3Error('NoSuchKey', undefined, NO_MARKER) : error
    }
  }

  /** Who may not list a bucket does not learn which keys it has. */
  #asSeenBy(authenticated: Authenticated, exchange: Exchange, missing: Error): Error {
    return this.#mayList(authenticated, exchange) ? missing : new S3Error('AccessDenied')
  }

  #mayList(authenticated: Authenticated, exchange: Exchange): boolean {
    const bucket = exchange.bucket!
    const request = exchange.request!
    const question = { action: 's3:ListBucket', bucketName: bucket.name, bucket, key: '', request }
    return this.#services.gate.allows(authenticated, question)
  }

  /** Default deny: only what the route's access class says goes on. */
  #authorize(
    authenticated: Authenticated,
    exchange: Exchange,
    { route, found }: { route: Route; found: FoundObject | Error | undefined },
  ): void {
    const { access } = route
    if (access === 'form' || access === 'each') return
    // Where there is nothing, no document has to be read to say no.
    if (access === 'document' && found !== undefined && !(found instanceof Error)) return
    const request = exchange.request!
    const isAnonymous = authenticated.principal.account === undefined
    if (access === 'preflight' || (access === 'signed' && isAnonymous)) throw new S3Error('AccessDenied')
    const { bucket } = exchange
    const object = found === undefined || found instanceof Error ? {} : { object: found.info }
    for (const { action, on } of neededActions(route.needsOf, factsOf(request))) {
      // What is copied from is another bucket and key: the action, which finds them, asks for it.
      if (on === 'source') continue
      const key = on === 'object' ? request.key : ''
      const question: Question = { action, bucketName: request.bucket, bucket, key, request, ...object }
      if (this.#services.gate.allows(authenticated, question)) continue
      // An object that is not there grants nothing to anyone; who may list the bucket may know that.
      if (found instanceof Error && this.#mayList(authenticated, exchange)) return
      throw new S3Error('AccessDenied')
    }
  }

  /** The bucket of a request that was refused before it was looked up: a page of another site shall see why. */
  async #findRefused(exchange: Exchange): Promise<void> {
    const { request, route, input } = exchange
    if (request === undefined || request.bucket === '' || route === PREFLIGHT) return
    if (rawHeader(input.rawHeaders, 'origin') === undefined) return
    try {
      exchange.bucket = await this.#services.objects.bucket(request.bucket)
    } catch {
      // The reply tells of the first error.
    }
  }

  /** What a browser needs to hand the reply to a page of another site; errors too. */
  #addCors(exchange: Exchange, outcome: Outcome): void {
    const { bucket, input } = exchange
    if (bucket === undefined || !bucket.configs.has('cors')) return
    const origin = rawHeader(input.rawHeaders, 'origin')
    if (origin === undefined) return
    // A page that says what it would ask with a preflight is answered for that.
    const method = rawHeader(input.rawHeaders, 'access-control-request-method') ?? input.method
    const asked = { origin, method, headers: [] }
    const rule = matchCors(this.#cors.of(bucket), asked)
    if (rule !== undefined) outcome.headers.push(...corsHeaders(rule, asked))
  }

  #placeOf({ request, input, requestId }: Exchange): ErrorPlace {
    const question = input.target.indexOf('?')
    return {
      resource: request?.resource ?? (question < 0 ? input.target : input.target.slice(0, question)),
      bucket: request?.bucket ?? '',
      key: request?.key ?? '',
      isHead: input.method === 'HEAD',
      requestId,
      hostId: this.#ids.hostId,
    }
  }

  #logFault(exchange: Exchange, error: S3Error): void {
    const { requestId, request, route } = exchange
    const fields = { requestId, action: route?.action, path: request?.rawPath, error: error.cause ?? error }
    this.#options.log.error(fields, 'an S3 request failed')
  }

  #note(exchange: Exchange, status: number, bytes: { received: number; sent: number }): void {
    const { route, request, input, requestId } = exchange
    this.#options.counters.note(route?.action, status, bytes)
    const { bucket } = exchange
    if (bucket?.configs.has('logging') && request !== undefined) {
      const tookMs = this.#options.clock.monotonicMs() - exchange.startedMs
      this.#accessLogs.note({ ...exchange, bucket, request, status, sentBytes: bytes.sent, tookMs })
    }
    if (this.#options.logsRequests !== true) return
    // Without the query, which may hold a signature.
    const fields = {
      method: input.method,
      path: request?.rawPath,
      action: route?.action,
      status,
      requestId,
      ...bytes,
    }
    this.#options.log.debug(fields, 'request')
  }

  #httpErrorBody(status: number, reason: string, isCutOff: boolean): ErrorBody {
    const code = HTTP_ERROR_CODES[status] ?? 'BadRequest'
    const message =
      code === 'BadRequest' ? `An error occurred when parsing the HTTP request: ${reason}` : undefined
    const error = new S3Error(isCutOff ? 'IncompleteBody' : code, isCutOff ? undefined : message)
    const place = { resource: '', bucket: '', key: '', isHead: false, hostId: this.#ids.hostId }
    return {
      contentType: XML_HEADERS[1]!,
      status: error.status,
      body: errorDocument(error, { ...place, requestId: this.#ids.next() }),
    }
  }
}
