/** Blobs that live on other volume servers: found through the master, read and removed over their HTTP, signed. */
import { StoreError } from '../../base/errors.ts'
import { formatFid } from '../../base/fid.ts'
import { ERROR_REPLY_BYTES_MAX } from '../../base/limits.ts'
import type { HttpClient, HttpReply } from '../../net/http-client.ts'
import type { ByteRange } from '../../net/ranges.ts'
import type { ClusterAuth } from '../cluster-auth.ts'
import type { FindVolume } from '../volume-locator.ts'
import type { Chunk } from './manifest.ts'

export interface RemoteBlobsOptions {
  http: HttpClient
  find: FindVolume
  /** What the cluster's volume servers speak. */
  scheme: 'http' | 'https'
  auth: ClusterAuth
}

export class RemoteBlobs {
  readonly #options: RemoteBlobsOptions

  constructor(options: RemoteBlobsOptions) {
    this.#options = options
  }

  /** A part of a chunk, in pieces. Throws `not_found`, `corrupt`, `unavailable`, `timeout`, `io_error`. */
  async *read(chunk: Chunk, range: ByteRange): AsyncGenerator<Buffer, void, undefined> {
    const isWhole = range.start === 0 && range.end === chunk.sizeBytes
    const headers: Record<string, string> = isWhole ? {} : { range: `bytes=${range.start}-${range.end - 1}` }
    const reply = await this.#ask('GET', chunk, headers)
    const left = reply.status === (isWhole ? 200 : 206) ? range.end - range.start : -1
    if (left < 0) {
      reply.discard()
      throw new StoreError('not_found', `chunk ${chunk.fidText}: its server answered ${reply.status}`)
    }
    let received = 0
    for await (const piece of reply.body) {
      received += piece.length
      if (received > left) break
      yield piece
    }
    if (received !== left) throw new StoreError('corrupt', `chunk ${chunk.fidText} has another length`)
  }

  /** Removes a chunk; one that is gone already is removed. */
  async remove(chunk: Chunk): Promise<void> {
    let reply: HttpReply
    try {
      reply = await this.#ask('DELETE', chunk, {})
    } catch (error) {
      if (error instanceof StoreError && error.code === 'not_found') return
      throw error
    }
    await reply.bytes(ERROR_REPLY_BYTES_MAX)
    if (reply.status === 202) return
    throw new StoreError('io_error', `chunk ${chunk.fidText} could not be deleted: status ${reply.status}`)
  }

  /** The volume may have moved since the master was asked: then it is asked again. */
  async #ask(method: 'GET' | 'DELETE', chunk: Chunk, headers: Record<string, string>): Promise<HttpReply> {
    const { http, find, scheme, auth } = this.#options
    const path = `/${formatFid(chunk.fid)}?proxied=true`
    const tried = new Set<string>()
    let failure: unknown = new StoreError(
      'not_found',
      `chunk ${chunk.fidText}: volume ${chunk.fid.volumeId} not found`,
    )
    for (const again of [false, true]) {
      const locations = await find(chunk.fid.volumeId, again)
      for (const { url } of locations.filter((each) => !tried.has(each.url))) {
        tried.add(url)
        const authorization = auth.sign({ method, path, body: Buffer.alloc(0) })
        try {
          const reply = await http.request({
            method,
            url: `${scheme}://${url}${path}`,
            headers: { ...headers, authorization },
          })
          if (reply.status !== 404) return reply
          reply.discard()
          failure = new StoreError('not_found', `chunk ${chunk.fidText} is not on ${url}`)
        } catch (error) {
          failure = error
        }
      }
    }
    throw failure
  }
}
