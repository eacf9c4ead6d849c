/**
 * sfss, a small-file service over HTTP: `/file`, `/files` and `/status`. One instance a thread; all of them listen on one
 * port. `docs/sfss.md` says what it answers.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../../base/clock.ts'
import { StoreError, toStoreError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { Random } from '../../base/random.ts'
import { BASIC_AUTH_CHALLENGE, type BasicAuth } from '../../net/basic-auth.ts'
import { type BodyBudget, drain, readBody } from '../../net/body.ts'
import type { FastReply, FastRequest } from '../../net/fast-lane.ts'
import { HttpServer, type HttpServerSettings, type ListenOptions } from '../../net/http-server.ts'
import {
  CommonHeaders,
  errorOutcome,
  jsonOutcome,
  type Outcome,
  rawHeader,
  sendOutcome,
} from '../../net/reply.ts'
import { originForm } from '../../net/request-target.ts'
import type { Conditions } from '../../objects/object-store.ts'
import { failureOutcome } from './errors.ts'
import { pathOfQuery } from './file-path.ts'
import type { FileStore, StoredFile } from './file-store.ts'
import { readFile } from './get-file.ts'
import { FORM_BYTES_MAX, tooLarge, uploadedFile, writeConditions } from './put-file.ts'
import type { SfssCounters } from './sfss-counters.ts'
import { counterTexts, processTexts, statusOf } from './status.ts'

export interface SfssServerOptions {
  files: FileStore
  counters: SfssCounters
  clock: Clock
  random: Random
  log: Log
  /** The program's. */
  version: string
  fileSizeBytesMax: number
  bodyBudget: BodyBudget
  /** Asked for on everything but `/healthz`. */
  basicAuth?: BasicAuth | undefined
  tls?: { cert: string | Buffer; key: string | Buffer } | undefined
  settings?: Partial<HttpServerSettings> | undefined
  /** Logs every request at level debug. */
  logsRequests?: boolean
}

/** A request as both ways of serving have it. */
interface Asked {
  method: string
  target: string
  rawHeaders: readonly string[]
  /** The body, and what is to be called when it is used no more. Throws `too_large`, `too_many_requests`, `bad_request`. */
  body(): Promise<{ bytes: Buffer; release(): void }>
}

const FILE_METHODS = 'GET, HEAD, PUT, DELETE'

export class SfssServer {
  readonly #options: SfssServerOptions
  readonly #files: FileStore
  readonly #server: HttpServer
  readonly #common: CommonHeaders
  readonly #startedMs: number

  constructor(options: SfssServerOptions) {
    this.#options = options
    const { clock, random, log, version } = options
    this.#startedMs = clock.monotonicMs()
    this.#files = options.files
    this.#common = new CommonHeaders({ clock, random, server: `Cairn/${version}` })
    this.#server = new HttpServer({
      clock,
      handler: (request, response) => this.#handle(request, response),
      fastLane: {
        answer: (request) => this.#answerFast(request),
        commonHead: () => this.#common.lines(),
        bodyBudget: options.bodyBudget,
      },
      ...(options.tls && { tls: options.tls }),
      ...(options.settings && { settings: options.settings }),
      onConnection: (change) => {
        options.counters.add('curr_connections', change)
        if (change === 1) options.counters.add('total_connections')
      },
      onHandlerError: (error) => log.error({ error }, 'a request to sfss failed by a bug'),
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

  /** Small files, read or written whole. Everything else takes the ordinary way. */
  #answerFast({ method, target, rawHeaders, body }: FastRequest): FastReply | undefined {
    if (this.#options.basicAuth !== undefined || this.#options.logsRequests || method === 'HEAD')
      return undefined
    const taken = async () => ({ bytes: body, release() {} })
    const outcome = this.#settled(() => this.#outcomeOf({ ...{ method, target, rawHeaders }, body: taken }))
    return {
      outcome,
      onSent: (_outcome, sentBytes) => this.#options.counters.add('bytes_written', sentBytes),
    }
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { rawHeaders } = request
    const [method, target] = [request.method!, originForm(request.url!)]
    const { counters, clock, log } = this.#options
    const body = () => this.#bodyOf(request, response)
    const outcome = await this.#settled(async () =>
      (await this.#isKnown(target, rawHeaders))
        ? await this.#outcomeOf({ ...{ method, target, rawHeaders }, body })
        : wrongPassword(),
    )
    counters.add('bytes_written', sendOutcome(response, outcome, this.#common.begin()))
    if (!request.complete) {
      const { drainBytesMax, drainMsMax } = this.#server.settings
      drain(request, { clock, bytesMax: drainBytesMax, msMax: drainMsMax })
    }
    if (this.#options.logsRequests)
      log.debug({ door: 'sfss', method, path: target, status: outcome.status }, 'request')
  }

  /** A body of more than a form with a file may have cannot be a file that is taken. */
  async #bodyOf(request: IncomingMessage, response: ServerResponse) {
    const { bodyBudget: budget, fileSizeBytesMax } = this.#options
    try {
      return await readBody(request, response, { bytesMax: fileSizeBytesMax + FORM_BYTES_MAX, budget })
    } catch (error) {
      throw toStoreError(error).code === 'too_large' ? tooLarge(fileSizeBytesMax) : error
    }
  }

  /** Throws `too_many_requests`. */
  async #isKnown(target: string, rawHeaders: readonly string[]): Promise<boolean> {
    const { basicAuth } = this.#options
    if (basicAuth === undefined || target === '/healthz') return true
    return (await basicAuth.user(rawHeader(rawHeaders, 'authorization'))) !== undefined
  }

  #settled(answer: () => Outcome | Promise<Outcome>): Outcome | Promise<Outcome> {
    try {
      const outcome = answer()
      return outcome instanceof Promise ? outcome.catch((error: unknown) => this.#failed(error)) : outcome
    } catch (error) {
      return this.#failed(error)
    }
  }

  #failed(error: unknown): Outcome {
    const outcome = failureOutcome(error)
    if (outcome !== undefined) return outcome
    this.#options.log.error({ error }, 'a request to sfss failed by a bug')
    return errorOutcome(500, 'internal error')
  }

  #outcomeOf(asked: Asked): Outcome | Promise<Outcome> {
    const { method, target } = asked
    const question = target.indexOf('?')
    const query = question < 0 ? '' : target.slice(question + 1)
    switch (question < 0 ? target : target.slice(0, question)) {
      case '/file':
        if (method === 'GET' || method === 'HEAD') return this.#read(asked, pathOfQuery(query))
        if (method === 'PUT') return this.#store(asked, pathOfQuery(query), 200)
        if (method === 'DELETE') return this.#remove(asked, pathOfQuery(query))
        return notAllowed(method, FILE_METHODS)
      case '/files':
        if (method === 'POST') return this.#store(asked, pathOfQuery(query), 201)
        return notAllowed(method, 'POST')
      case '/status':
        if (method === 'GET' || method === 'HEAD') return this.#status()
        return notAllowed(method, 'GET, HEAD')
      case '/healthz':
        return { status: 200, headers: [], body: undefined }
      default:
        return errorOutcome(404, 'there are /file, /files and /status')
    }
  }

