/**
 * The master's HTTP door: heartbeats of volume servers and the API of clients (ids, locations, volumes, collections),
 * in SeaweedFS's paths and replies.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../base/clock.ts'
import { StoreError, toStoreError } from '../base/errors.ts'
import {
  CLUSTER_MESSAGE_BYTES_MAX,
  FILE_SIZE_BYTES_MAX_DEFAULT,
  FORM_BODY_BYTES_MAX,
  GARBAGE_THRESHOLD_DEFAULT,
  SUBMIT_CHUNK_BYTES_DEFAULT,
  VACUUM_PERIOD_MS_DEFAULT,
} from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import { BASIC_AUTH_CHALLENGE, type BasicAuth } from '../net/basic-auth.ts'
import { announcedLength, type BodyBudget, drain, readBody } from '../net/body.ts'
import type { HttpClient } from '../net/http-client.ts'
import { HttpServer, type HttpServerSettings } from '../net/http-server.ts'
import { formBoundary, parseForm } from '../net/multipart.ts'
import { CommonHeaders, errorOutcome, jsonOutcome, type Outcome, sendOutcome } from '../net/reply.ts'
import type { ClusterAuth } from './cluster-auth.ts'
import { ClusterClient } from './cluster-client.ts'
import { CLUSTER_STATUS } from './cluster-status.ts'
import {
  CLUSTER_ADMIN_PATH,
  type Envelope,
  EPOCH,
  type Fields,
  HEARTBEAT_PATH,
  type HeartbeatReply,
  PROTOCOL_VERSION,
  parseHeartbeat,
  parseMessage,
} from './cluster-wire.ts'
import { answerSigned, isSignedPath } from './master/admin.ts'
import { Master } from './master/master.ts'
import { assignRequest, Params } from './master/params.ts'
import { answer, failed, hasRoute, methodNotAllowed, type RouteContext, writeToken } from './master/routes.ts'
import { MasterStatusPage } from './master/status-page.ts'
import { type SubmitContext, submit } from './master/submit.ts'
import { submitInChunks } from './master/submit-chunks.ts'
import type { MasterState } from './master-state.ts'
import { isStatusPagePath } from './status-shell.ts'

export interface MasterServerOptions {
  /** UUID of this process, from `loadNodeId` on its data directory. */
  nodeId: string
  state: MasterState
  auth: ClusterAuth
  /** For calls to volume servers, and for forwarding `/submit`. */
  http: HttpClient
  clock: Clock
  random: Random
  log: Log
  /** Bodies of `/submit` in memory are counted here. */
  bodyBudget: BodyBudget
  /** What volume servers and clients are addressed with. */
  scheme?: 'http' | 'https'
  tls?: { cert: string | Buffer; key: string | Buffer }
  /** Asked of clients on every path but the health checks. */
  basicAuth?: BasicAuth
  /** Keys of the tokens that volume servers ask for, to write and to read. */
  signingKey?: string
  readSigningKey?: string
  heartbeatPeriodMs?: number
  /** True while heartbeats cannot come. */
  isDeaf?: () => boolean
  /** Default GARBAGE_THRESHOLD_DEFAULT. */
  garbageThreshold?: number
  /** Default REPAIR_AFTER_MS_DEFAULT. */
  repairAfterMs?: number
  /** Default VACUUM_PERIOD_MS_DEFAULT; 0 never compacts by itself. */
  vacuumPeriodMs?: number
  /** Largest file of `/submit`. */
  fileSizeBytesMax?: number
  /** Larger files of `/submit` are cut into chunks of this. Default SUBMIT_CHUNK_BYTES_DEFAULT. */
  submitChunkBytes?: number
  /** Text of the `/metrics` page. */
  metrics?: () => Promise<{ contentType: string; text: string }>
  /** Told about every reply, for metrics. `path` is one of the API's, or 'other'. */
  onReply?: (path: string, status: number) => void
  version: string
  settings?: Partial<HttpServerSettings>
}

const HEALTH_PATHS = ['/healthz', '/readyz', '/cluster/healthz']
const NO_PARAMS = new Params()
/** The same refused heartbeat is logged again after this time. */
const REFUSAL_LOG_MS = 60_000
const REFUSALS_MAX = 1_000

