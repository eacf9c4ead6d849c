/**
 * Asks the masters: for a new file id, and for the servers of a volume. With several masters it stays with the one
 * that answered last, and goes on to the next when that one does not.
 */
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import {
  CLIENT_ATTEMPTS_MAX,
  CLIENT_BACKOFF_MS,
  CLIENT_BACKOFF_MS_MAX,
  CLIENT_JSON_BYTES_MAX,
} from '../base/limits.ts'
import { ConnectionError, type HttpClient, type HttpReply } from '../net/http-client.ts'
import type { Location } from './location-cache.ts'
import { errorOfReply, parseJson } from './reply.ts'

export interface AssignOptions {
  /** How many ids: the first is `fid`, the others `fid_1`, `fid_2` … Default 1. */
  count?: number
  /** Copies as three digits; the master's default when absent. */
  replication?: string
  /** Time to live, as `3m`, `4h`, `5d`, `6w`, `7M`, `8y`. */
  ttl?: string
  collection?: string
  dataCenter?: string
  rack?: string
  dataNode?: string
}

export interface Assignment {
  fid: string
  url: string
  publicUrl: string
  count: number
  /** What to send as `Authorization` when writing to this id, on a store that asks for it. */
  authorization?: string
}

export interface MasterClientOptions {
  /** `host:port` or `http(s)://host:port`, at least one. */
  masters: readonly string[]
  http: HttpClient
  clock: Clock
  attemptsMax?: number
  headers?: Record<string, string>
}

export class MasterClient {
  readonly #options: MasterClientOptions
  #current = 0

  constructor(options: MasterClientOptions) {
    if (options.masters.length === 0) throw new StoreError('bad_request', 'no master is named')
    this.#options = options
  }

  /** Throws `bad_request`, `no_writable_volume`, `unavailable`, `timeout`, and what the network throws. */
  async assign(options: AssignOptions = {}): Promise<Assignment> {
    const reply = await this.#ask('/dir/assign', { ...options })
    const { fid, url, publicUrl, count } = reply.json
    if (typeof fid !== 'string' || typeof url !== 'string') {
      throw new StoreError(
        'internal',
        `the master's assign has no fid: ${JSON.stringify(reply.json).slice(0, 200)}`,
      )
    }
    return {
      fid,
      url,
      publicUrl: typeof publicUrl === 'string' && publicUrl !== '' ? publicUrl : url,
      count: typeof count === 'number' ? count : 1,
      ...(reply.authorization === undefined ? {} : { authorization: reply.authorization }),
    }
  }

  /** The servers of a volume, never an empty list. Throws `volume_not_found`. */
  async lookup(volumeId: number, collection?: string): Promise<Location[]> {
    const reply = await this.#ask('/dir/lookup', { volumeId: String(volumeId), collection })
    const locations: Location[] = []
    for (const each of Array.isArray(reply.json.locations) ? reply.json.locations : []) {
      const { url, publicUrl } = each as Partial<Location>
      if (typeof url === 'string') locations.push({ url, publicUrl: publicUrl || url })
    }
    if (locations.length === 0) throw new StoreError('volume_not_found', `volume ${volumeId} is on no server`)
    return locations
  }

  /** A token to read, write or delete one file, when the store gives tokens. */
  async authorizationFor(fid: string, use: 'read' | 'write'): Promise<string | undefined> {
    const reply = await this.#ask('/dir/lookup', { fileId: fid, read: use === 'read' ? 'yes' : undefined })
    return reply.authorization
  }

  async #ask(
    path: string,
    parameters: Record<string, string | number | undefined>,
  ): Promise<{ json: Record<string, unknown>; authorization: string | undefined }> {
    const query = new URLSearchParams()
    for (const [name, value] of Object.entries(parameters))
      if (value !== undefined) query.set(name, String(value))
    const pathAndQuery = query.size === 0 ? path : `${path}?${query}`
    const { masters, attemptsMax = CLIENT_ATTEMPTS_MAX } = this.#options
    let lastError: unknown
    // Each master gets its turn in every try, so that one that is down costs no wait.
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      if (attempt > 0) await this.#options.clock.sleep(backoffMs(attempt))
      for (let turn = 0; turn < masters.length; turn++) {
        try {
          return await this.#askOne(masters[this.#current]!, pathAndQuery)
        } catch (error) {
          if (!isRetryable(error)) throw error
          lastError = error
          this.#current = (this.#current + 1) % masters.length
        }
      }
    }
    assert(lastError !== undefined, 'a call that did not succeed has failed')
    throw lastError
  }

  async #askOne(
    master: string,
    pathAndQuery: string,
  ): Promise<{ json: Record<string, unknown>; authorization: string | undefined }> {
    const reply: HttpReply = await this.#options.http.request({
      method: 'GET',
      url: baseUrl(master) + pathAndQuery,
      headers: { ...this.#options.headers, accept: 'application/json' },
    })
    const text = (await reply.bytes(CLIENT_JSON_BYTES_MAX)).toString('utf8')
    if (reply.status !== 200) {
      if (reply.status === 404 && pathAndQuery.startsWith('/dir/lookup')) {
        throw new StoreError('volume_not_found', errorOfReply(reply.status, text).message)
      }
      throw errorOfReply(reply.status, text)
    }
    const json = parseJson(text)
    // Some versions report a failure with status 200.
    if (typeof json.error === 'string' && json.error !== '') throw errorOfReply(406, text)
    const authorization = reply.headers.authorization
    return { json, authorization: typeof authorization === 'string' ? authorization : undefined }
  }
}

/** A server's address as the start of a URL; where it names no scheme, `secure` decides. */
export function baseUrl(address: string, secure = false): string {
  if (/^https?:\/\//.test(address)) return address.replace(/\/+$/, '')
  return `${secure ? 'https' : 'http'}://${address}`
}

/** How long to wait before try number `attempt` (the first is 0): 50, 100, 200 … ms. */
export function backoffMs(attempt: number): number {
  return Math.min(CLIENT_BACKOFF_MS_MAX, CLIENT_BACKOFF_MS * 2 ** (attempt - 1))
}

/** Whether the same question may get an answer a moment later, or from another server. */
export function isRetryable(error: unknown): boolean {
  if (error instanceof ConnectionError) return true
  return error instanceof StoreError && (error.code === 'unavailable' || error.code === 'too_many_requests')
}