  /** At once where the file is small and near. */
  #read(asked: Asked, path: string): Outcome | Promise<Outcome> {
    this.#options.counters.add('cmd_get')
    try {
      const file = this.#files.find(path)
      const outcome =
        file instanceof Promise ? file.then((each) => this.#reply(asked, each)) : this.#reply(asked, file)
      return outcome instanceof Promise ? outcome.then(this.#hit, this.#missed) : this.#hit(outcome)
    } catch (error) {
      return this.#missed(error)
    }
  }

  #reply({ method, rawHeaders }: Asked, file: StoredFile): Outcome | Promise<Outcome> {
    return readFile({ method, rawHeaders }, file, this.#options.random)
  }

  readonly #hit = (outcome: Outcome): Outcome => {
    this.#options.counters.add('get_hits')
    return outcome
  }

  readonly #missed = (error: unknown): never => {
    this.#options.counters.add('get_misses')
    throw error
  }

  async #store(asked: Asked, path: string, status: number): Promise<Outcome> {
    const { counters, fileSizeBytesMax: bytesMax } = this.#options
    const { rawHeaders } = asked
    const conditions = writeConditions(rawHeaders)
    const body = await asked.body()
    try {
      counters.add('bytes_read', body.bytes.length)
      const file = uploadedFile(body.bytes, rawHeaders, { bytesMax })
      await unlessUnmatched(conditions, this.#files.put(path, file, conditions))
    } finally {
      body.release()
    }
    counters.add('cmd_set')
    return { status, headers: [], body: undefined }
  }

  async #remove({ rawHeaders }: Asked, path: string): Promise<Outcome> {
    this.#options.counters.add('cmd_delete')
    const conditions = writeConditions(rawHeaders)
    await unlessUnmatched(conditions, this.#files.remove(path, conditions))
    return { status: 204, headers: [], body: undefined }
  }

  async #status(): Promise<Outcome> {
    const { counters, clock, version } = this.#options
    const states = await this.#files.states()
    const webserver = {
      ...processTexts({ clock, version, startedMs: this.#startedMs, threads: counters.places }),
      ...counterTexts(counters.totals()),
    }
    return jsonOutcome(200, statusOf(states, webserver))
  }
}

/** Where If-Match asks for a file, that there is none is a condition that fails. */
async function unlessUnmatched(conditions: Conditions | undefined, work: Promise<void>): Promise<void> {
  try {
    await work
  } catch (error) {
    const isUnmatched = conditions?.ifMatch !== undefined && toStoreError(error).code === 'not_found'
    throw isUnmatched ? new StoreError('precondition_failed', 'there is no file to match') : error
  }
}

function notAllowed(method: string, allowed: string): Outcome {
  const outcome = errorOutcome(405, `method ${method} is not allowed`)
  outcome.headers.push('Allow', allowed)
  return outcome
}

function wrongPassword(): Outcome {
  const outcome = errorOutcome(401, 'wrong user or password')
  outcome.headers.push('WWW-Authenticate', BASIC_AUTH_CHALLENGE)
  return outcome
}
