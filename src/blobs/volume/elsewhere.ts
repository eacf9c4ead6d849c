/**
 * Reads of files whose volume is on another server: fetched from there and passed on, or the client is sent there, or they
 * are missing. What was passed on once is marked, and is never passed on again.
 */
import { StoreError } from '../../base/errors.ts'
import { formatFid } from '../../base/fid.ts'
import type { ReadMode } from '../../base/read-mode.ts'
import type { HttpClient, HttpReply } from '../../net/http-client.ts'
import type { Outcome } from '../../net/reply.ts'
import type { ClusterAuth } from '../cluster-auth.ts'
import type { FindVolume, VolumeLocation } from '../volume-locator.ts'
import type { ReadRequest } from './read-request.ts'

export interface ElsewhereOptions {
  mode: ReadMode
  http: HttpClient
  find: FindVolume
  /** What the cluster's volume servers speak. */
  scheme: 'http' | 'https'
  auth: ClusterAuth
}

const NOT_FOUND: Outcome = { status: 404, headers: [], body: undefined }
/** Of a request: what decides the reply. Credentials were checked here, and are replaced by a signature. */
const SENT_ON = [
  'range',
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'if-range',
  'accept',
  'accept-encoding',
]
/** Of a reply: what belongs to the connection, or is added here again. */
const NOT_PASSED_ON = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'date',
  'server',
  'x-amz-request-id',
  'access-control-allow-origin',
  'access-control-allow-credentials',
])

export class Elsewhere {
  readonly #options: ElsewhereOptions

  constructor(options: ElsewhereOptions) {
    this.#options = options
  }

  /** Throws `unavailable`, `timeout` when no server that has the volume answers. */
  read(request: ReadRequest): Outcome | Promise<Outcome> {
    const { mode } = this.#options
    if (mode === 'local' || request.query.isProxied) return NOT_FOUND
    return mode === 'redirect' ? this.#redirect(request) : this.#proxy(request)
  }

  async #redirect(request: ReadRequest): Promise<Outcome> {
    const { find, scheme } = this.#options
    const [location] = await find(request.fid.volumeId)
    if (location === undefined) return NOT_FOUND
    const headers = ['Location', `${scheme}://${location.publicUrl}${markedTarget(request)}`]
    return { status: 301, headers, body: undefined }
  }

  async #proxy(request: ReadRequest): Promise<Outcome> {
    const { find } = this.#options
    const { volumeId } = request.fid
    const tried = await find(volumeId)
    const first = await this.#tryAll(request, tried)
    if (!('failure' in first) && first.outcome.status !== 404) return first.outcome
    // The volume may have moved since the master was asked.
    const now = await find(volumeId, true)
    const others = now.filter(({ url }) => !tried.some((each) => each.url === url))
    const last = others.length === 0 ? first : await this.#tryAll(request, others)
    if ('failure' in last) throw last.failure
    return last.outcome
  }

  async #tryAll(
    request: ReadRequest,
    locations: readonly VolumeLocation[],
  ): Promise<{ outcome: Outcome } | { failure: unknown }> {
    let result: { outcome: Outcome } | { failure: unknown } = { outcome: NOT_FOUND }
    for (const { url } of locations) {
      try {
        const outcome = await this.#ask(request, url)
        if (outcome.status !== 404) return { outcome }
        result = { outcome }
      } catch (failure) {
        result = { failure }
      }
    }
    return result
  }

  async #ask(request: ReadRequest, url: string): Promise<Outcome> {
    const { http, scheme, auth } = this.#options
    const method = request.isHead ? 'HEAD' : 'GET'
    const path = markedTarget(request)
    const headers: Record<string, string> = {
      authorization: auth.sign({ method, path, body: Buffer.alloc(0) }),
    }
    const { rawHeaders } = request
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const name = rawHeaders[i]!.toLowerCase()
      if (SENT_ON.includes(name)) headers[name] = rawHeaders[i + 1]!
    }
    return passedOn(await http.request({ method, url: `${scheme}://${url}${path}`, headers }), request.isHead)
  }
}

/** The target as the client wrote it, with `proxied=true`; tokens in it were checked here. */
function markedTarget({ target, fid }: ReadRequest): string {
  const asked = target ?? `/${formatFid(fid)}`
  return `${asked}${asked.includes('?') ? '&' : '?'}proxied=true`
}

function passedOn(reply: HttpReply, isHead: boolean): Outcome {
  const headers: string[] = []
  for (const [name, value] of Object.entries(reply.headers)) {
    if (value === undefined || NOT_PASSED_ON.has(name)) continue
    for (const each of Array.isArray(value) ? value : [value]) headers.push(spelled(name), each)
  }
  const sizeBytes = Number(reply.headers['content-length'] ?? 0)
  if (isHead || sizeBytes === 0 || reply.status === 204 || reply.status === 304) {
    reply.discard()
    return { status: reply.status, headers, body: undefined, sizeBytes: isHead ? sizeBytes : 0 }
  }
  let ended = false
  const pieces = async function* () {
    let received = 0
    for await (const piece of reply.body) {
      received += piece.length
      yield piece
    }
    ended = true
    if (received !== sizeBytes) throw new StoreError('io_error', 'the other server broke off')
  }
  const close = () => {
    if (!ended) reply.discard()
  }
  return { status: reply.status, headers, body: { sizeBytes, pieces, close } }
}

/** `content-type` as servers spell it. */
function spelled(name: string): string {
  return name === 'etag' ? 'ETag' : name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase())
}
