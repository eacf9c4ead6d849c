/**
 * The volume server's HTTP: files by id, status pages, and the master's calls. One instance a thread; all of them
 * listen on one port and see the same volumes. What the replies are is in `volume/`; here is who may ask, and the way
 * from request to reply: route by character codes first, everything else only for those who need it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../base/clock.ts'
import { HeavyJobs } from '../base/heavy-jobs.ts'
import { VOLUME_ADMIN_MESSAGE_BYTES_MAX } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import type { ReadMode } from '../base/read-mode.ts'
import type { ScrubStatus } from '../disk/scrub.ts'
import type { VolumeAdmin } from '../disk/volume-admin.ts'
import { BASIC_AUTH_CHALLENGE, type BasicAuth } from '../net/basic-auth.ts'
import { type BodyBudget, collectBody, drain, readBody } from '../net/body.ts'
import type { FastReply, FastRequest } from '../net/fast-lane.ts'
import type { HttpClient } from '../net/http-client.ts'
import { HttpServer, type HttpServerSettings, type ListenOptions } from '../net/http-server.ts'
import {
  CommonHeaders,
  errorOutcome,
  JSON_HEADERS,
  jsonOutcome,
  type Outcome,
  rawHeader,
  sendOutcome,
} from '../net/reply.ts'
import { MARK, marksOf } from '../net/request-marks.ts'
import { originForm } from '../net/request-target.ts'
import { type ClusterAuth, isClusterAuthorization } from './cluster-auth.ts'
import { RemoteBlobs } from './remote-blobs.ts'
import type { RepairStatus } from './shard-repairer.ts'
import { isStatusPagePath } from './status-shell.ts'
import { Elsewhere } from './volume/elsewhere.ts'
import { failureOutcome } from './volume/errors.ts'
import { plainFid } from './volume/file-path.ts'
import { type FileRequest, FileService, type WriteTarget } from './volume/file-service.ts'
import type { VolumesView } from './volume/read-request.ts'
import { statusPage } from './volume/status.ts'
import { VolumeStatusPage } from './volume/status-page.ts'
import type { SyncMode } from './volume/write.ts'
import {
  type ClusterDoor,
  failedReply,
  isVolumeAdminPath,
  localClusterDoor,
  type VolumeAdminReply,
} from './volume-admin-door.ts'
import type { VolumeCounters } from './volume-counters.ts'
import type { FindVolume } from './volume-locator.ts'

export type { SyncMode }

export interface VolumeServerOptions {
  volumes: VolumesView
  admin: VolumeAdmin
  clusterAuth: ClusterAuth
  /** The process's one door for the cluster's calls. Without it, this server remembers by itself which messages came. */
  clusterDoor?: ClusterDoor
  /** Of this volume server, the same in all of its threads. */
  nodeId: string
  clock: Clock
  random: Random
  log: Log
  /** The program's, for the Server header and status pages. */
  version: string
  counters: VolumeCounters
  bodyBudget: BodyBudget
  sync: SyncMode
  /** One file, and what stored gzip may inflate to. */
  fileSizeBytesMax: number
  /** Stores files gzipped whose kind compresses. Default true. */
  gzip?: boolean
  /** Turns JPEGs upright before they are stored. Default false. */
  fixJpegOrientation?: boolean
  /** 4 bytes that all threads of the process share: the long computations that run. */
  heavyJobs?: SharedArrayBuffer
  /** For chunks that live on other servers. */
  http: HttpClient
  /** Where volumes are that are not here. */
  find: FindVolume
  /** Default `proxy`. */
  readMode?: ReadMode
  /** Text of the `/metrics` page. */
  metrics: () => Promise<{ contentType: string; text: string }>
  /** How far the background reader is. */
  scrubbed?: () => Promise<ScrubStatus>
  /** What the repair of erasure groups has done. */
  repaired?: () => Promise<RepairStatus>
  /** Logs every request at level debug. */
  logsRequests?: boolean
  /** Asked for on everything but `/healthz` and the master's calls. */
  basicAuth?: BasicAuth
  /** Keys of the master; without one, that kind of access needs no token. */
  jwt?: { readKey?: string; writeKey?: string }
  tls?: { cert: string | Buffer; key: string | Buffer }
  settings?: Partial<HttpServerSettings>
}

/** Places in the counters. */
const KIND = { read: 0, write: 1, delete: 2, other: 3 } as const
/** The query of what one server writes on another. */
const BLOB_WRITE = /(^|&)type=blob(&|$)/
const ALLOWED_METHODS = 'PUT, POST, GET, HEAD, DELETE, OPTIONS'
/** What boundaries and part headers may add to a file. */
const FORM_OVERHEAD_BYTES_MAX = 64 * 1024