export class MasterServer {
  readonly master: Master
  readonly #options: MasterServerOptions
  readonly #server: HttpServer
  readonly #common: CommonHeaders
  readonly #context: RouteContext
  readonly #refusals = new Map<string, number>()
  readonly #statusPage = new MasterStatusPage()

  constructor(options: MasterServerOptions) {
    const { nodeId, state, auth, http, clock, random, log, scheme = 'http', version } = options
    const garbageThreshold = options.garbageThreshold ?? GARBAGE_THRESHOLD_DEFAULT
    this.#options = options
    this.master = new Master({
      nodeId,
      state,
      client: new ClusterClient({ http, auth, scheme }),
      clock,
      random,
      log,
      heartbeatPeriodMs: options.heartbeatPeriodMs,
      isDeaf: options.isDeaf,
      garbageThreshold,
      repairAfterMs: options.repairAfterMs,
      vacuumPeriodMs: options.vacuumPeriodMs ?? VACUUM_PERIOD_MS_DEFAULT,
    })
    this.#common = new CommonHeaders({ clock, random, server: `Cairn/${version}` })
    this.#context = {
      master: this.master,
      clock,
      url: '',
      scheme,
      version,
      replication: '000',
      garbageThreshold,
      signingKey: options.signingKey,
      readSigningKey: options.readSigningKey,
      metrics: options.metrics,
    }
    this.#server = new HttpServer({
      clock,
      handler: (request, response) => this.#handle(request, response),
      tls: options.tls,
      settings: options.settings,
      answerUnknownMethod: (head) => this.#answerLowerCaseGet(head),
      onHandlerError: (error) => log.error({ error }, 'a request failed by a bug'),
    })
  }

  /** Starts to serve; gives the port. `url`: `host:port` that others know this master by; default the listening one. */
  async listen(options: { host: string; port: number; url?: string }): Promise<number> {
    const { host } = options
    const port = await this.#server.listen({ host, port: options.port })
    this.#context.url = options.url ?? `${host.includes(':') ? `[${host}]` : host}:${port}`
    this.master.start()
    return port
  }

  /** `host:port` that others know this master by. */
  get url(): string {
    return this.#context.url
  }

  /** Finishes the requests in flight. */
  async close(): Promise<void> {
    this.master.stop()
    await this.#server.close()
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { path, search } = splitTarget(request.url ?? '/')
    const query = search === '' ? undefined : new URLSearchParams(search)
    const outcome = await this.#answer(request, response, { path, search, query })
    sendOutcome(response, outcome, this.#common.begin())
    this.#options.onReply?.(isKnownPath(path) ? path : 'other', outcome.status)
    if (!request.complete) drain(request, { clock: this.#options.clock })
  }

  async #answer(request: IncomingMessage, response: ServerResponse, target: Target): Promise<Outcome> {
    const { path, query } = target
    const method = request.method ?? 'GET'
    const pretty = (query?.get('pretty') ?? '') !== ''
    if (path === HEARTBEAT_PATH || isSignedPath(path))
      return await this.#answerSigned(request, response, path)
    try {
      await this.#checkUser(request.headers.authorization, path)
      if ((method === 'GET' || method === 'HEAD') && isStatusPagePath(path))
        return this.#statusPage.answer(this.#context, request.rawHeaders, pretty)
      if (path === '/submit') return await this.#submit(request, response, target)
      const form = method === 'POST' || method === 'PUT' ? await readForm(request, response) : undefined
      // Growth and compaction may take longer than a silent connection is let live.
      if (isSlowPath(path)) request.socket.setTimeout(0)
      const params = query === undefined && form === undefined ? NO_PARAMS : paramsOf(form, query)
      return await answer(this.#context, {
        method,
        path,
        search: target.search,
        params,
        pretty: params.has('pretty'),
      })
    } catch (error) {
      return failedWithChallenge(error, pretty)
    }
  }

  /**
   * `curl -X get`, as old guides print it: the parser refuses the method before there is a request, so this costs
   * others nothing. Only what has no body.
   */
  #answerLowerCaseGet(head: string): Promise<Outcome> | undefined {
    const match = /^get (\S+) HTTP\/1\.[01]\r\n/.exec(head)
    if (match === null) return undefined
    const { path, search } = splitTarget(match[1]!)
    const params = new Params(new URLSearchParams(search))
    const authorization = /\r\nauthorization:[ \t]*([^\r\n]*)/i.exec(head)?.[1]
    const answered = async () => {
      try {
        await this.#checkUser(authorization, path)
        return await answer(this.#context, {
          method: 'GET',
          path,
          search,
          params,
          pretty: params.has('pretty'),
        })
      } catch (error) {
        return failedWithChallenge(error, params.has('pretty'))
      }
    }
    return answered().then((outcome) => ({
      ...outcome,
      headers: [...this.#common.begin(), ...outcome.headers],
    }))
  }

  async #checkUser(authorization: string | undefined, path: string): Promise<void> {
    const { basicAuth } = this.#options
    if (basicAuth === undefined || HEALTH_PATHS.includes(path)) return
    if ((await basicAuth.user(authorization)) === undefined) {
      throw new StoreError('unauthorized', 'user and password are required')
    }
  }

  async #submit(request: IncomingMessage, response: ServerResponse, { query }: Target): Promise<Outcome> {
    const params = paramsOf(query)
    const pretty = params.has('pretty')
    if (request.method !== 'POST') {
      const outcome = methodNotAllowed(['POST'], pretty)
      return { ...errorOutcome(405, 'Only submit via POST!', pretty), headers: outcome.headers }
    }
    // Checked before the body is read: what cannot be stored is not uploaded.
    const assign = assignRequest(params, this.#context)
    const {
      http,
      scheme = 'http',
      bodyBudget,
      fileSizeBytesMax = FILE_SIZE_BYTES_MAX_DEFAULT,
      submitChunkBytes: chunkBytes = SUBMIT_CHUNK_BYTES_DEFAULT,
    } = this.#options
    const { assigner } = this.master
    const writing = (fid: string) => writeToken(this.#context, fid)
    const context: SubmitContext = { assigner, http, scheme, writeToken: writing }
    const contentType = request.headers['content-type'] ?? ''
    const submission = { contentType, headers: passedOn(request), request: assign, pretty }
    if ((announcedLength(request) ?? 0) > chunkBytes + FORM_BODY_BYTES_MAX) {
      if (!bodyBudget.reserve(2 * chunkBytes))
        throw new StoreError('too_many_requests', 'too many bytes of uploads in flight; try again')
      if (request.headers.expect !== undefined) response.writeContinue()
      // What is left of the body when it fails is drained like any other, so it must not be destroyed here.
      const body = request.iterator({ destroyOnReturn: false })
      try {
        return await submitInChunks(context, { ...submission, body, chunkBytes })
      } finally {
        await body.return?.()
        bodyBudget.release(2 * chunkBytes)
      }
    }
    const body = await readBody(request, response, {
      bytesMax: fileSizeBytesMax + FORM_BODY_BYTES_MAX,
      budget: bodyBudget,
    })
    try {
      return await submit(context, { ...submission, body: body.bytes })
    } finally {
      body.release()
    }
  }

  /** Calls of the cluster's own: verified by their signature, the head before a byte of the body is read. */
  async #answerSigned(request: IncomingMessage, response: ServerResponse, path: string): Promise<Outcome> {
    const { auth, nodeId } = this.#options
    try {
      if (request.method !== 'POST') throw new StoreError('bad_request', 'cluster calls are POSTs')
      const head = { method: 'POST', path: request.url ?? '' }
      const checkBody = auth.verifyHead(head, request.headers.authorization)
      const { bytes } = await readBody(request, response, { bytesMax: CLUSTER_MESSAGE_BYTES_MAX })
      checkBody(bytes)
      const envelope = { protocolVersion: PROTOCOL_VERSION, nodeId, epoch: EPOCH }
      if (path === HEARTBEAT_PATH)
        return jsonOutcome(200, { ...envelope, ...(await this.#takeHeartbeat(bytes)) })
      // A compaction or a move may take longer than a silent connection is let live.
      request.socket.setTimeout(0)
      const fields = parseMessage(bytes)
      if (isAdminPath(path)) this.#logAdmin(path, fields, request.socket.remoteAddress ?? '')
      const result = await answerSigned(this.#context, path, fields)
      return jsonOutcome(200, { ...envelope, ...result })
    } catch (error) {
      const { code, message } = toStoreError(error)
      if (path === HEARTBEAT_PATH) this.#logRefusal(request.socket.remoteAddress ?? '', message, code)
      return jsonOutcome(CLUSTER_STATUS[code], { error: message, code })
    }
  }

  /** Who has had what done to which volume is in the log, whatever comes of it. */
  #logAdmin(path: string, fields: Fields, from: string): void {
    const volume = fields.has('id') ? fields.number('id', Number.MAX_SAFE_INTEGER) : undefined
    const names = { call: path.slice(CLUSTER_ADMIN_PATH.length), volume, from }
    if (volume === undefined) this.#options.log.debug(names, 'an administrator asks')
    else this.#options.log.info(names, 'an administrator asks')
  }

  async #takeHeartbeat(body: Buffer): Promise<Omit<HeartbeatReply, keyof Envelope>> {
    await this.master.takeHeartbeat(parseHeartbeat(body))
    return { clusterId: this.#options.state.clusterId }
  }

  /** Once a minute for each sender and reason: a wrong secret comes again every second. */
  #logRefusal(from: string, reason: string, code: string): void {
    const { clock, log } = this.#options
    const [now, key] = [clock.monotonicMs(), `${from} ${code}`]
    if (now - (this.#refusals.get(key) ?? Number.NEGATIVE_INFINITY) < REFUSAL_LOG_MS) return
    if (this.#refusals.size >= REFUSALS_MAX) this.#refusals.clear()
    this.#refusals.set(key, now)
    log.warn({ from, code, reason }, 'refused a heartbeat')
  }
}

function isAdminPath(path: string): boolean {
  return path.startsWith(CLUSTER_ADMIN_PATH)
}

function isSlowPath(path: string): boolean {
  return path === '/vol/vacuum' || path === '/vol/grow' || path === '/col/delete'
}

/** Names of metrics must be few: file ids and nonsense are 'other'. */
function isKnownPath(path: string): boolean {
  return path === '/submit' || path === HEARTBEAT_PATH || hasRoute(path)
}

function failedWithChallenge(error: unknown, pretty: boolean): Outcome {
  const outcome = failed(error, pretty)
  if (outcome.status === 401) outcome.headers.push('WWW-Authenticate', BASIC_AUTH_CHALLENGE)
  return outcome
}

interface Target {
  path: string
  /** With its `?`, or ''. */
  search: string
  query: URLSearchParams | undefined
}

function splitTarget(target: string): { path: string; search: string } {
  // A proxy may send the absolute form.
  const start = target.startsWith('/') ? 0 : Math.max(0, target.indexOf('/', target.indexOf('//') + 2))
  const question = target.indexOf('?', start)
  if (question < 0) return { path: target.slice(start), search: '' }
  return { path: target.slice(start, question), search: target.slice(question) }
}

function paramsOf(...sources: (URLSearchParams | undefined)[]): Params {
  return new Params(...sources.filter((source) => source !== undefined))
}

/** The fields of a form body; undefined when there is none. A body of another type is left unread. */
async function readForm(
  request: IncomingMessage,
  response: ServerResponse,
): Promise<URLSearchParams | undefined> {
  const contentType = request.headers['content-type'] ?? ''
  const isUrlEncoded = /^application\/x-www-form-urlencoded[ \t]*(;|$)/i.test(contentType)
  const boundary = isUrlEncoded ? undefined : formBoundary(contentType)
  if (announcedLength(request) === 0 || (!isUrlEncoded && boundary === undefined)) return undefined
  const { bytes } = await readBody(request, response, { bytesMax: FORM_BODY_BYTES_MAX })
  if (boundary === undefined) return new URLSearchParams(bytes.toString('utf8'))
  const fields = new URLSearchParams()
  for (const part of parseForm(bytes, boundary)) {
    if (part.name !== undefined && part.filename === undefined)
      fields.append(part.name, part.data.toString('utf8'))
  }
  return fields
}

/** What of a submission's headers the volume server must see: who asks, and what is stored with the file. */
function passedOn(request: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(request.headers)) {
    if (typeof value !== 'string') continue
    if (name === 'authorization' || name === 'content-md5' || name.startsWith('seaweed-'))
      headers[name] = value
  }
  return headers
}
