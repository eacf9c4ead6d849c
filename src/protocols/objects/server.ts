/**
 * Objects with versions over HTTP: `/objects`, `/versions`, `/locate` and `/temp`. One instance a thread; all of them listen on one
 * port. `docs/objects.md` says what it answers. Its plain replies carry the headers of the service that it is like, and no others.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Log } from '../../base/log.ts'
import type { Random } from '../../base/random.ts'
import { BASIC_AUTH_CHALLENGE, type BasicAuth } from '../../net/basic-auth.ts'
import { announcedLength, arrivingPieces, type BodyBudget, drain, readBody } from '../../net/body.ts'
import type { FastReply, FastRequest } from '../../net/fast-lane.ts'
import { HttpServer, type HttpServerSettings, type ListenOptions } from '../../net/http-server.ts'
import {
  CommonHeaders,
  errorOutcome,
  type Outcome,
  rawHeader,
  sendOutcome,
  streamTo,
} from '../../net/reply.ts'
import { originForm } from '../../net/request-target.ts'
import type { ObjectBody } from '../../objects/object-store.ts'
import { type Answer, Answers, type AnswersOptions, type Asked, type TakenBody } from './answers.ts'
import { failureOutcome } from './errors.ts'
import { RangeMismatch } from './uploads.ts'

export interface ObjectsServerOptions extends AnswersOptions {
  random: Random
  log: Log
  bodyBudget: BodyBudget
  /** Asked for on everything but `/healthz`. */
  basicAuth?: BasicAuth | undefined
  tls?: { cert: string | Buffer; key: string | Buffer } | undefined
  settings?: Partial<HttpServerSettings> | undefined
  /** Logs every request at level debug. */
  logsRequests?: boolean
  /** Told of every reply, for counters. */
  onReply?: (reply: { method: string; status: number; receivedBytes: number; sentBytes: number }) => void
}

/** Answered by lines. */
const LINES = /^\/(versions\/|orphans)/
/** Longer bodies are stored while they come. */
const GATHERED_BYTES_MAX = 64 * 1024

export class ObjectsServer {
  readonly #options: ObjectsServerOptions
  readonly #answers: Answers
  readonly #server: HttpServer
  readonly #common: CommonHeaders