export class VolumeServer {
  readonly #options: VolumeServerOptions
  readonly #server: HttpServer
  readonly #common: CommonHeaders
  readonly #files: FileService
  readonly #door: ClusterDoor
  readonly #people: VolumeStatusPage
  /** Whether every GET must be looked at for credentials before it is answered. */
  readonly #guardsReads: boolean
  readonly #guardsWrites: boolean

  constructor(options: VolumeServerOptions) {
    this.#options = options
    const { clock, random, log, sync, fileSizeBytesMax, volumes, version, jwt = {} } = options
    this.#common = new CommonHeaders({ clock, random, server: `Cairn/${version}` })
    const scheme = options.tls === undefined ? 'http' : 'https'
    const others = { http: options.http, find: options.find, scheme, auth: options.clusterAuth } as const
    const remote = new RemoteBlobs(others)
    const elsewhere = new Elsewhere({ ...others, mode: options.readMode ?? 'proxy' })
    this.#door = options.clusterDoor ?? localClusterDoor({ ...options, auth: options.clusterAuth })
    this.#people = newStatusPage(options)
    const { gzip = true, fixJpegOrientation = false, heavyJobs = new SharedArrayBuffer(4) } = options
    const jobs = new HeavyJobs(heavyJobs)
    const chunks = { volumes, remote, elsewhere, inflatedBytesMax: fileSizeBytesMax, jobs }
    const storing = { sync, fileSizeBytesMax, gzip, fixJpegOrientation, jobs }
    this.#files = new FileService({ chunks, clock, random, log, jwt, ...storing })
    this.#guardsWrites = options.basicAuth !== undefined || jwt.writeKey !== undefined
    this.#guardsReads = options.basicAuth !== undefined || jwt.readKey !== undefined
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
      onHandlerError: (error) => log.error({ error }, 'a request failed by a bug'),
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

  get connectionCount(): number {
    return this.#server.connectionCount
  }

  /** Files by plain id, read or written whole: nearly all of the traffic. Everything else takes the ordinary way. */
  #answerFast(request: FastRequest): FastReply | undefined {
    const { method, target, rawHeaders, body } = request
    const marks = marksOf(rawHeaders)
    if ((marks & MARK.origin) !== 0 || this.#options.logsRequests) return undefined
    if (method === 'GET' && !this.#guardsReads) {
      const fid = plainFid(target)
      if (fid === undefined) return undefined
      return { outcome: this.#files.readPlain(fid, rawHeaders, marks), onSent: this.#noteFastRead }
    }
    if (method !== 'POST' || this.#guardsWrites || plainFid(target) === undefined) return undefined
    const write = this.#files.prepareWrite({ method, path: target, queryText: '', rawHeaders, marks })
    const outcome = 'status' in write ? write : this.#files.write(write, body)
    const received = body.length
    const onSent = ({ status }: Outcome, sent: number) => {
      this.#options.counters.note(KIND.write, status, { received, sent })
    }
    return { outcome, onSent }
  }

  readonly #noteFastRead = ({ status }: Outcome, sent: number): void => {
    this.#options.counters.note(KIND.read, status, { received: 0, sent })
  }

  #handle(request: IncomingMessage, response: ServerResponse): void | Promise<void> {
    const { rawHeaders } = request
    const url = originForm(request.url!)
    const marks = marksOf(rawHeaders)
    const exchange: Exchange = { request, response, marks, kind: KIND.read, bytesReceived: 0 }
    if (request.method === 'GET' && !this.#guardsReads) {
      const fid = plainFid(url)
      if (fid !== undefined) return this.#answer(exchange, this.#files.readPlain(fid, rawHeaders, marks))
    }
    const question = url.indexOf('?')
    const path = question < 0 ? url : url.slice(0, question)
    const queryText = question < 0 ? '' : url.slice(question + 1)
    return this.#handleAny(exchange, { method: request.method!, path, queryText, rawHeaders, marks })
  }

  #handleAny(exchange: Exchange, asked: FileRequest): void | Promise<void> {
    const refusal = this.#refusal(asked)
    if (refusal === undefined) return this.#dispatch(exchange, asked)
    if (!(refusal instanceof Promise)) return this.#answer(ofKind(exchange, KIND.other), refusal)
    return refusal.then((settled) => {
      if (settled === undefined) return this.#dispatch(exchange, asked)
      return this.#answer(ofKind(exchange, KIND.other), settled)
    })
  }

