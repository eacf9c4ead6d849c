/**
 * Objects with versions over HTTP: `/objects`, `/versions`, `/locate` and `/temp`. One instance a thread; all of them listen on one
 * port. `docs/objects.md` says what it answers. Its plain replies carry the headers of the service that it is like, and no others.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../../base/clock.ts'
import { StoreError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { Random } from '../../base/random.ts'
import { BASIC_AUTH_CHALLENGE, type BasicAuth } from '../../net/basic-auth.ts'
import { announcedLength, type BodyBudget, drain, readBody } from '../../net/body.ts'
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
import type { Contents } from '../../objects/contents.ts'
import type { ObjectBody, ObjectStore } from '../../objects/object-store.ts'
import type { NumberedVersions } from '../../objects/version-numbers.ts'
import { failureOutcome } from './errors.ts'
import { readObject } from './get-object.ts'
import type { ObjectLocator } from './locator.ts'
import { announcedHash, decodedName, hashOf, versionOfQuery } from './object-path.ts'
import { StoredObjects } from './stored-objects.ts'
import { UploadTokens } from './upload-token.ts'
import { RangeMismatch, StepUploads } from './uploads.ts'
import { versionLines } from './version-lines.ts'

export interface ObjectsServerOptions {
  objects: ObjectStore
  contents: Contents
  versions: NumberedVersions
  locator: ObjectLocator
  clock: Clock
  random: Random
  log: Log
  /** Account that owns the bucket. */
  owner: string
  /** A PUT without a Digest is refused. */
  needsDigest: boolean
  /** Of the installation: signs the tokens of uploads. */
  secret: string
  /** Who may remove versions for good, and orphans. Throws `unauthorized`. `authorization`: the header. */
  checkAdmin: (head: { method: string; path: string }, authorization: string | undefined) => void
  /** Searches for bytes that nothing names, and says how far it is. */
  removeOrphans: (options: { isDryRun: boolean }) => AsyncIterable<OrphanCounts>
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

export interface OrphanCounts {
  searched: number
  orphans: number
  bytes: number
}

/** A request as both ways of serving have it. */
interface Asked {
  method: string
  /** Without the query. */
  path: string
  query: string
  target: string
  rawHeaders: readonly string[]
  /** Asked for at most once. */
  body(): Promise<TakenBody>
}

interface TakenBody {
  body: ObjectBody
  release(): void
}

/** A reply whose length is not known before its end. */
interface Lines {
  lines: AsyncIterable<Buffer>
}

type Answer = Outcome | Lines

/** Answered by lines. */
const LINES = /^\/(versions\/|orphans)/
/** Longer bodies are stored while they come. */
const GATHERED_BYTES_MAX = 64 * 1024
/** Not Authorization, which may hold a password. */
const ADMIN_HEADER = 'cairn-authorization'
const UPLOAD_RANGE = /^bytes=([0-9]{1,15})-[0-9]*$/
const UPLOAD_SIZE = /^[0-9]{1,15}$/

export class ObjectsServer {
  readonly #options: ObjectsServerOptions
  readonly #stored: StoredObjects
  readonly #uploads: StepUploads
  readonly #server: HttpServer
  readonly #common: CommonHeaders

  constructor(options: ObjectsServerOptions) {
    this.#options = options
    const { clock, random, log } = options
    this.#stored = new StoredObjects(options)
    const tokens = new UploadTokens(options.secret)
    this.#uploads = new StepUploads({ ...options, stored: this.#stored, tokens })
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
    const asked = { method, ...splitTarget(target), rawHeaders, body: async () => taken }
    const onReply = ({ status }: Outcome, sentBytes: number) =>
      this.#options.onReply?.({ method, status, receivedBytes: bytes.length, sentBytes })
    return { outcome: this.#settled(asked) as Promise<Outcome>, onSent: onReply }
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { rawHeaders } = request
    const [method, target] = [request.method!, request.url!]
    const exchange = { request, response, receivedBytes: 0 }
    const asked = { method, ...splitTarget(target), rawHeaders, body: () => this.#take(exchange) }
    const isKnown = await this.#isKnown(target, rawHeaders)
    const answer = isKnown ? await this.#settled(asked) : wrongPassword()
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

  async #isKnown(target: string, rawHeaders: readonly string[]): Promise<boolean> {
    const { basicAuth } = this.#options
    if (basicAuth === undefined || target === '/healthz') return true
    return (await basicAuth.user(rawHeader(rawHeaders, 'authorization'))) !== undefined
  }

  async #take(exchange: Exchange): Promise<TakenBody> {
    const { request, response } = exchange
    const length = announcedLength(request)
    if (length === undefined || length > GATHERED_BYTES_MAX)
      return { body: { sizeBytes: length, pieces: () => bodyPieces(exchange) }, release() {} }
    const options = { bytesMax: GATHERED_BYTES_MAX, budget: this.#options.bodyBudget }
    const { bytes, release } = await readBody(request, response, options)
    exchange.receivedBytes = bytes.length
    return { body: wholeBody(bytes), release }
  }

  async #settled(asked: Asked): Promise<Answer> {
    try {
      return await this.#answerOf(asked)
    } catch (error) {
      if (error instanceof RangeMismatch) return errorOutcome(416, error.message)
      const outcome = failureOutcome(error)
      if (outcome !== undefined) return outcome
      this.#options.log.error({ error }, 'a request to objects failed by a bug')
      return errorOutcome(500, 'internal error')
    }
  }

  async #answerOf(asked: Asked): Promise<Answer> {
    const { method, path } = asked
    if (path.startsWith('/objects/')) return await this.#object(asked, path.slice('/objects/'.length))
    if (path.startsWith('/temp/')) return await this.#temp(asked, path.slice('/temp/'.length))
    const isRead = method === 'GET' || method === 'HEAD'
    if (path.startsWith('/versions/'))
      return isRead ? this.#versions(path.slice('/versions/'.length)) : notAllowed(method, 'GET')
    if (path.startsWith('/locate/'))
      return isRead ? await this.#locate(path.slice('/locate/'.length)) : notAllowed(method, 'GET')
    if (path === '/healthz') return plain(200)
    if (path === '/orphans') return this.#orphans(asked)
    return errorOutcome(404, 'there are /objects/, /versions/, /locate/ and /temp/')
  }

