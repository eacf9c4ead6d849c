/** Objects with versions, over their HTTP: what the commands that look after them need. */
import { createHash } from 'node:crypto'
import { StoreError } from '../base/errors.ts'
import { ERROR_REPLY_BYTES_MAX } from '../base/limits.ts'
import type { HttpClient, HttpReply } from '../net/http-client.ts'
import { errorOfReply } from './reply.ts'

export interface ListedVersion {
  name: string
  version: number
  size: number
  /** Empty: this version says deleted. Null: nobody knows. */
  hash: string | null
}

/** How far a search for orphans is, or what it found. */
export interface OrphanCounts {
  searched: number
  orphans: number
  bytes: number
}

export interface ObjectsClientOptions {
  http: HttpClient
  /** `http://host:port`. */
  url: string
  /** Of every request. */
  headers: Record<string, string>
  /** Says that an operator asks; its value for a method and a path with query. */
  sign: (head: { method: string; path: string }) => string
}

/** Each call throws what the server says, and `unavailable`, `timeout`, `io_error`. */
export class ObjectsClient {
  readonly #options: ObjectsClientOptions

  constructor(options: ObjectsClientOptions) {
    this.#options = options
  }

  /** All versions of all names, of each name the oldest first. */
  versions(): AsyncGenerator<ListedVersion> {
    return this.#lines({ method: 'GET', path: '/versions/' })
  }

  /** Reads a version, and throws `digest_mismatch` where its bytes have another hash. Gives their number. */
  async verify({ name, version, hash }: ListedVersion): Promise<number> {
    const reply = await this.#ask({ method: 'GET', path: pathOf(name, version) })
    const digest = createHash('sha256')
    let bytes = 0
    for await (const piece of reply.body) {
      digest.update(piece)
      bytes += piece.length
    }
    if (hash !== null && digest.digest('base64') !== hash)
      throw new StoreError('digest_mismatch', 'the bytes have another hash')
    return bytes
  }

  /** Removes a version for good. */
  async purge({ name, version }: ListedVersion): Promise<void> {
    const reply = await this.#askSigned({ method: 'DELETE', path: pathOf(name, version) })
    reply.discard()
  }

  /** Searches for bytes that nothing names, and removes them unless `isDryRun`. The last counts are of all. */
  removeOrphans({ isDryRun }: { isDryRun: boolean }): AsyncGenerator<OrphanCounts> {
    return this.#lines(this.#signed({ method: 'POST', path: `/orphans${isDryRun ? '?dry-run' : ''}` }))
  }

  async *#lines<T>(request: Request): AsyncGenerator<T> {
    const reply = await this.#ask(request)
    let rest: Buffer = Buffer.alloc(0)
    for await (const piece of reply.body) {
      const all = rest.length === 0 ? piece : Buffer.concat([rest, piece])
      const end = all.lastIndexOf('\n') + 1
      rest = all.subarray(end)
      for (const line of all.toString('utf8', 0, end).split('\n'))
        if (line !== '') yield JSON.parse(line) as T
    }
  }

  #signed({ method, path }: Request): Request {
    return { method, path, headers: { 'cairn-authorization': this.#options.sign({ method, path }) } }
  }

  #askSigned(request: Request): Promise<HttpReply> {
    return this.#ask(this.#signed(request))
  }

  async #ask({ method, path, headers }: Request): Promise<HttpReply> {
    const { http, url } = this.#options
    const all = { ...this.#options.headers, ...headers }
    const reply = await http.request({ method, url: `${url}${path}`, headers: all })
    if (reply.status === 200) return reply
    throw errorOfReply(reply.status, (await reply.bytes(ERROR_REPLY_BYTES_MAX)).toString())
  }
}

interface Request {
  method: string
  path: string
  headers?: Record<string, string>
}

const pathOf = (name: string, version: number) => `/objects/${encodeURIComponent(name)}?version=${version}`
