/** Files over the HTTP of sfss. */
import { ERROR_REPLY_BYTES_MAX } from '../base/limits.ts'
import type { HttpClient, HttpReply } from '../net/http-client.ts'
import { errorOfReply } from './reply.ts'

export class SfssClient {
  readonly #http: HttpClient
  readonly #url: string

  /** `url`: `http://host:port`. */
  constructor({ http, url }: { http: HttpClient; url: string }) {
    this.#http = http
    this.#url = url
  }

  /** Stores a file, in place of what is there. Throws what the server says, `unavailable`, `timeout`. */
  async post(path: string, body: Buffer): Promise<void> {
    const headers = { 'content-type': 'application/octet-stream' }
    const url = `${this.#url}/files?path=${encodeURIComponent(path)}`
    const reply = await this.#http.request({ method: 'POST', url, headers, body })
    const answer = await reply.bytes(ERROR_REPLY_BYTES_MAX)
    if (reply.status !== 201) throw errorOfReply(reply.status, answer.toString())
  }

  /** Throws `not_found`, `too_large` above `sizeBytesMax`, and as `post`. */
  async get(path: string, sizeBytesMax: number): Promise<Buffer> {
    const url = `${this.#url}/file?path=${encodeURIComponent(path)}`
    const reply: HttpReply = await this.#http.request({ method: 'GET', url })
    if (reply.status === 200) return await reply.bytes(sizeBytesMax)
    throw errorOfReply(reply.status, (await reply.bytes(ERROR_REPLY_BYTES_MAX)).toString())
  }
}