  async #object(asked: Asked, quoted: string): Promise<Outcome> {
    const { method, rawHeaders, query } = asked
    const name = decodedName(quoted)
    switch (method) {
      case 'GET':
      case 'HEAD': {
        const stored = await this.#stored.find(name, versionOfQuery(query))
        return await readObject(stored, { method, range: rawHeader(rawHeaders, 'range') })
      }
      case 'PUT':
        return await this.#put(asked, name)
      case 'POST':
        return await this.#beginUpload(asked, name)
      case 'DELETE':
        return await this.#remove(asked, name)
      default:
        return notAllowed(method, 'GET, HEAD, PUT, POST, DELETE')
    }
  }

  async #put(asked: Asked, name: string): Promise<Outcome> {
    const expected = announcedHash(rawHeader(asked.rawHeaders, 'digest'))
    if (expected === undefined && this.#options.needsDigest) throw noDigest()
    const { body, release } = await asked.body()
    try {
      await this.#stored.put(name, body, expected)
    } finally {
      release()
    }
    return plain(200)
  }

  async #beginUpload({ rawHeaders }: Asked, name: string): Promise<Outcome> {
    const sha256 = announcedHash(rawHeader(rawHeaders, 'digest'))
    if (sha256 === undefined) throw noDigest()
    const size = rawHeader(rawHeaders, 'size') ?? ''
    if (!UPLOAD_SIZE.test(size))
      throw new StoreError('bad_request', 'a header Size is needed: the bytes of the object')
    const token = await this.#uploads.begin(name, { sha256, sizeBytes: Number(size) })
    if (token === undefined) return plain(200)
    return { ...plain(201), headers: ['Location', `/temp/${token}`] }
  }

  async #remove({ method, target, query, rawHeaders }: Asked, name: string): Promise<Outcome> {
    const number = versionOfQuery(query)
    if (number === undefined) await this.#stored.remove(name)
    else {
      this.#options.checkAdmin({ method, path: target }, rawHeader(rawHeaders, ADMIN_HEADER))
      await this.#stored.purge(name, number)
    }
    return plain(200)
  }

  #orphans({ method, target, query, rawHeaders }: Asked): Answer {
    if (method !== 'POST') return notAllowed(method, 'POST')
    this.#options.checkAdmin({ method, path: target }, rawHeader(rawHeaders, ADMIN_HEADER))
    return { lines: jsonLines(this.#options.removeOrphans({ isDryRun: query === 'dry-run' })) }
  }

  async #temp(asked: Asked, token: string): Promise<Outcome> {
    const { method, rawHeaders } = asked
    if (method === 'HEAD') return { ...plain(200), sizeBytes: await this.#uploads.receivedBytes(token) }
    if (method !== 'PUT') return notAllowed(method, 'HEAD, PUT')
    const range = rawHeader(rawHeaders, 'range')
    const [, first] = range === undefined ? ['', '0'] : (UPLOAD_RANGE.exec(range) ?? [])
    if (first === undefined) throw new StoreError('bad_request', 'the Range is bytes=<first>-')
    const { body, release } = await asked.body()
    try {
      await this.#uploads.take({ token, first: Number(first), body })
    } finally {
      release()
    }
    return plain(200)
  }

  #versions(quoted: string): Lines {
    return { lines: versionLines(this.#stored.versions(quoted === '' ? undefined : decodedName(quoted))) }
  }

  async #locate(quoted: string): Promise<Outcome> {
    const sha256 = hashOf(decodedName(quoted))
    const bucket = sha256 && (await this.#stored.bucket())
    const place = bucket && (await this.#options.locator.locate(bucket, sha256))
    if (place === undefined) return errorOutcome(404, 'there are no such bytes, or too few of their shards')
    const headers = ['Content-Type', 'text/plain; charset=utf-8']
    return { status: 200, headers, body: JSON.stringify(place) }
  }
}

/** One request on the ordinary way. */
interface Exchange {
  request: IncomingMessage
  response: ServerResponse
  receivedBytes: number
}

/** A body while it comes, at its taker's pace. Throws `incomplete_body` when the client breaks off. */
async function* bodyPieces(exchange: Exchange): AsyncGenerator<Buffer> {
  const { request, response } = exchange
  if (request.headers.expect !== undefined) response.writeContinue()
  const pieces = request.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Buffer>
  try {
    for await (const piece of pieces) {
      exchange.receivedBytes += piece.length
      yield piece
    }
  } catch (error) {
    throw new StoreError('incomplete_body', 'the body was cut off', { cause: error })
  }
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

async function* jsonLines(values: AsyncIterable<object>): AsyncGenerator<Buffer> {
  for await (const value of values) yield Buffer.from(`${JSON.stringify(value)}\n`)
}

const plain = (status: number): Outcome => ({ status, headers: [], body: undefined })

const noDigest = () =>
  new StoreError('bad_request', 'a header `Digest: SHA-256=<base64>` of the bytes is needed')

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