  #dispatch(exchange: Exchange, asked: FileRequest): void | Promise<void> {
    switch (asked.method) {
      case 'GET':
      case 'HEAD': {
        const page = this.#page(asked)
        if (page !== undefined) return this.#answer(ofKind(exchange, KIND.other), page)
        return this.#answer(exchange, this.#files.read(asked))
      }
      case 'POST':
      case 'PUT':
        if (isVolumeAdminPath(asked.path)) return this.#handleAdmin(ofKind(exchange, KIND.other))
        return this.#handleWrite(ofKind(exchange, KIND.write), asked)
      case 'DELETE':
        return this.#answer(ofKind(exchange, KIND.delete), this.#files.remove(asked))
      case 'OPTIONS': {
        const headers = ['Access-Control-Allow-Methods', ALLOWED_METHODS, 'Access-Control-Allow-Headers', '*']
        return this.#answer(ofKind(exchange, KIND.other), { status: 200, headers, body: undefined })
      }
      default: {
        const outcome = errorOutcome(405, `method ${asked.method} is not allowed`)
        outcome.headers.push('Allow', ALLOWED_METHODS)
        return this.#answer(ofKind(exchange, KIND.other), outcome)
      }
    }
  }

  /** 401 for requests that lack a password. Health checks and preflights have none; the master signs its calls. */
  #refusal(asked: FileRequest): Outcome | undefined | Promise<Outcome | undefined> {
    if (!this.#guardsReads && !this.#guardsWrites) return undefined
    const { method, path, rawHeaders } = asked
    const { basicAuth } = this.#options
    const authorization = rawHeader(rawHeaders, 'authorization')
    if (isClusterAuthorization(authorization) && !isVolumeAdminPath(path)) {
      return this.#refusalOfPeer(asked, authorization)
    }
    if (basicAuth === undefined || path === '/healthz' || method === 'OPTIONS' || isVolumeAdminPath(path)) {
      return undefined
    }
    const user = basicAuth.user(authorization)
    if (!(user instanceof Promise)) return user === undefined ? wrongPassword() : undefined
    return user.then(
      (name) => (name === undefined ? wrongPassword() : undefined),
      (error: unknown) => failureOutcome(error) ?? wrongPassword(),
    )
  }

  /** Another server of the cluster needs no password: its signature is verified, and what it changes only once. */
  #refusalOfPeer(
    asked: FileRequest,
    authorization: string,
  ): Outcome | undefined | Promise<Outcome | undefined> {
    const { method, path, queryText } = asked
    const head = { method, path: queryText === '' ? path : `${path}?${queryText}` }
    try {
      if (method === 'DELETE') {
        const verified = this.#door.verify({ ...head, body: Buffer.alloc(0) }, authorization)
        asked.isPeer = true
        return verified.then(
          () => undefined,
          (error: unknown) => failureOutcome(error) ?? wrongPassword(),
        )
      }
      if (method === 'PUT' && BLOB_WRITE.test(queryText)) {
        // The body is compared when it is here; then the signature is used up.
        this.#options.clusterAuth.verifySignature(head, authorization)
        asked.isPeer = true
        return undefined
      }
      if (method !== 'GET' && method !== 'HEAD') return wrongPassword()
      this.#options.clusterAuth.verifyRead(head, authorization)
      asked.isPeer = true
      return undefined
    } catch (error) {
      return failureOutcome(error) ?? wrongPassword()
    }
  }

  /** The pages that are no files. */
  #page({ path, queryText, rawHeaders }: FileRequest): Outcome | Promise<Outcome> | undefined {
    const isPretty = () => (new URLSearchParams(queryText).get('pretty') ?? '') !== ''
    if (isStatusPagePath(path)) return this.#people.answer(rawHeaders, isPretty())
    switch (path) {
      case '/healthz':
        return { status: 200, headers: [], body: undefined }
      case '/status':
        return this.#statusPage(isPretty())
      case '/metrics':
        return this.#metricsPage()
      case '/favicon.ico':
        return errorOutcome(404, 'no such page')
      default:
        return undefined
    }
  }

  async #statusPage(pretty: boolean): Promise<Outcome> {
    return jsonOutcome(200, statusPage(await this.#options.admin.status(), this.#options.version), pretty)
  }

  async #metricsPage(): Promise<Outcome> {
    const { contentType, text } = await this.#options.metrics()
    return { status: 200, headers: ['Content-Type', contentType], body: Buffer.from(text) }
  }

  #handleWrite(exchange: Exchange, asked: FileRequest): void | Promise<void> {
    const target = this.#files.prepareWrite(asked)
    if ('status' in target) return this.#answer(exchange, target)
    const { fileSizeBytesMax, bodyBudget: budget } = this.#options
    const options = { bytesMax: fileSizeBytesMax + FORM_OVERHEAD_BYTES_MAX, budget }
    collectBody(exchange.request, exchange.response, options, (error, body) => {
      if (error !== undefined) return void this.#answer(exchange, failureOutcome(error, target.query.pretty)!)
      exchange.bytesReceived = body!.bytes.length
      const outcome = this.#storeBody(asked, target, body!.bytes)
      if (!(outcome instanceof Promise)) {
        body!.release()
        this.#reply(exchange, outcome)
        return
      }
      void outcome.then((settled) => {
        body!.release()
        this.#reply(exchange, settled)
      })
    })
  }

  #storeBody(asked: FileRequest, target: WriteTarget, body: Buffer): Outcome | Promise<Outcome> {
    if (!asked.isPeer) return this.#files.write(target, body)
    const { method, path, queryText, rawHeaders } = asked
    const head = { method, path: queryText === '' ? path : `${path}?${queryText}` }
    const authorization = rawHeader(rawHeaders, 'authorization')
    return this.#door
      .useSignature(head, authorization)
      .then(() => {
        this.#options.clusterAuth.verifyBody(body, authorization)
        return this.#files.write(target, body)
      })
      .catch((error: unknown) => failureOutcome(error) ?? wrongPassword())
  }

  async #handleAdmin(exchange: Exchange): Promise<void> {
    const { request, response } = exchange
    const { authorization } = request.headers
    const head = { method: request.method!, path: request.url! }
    let reply: VolumeAdminReply
    try {
      // The door verifies it again, with the body: here a stranger's body is not even read.
      this.#options.clusterAuth.verifySignature(head, authorization)
      const body = await readBody(request, response, { bytesMax: VOLUME_ADMIN_MESSAGE_BYTES_MAX })
      // A compaction may take longer than a silent connection is let live.
      request.socket.setTimeout(0)
      reply = await this.#door.answer({ ...head, body: body.bytes }, authorization)
      request.socket.setTimeout(this.#server.settings.idleTimeoutMs)
    } catch (error) {
      reply = failedReply(error)
    }
    const { status, headers = JSON_HEADERS, body } = reply
    const bytes = typeof body === 'string' ? Buffer.from(body) : bufferOf(body)
    this.#reply(exchange, { status, headers: [...headers], body: bytes })
  }

  #answer(exchange: Exchange, outcome: Outcome | Promise<Outcome>): void | Promise<void> {
    if (!(outcome instanceof Promise)) return this.#reply(exchange, outcome)
    return outcome.then((settled) => this.#reply(exchange, settled))
  }

  /** Without the query, which may hold a token. */
  #logRequest(method: string, url: string, status: number): void {
    const question = url.indexOf('?')
    this.#options.log.debug({ method, path: question < 0 ? url : url.slice(0, question), status }, 'request')
  }

  #reply(exchange: Exchange, outcome: Outcome): void {
    const { request, response, marks, kind, bytesReceived } = exchange
    const headers = this.#common.begin()
    if ((marks & MARK.origin) !== 0) {
      headers.push('Access-Control-Allow-Origin', '*', 'Access-Control-Allow-Credentials', 'true')
    }
    const sent = sendOutcome(response, outcome, headers)
    this.#options.counters.note(kind, outcome.status, { received: bytesReceived, sent })
    if (this.#options.logsRequests) this.#logRequest(request.method!, request.url!, outcome.status)
    if (!request.complete) {
      const { drainBytesMax, drainMsMax } = this.#server.settings
      drain(request, { clock: this.#options.clock, bytesMax: drainBytesMax, msMax: drainMsMax })
    }
  }
}

function newStatusPage(options: VolumeServerOptions): VolumeStatusPage {
  const { admin, counters, clock, version, nodeId, scrubbed, repaired } = options
  return new VolumeStatusPage({
    status: () => admin.status(),
    scrubbed,
    repaired,
    counters,
    nowMs: () => clock.nowMs(),
    version,
    nodeId,
  })
}

function bufferOf({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length)
}

function wrongPassword(): Outcome {
  const outcome = errorOutcome(401, 'wrong user or password')
  outcome.headers.push('WWW-Authenticate', BASIC_AUTH_CHALLENGE)
  return outcome
}

/** One request on its way to its reply. */
interface Exchange {
  request: IncomingMessage
  response: ServerResponse
  /** Bits of MARK. */
  marks: number
  /** One of KIND. */
  kind: number
  bytesReceived: number
}

function ofKind(exchange: Exchange, kind: number): Exchange {
  exchange.kind = kind
  return exchange
}