  constructor(options: ObjectsServerOptions) {
    this.#options = options
    const { clock, random, log } = options
    this.#answers = new Answers(options)
    this.#common = new CommonHeaders({ clock, random, server: '' })
    this.#server = new HttpServer({
      clock,
      handler: (request, response) => this.#handle(request, response),
      fastLane: {
        answer: (request) => this.#answerFast(request),
        commonHead: () => `Date: ${this.#common.date()}\r\n`,
        bodyBudget: options.bodyBudget,
      },
      ...(options.tls && { tls: options.tls }),
      ...(options.settings && { settings: options.settings }),
      onHandlerError: (error) => log.error({ error }, 'a request to objects failed by a bug'),
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

  /** Small objects, read or written whole. Everything else takes the ordinary way. */
  #answerFast({ method, target, rawHeaders, body: bytes }: FastRequest): FastReply | undefined {
    if (this.#options.basicAuth !== undefined || this.#options.logsRequests) return undefined
    if (method === 'HEAD' || LINES.test(target)) return undefined
    const taken = { body: wholeBody(bytes), release() {} }
    const asked: Asked = { method, ...splitTarget(target), rawHeaders, body: async () => taken }
    const onReply = ({ status }: Outcome, sentBytes: number) =>
      this.#options.onReply?.({ method, status, receivedBytes: bytes.length, sentBytes })
    const outcome = this.#settled(() => this.#answers.answer(asked)) as Promise<Outcome>
    return { outcome, onSent: onReply }
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { rawHeaders } = request
    const [method, target] = [request.method!, originForm(request.url!)]
    const exchange = { request, response, receivedBytes: 0 }
    const asked: Asked = { method, ...splitTarget(target), rawHeaders, body: () => this.#take(exchange) }
    const answer = await this.#settled(async () =>
      (await this.#isKnown(target, rawHeaders)) ? await this.#answers.answer(asked) : wrongPassword(),
    )
    const headers = ['Date', this.#common.date()]
    const isLines = 'lines' in answer
    const status = isLines ? 200 : answer.status
    const sentBytes = isLines
      ? await sendLines(response, answer.lines, headers)
      : sendOutcome(response, answer, headers)
    const { receivedBytes } = exchange
    this.#options.onReply?.({ method, status, receivedBytes, sentBytes })
    const { clock, log, logsRequests } = this.#options
    if (!request.complete) {
      const { drainBytesMax, drainMsMax } = this.#server.settings
      drain(request, { clock, bytesMax: drainBytesMax, msMax: drainMsMax })
    }
    if (logsRequests) log.debug({ door: 'objects', method, path: target, status }, 'request')
  }

  /** Throws `too_many_requests`. */
  async #isKnown(target: string, rawHeaders: readonly string[]): Promise<boolean> {
    const { basicAuth } = this.#options
    if (basicAuth === undefined || target === '/healthz') return true
    return (await basicAuth.user(rawHeader(rawHeaders, 'authorization'))) !== undefined
  }

  async #take(exchange: Exchange): Promise<TakenBody> {
    const { request, response } = exchange
    const length = announcedLength(request)
    const count = (lengthBytes: number) => {
      exchange.receivedBytes += lengthBytes
    }
    if (length === undefined || length > GATHERED_BYTES_MAX)
      return {
        body: { sizeBytes: length, pieces: () => arrivingPieces(request, response, count) },
        release() {},
      }
    const options = { bytesMax: GATHERED_BYTES_MAX, budget: this.#options.bodyBudget }
    const { bytes, release } = await readBody(request, response, options)
    exchange.receivedBytes = bytes.length
    return { body: wholeBody(bytes), release }
  }

  async #settled(answer: () => Promise<Answer>): Promise<Answer> {
    try {
      return await answer()
    } catch (error) {
      if (error instanceof RangeMismatch) return errorOutcome(416, error.message)
      const outcome = failureOutcome(error)
      if (outcome !== undefined) return outcome
      this.#options.log.error({ error }, 'a request to objects failed by a bug')
      return errorOutcome(500, 'internal error')
    }
  }
}

/** One request on the ordinary way. */
interface Exchange {
  request: IncomingMessage
  response: ServerResponse
  receivedBytes: number
}

const wholeBody = (bytes: Buffer): ObjectBody => ({
  sizeBytes: bytes.length,
  whole: bytes,
  async *pieces() {
    yield bytes
  },
})

/** What is wrong before the first line is an error; later, a connection that breaks off. */
async function sendLines(
  response: ServerResponse,
  lines: AsyncIterable<Buffer>,
  headers: string[],
): Promise<number> {
  let sentBytes = 0
  async function* counted() {
    for await (const piece of lines) {
      sentBytes += piece.length
      yield piece
    }
  }
  const pieces = counted()
  const first = await firstOf(pieces)
  if ('status' in first) return sendOutcome(response, first, headers)
  if (!first.done) headers.push('Content-Type', 'text/plain; charset=utf-8')
  response.sendDate = false
  response.writeHead(200, headers)
  try {
    if (!first.done) response.write(first.value)
    await streamTo(response, { sizeBytes: 0, pieces: () => pieces, close() {} })
    response.end()
  } catch {
    response.destroy()
  }
  return sentBytes
}

async function firstOf(pieces: AsyncGenerator<Buffer>): Promise<IteratorResult<Buffer> | Outcome> {
  try {
    return await pieces.next()
  } catch (error) {
    const outcome = failureOutcome(error)
    if (outcome === undefined) throw error
    return outcome
  }
}

function splitTarget(target: string): { path: string; query: string; target: string } {
  const question = target.indexOf('?')
  if (question < 0) return { path: target, query: '', target }
  return { path: target.slice(0, question), query: target.slice(question + 1), target }
}

function wrongPassword(): Outcome {
  const outcome = errorOutcome(401, 'wrong user or password')
  outcome.headers.push('WWW-Authenticate', BASIC_AUTH_CHALLENGE)
  return outcome
}
