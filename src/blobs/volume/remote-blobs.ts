/** Blobs that live on other volume servers: found through the master, read and removed over their HTTP. */
import type { Clock } from '../../base/clock.ts'
import { StoreError } from '../../base/errors.ts'
import { formatFid } from '../../base/fid.ts'
import { ERROR_REPLY_BYTES_MAX, JWT_LIFE_S } from '../../base/limits.ts'
import type { HttpClient } from '../../net/http-client.ts'
import { signFidToken } from '../../net/jwt.ts'
import type { ByteRange } from '../../net/ranges.ts'
import type { Chunk } from './manifest.ts'

export interface RemoteBlobsOptions {
  http: HttpClient
  clock: Clock
  /** `host:port` of the volume servers that hold a volume; empty when none does. */
  lookup: (volumeId: number) => Promise<string[]>
  /** What the cluster's volume servers speak. */
  scheme: 'http' | 'https'
  jwt: { readKey?: string; writeKey?: string }
}

export class RemoteBlobs {
  readonly #options: RemoteBlobsOptions

  constructor(options: RemoteBlobsOptions) {
    this.#options = options
  }

  /** A part of a chunk, in pieces. Throws `not_found`, `corrupt`, `unavailable`, `timeout`, `io_error`. */
  async *read(
    chunk: Chunk,
    range: ByteRange,
    authorization: string | undefined,
  ): AsyncGenerator<Buffer, void, undefined> {
    const isWhole = range.start === 0 && range.end === chunk.sizeBytes
    const headers: Record<string, string> = isWhole ? {} : { range: `bytes=${range.start}-${range.end - 1}` }
    const reply = await this.#ask('GET', chunk, { headers, authorization })
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
  async remove(chunk: Chunk, authorization: string | undefined): Promise<void> {
    const reply = await this.#ask('DELETE', chunk, { headers: {}, authorization })
    await reply.bytes(ERROR_REPLY_BYTES_MAX)
    if (reply.status === 202 || reply.status === 404) return
    throw new StoreError('io_error', `chunk ${chunk.fidText} could not be deleted: status ${reply.status}`)
  }

  async #ask(
    method: 'GET' | 'DELETE',
    chunk: Chunk,
    options: { headers: Record<string, string>; authorization: string | undefined },
  ) {
    const { http, lookup, scheme, jwt, clock } = this.#options
    const locations = await lookup(chunk.fid.volumeId)
    const key = method === 'GET' ? jwt.readKey : jwt.writeKey
    const { headers } = options
    if (options.authorization !== undefined) headers.authorization = options.authorization
    const fid = formatFid(chunk.fid)
    const expiresS = Math.floor(clock.nowMs() / 1_000) + JWT_LIFE_S
    const query = key === undefined ? '' : `?jwt=${signFidToken(key, fid, expiresS)}`
    let failure: unknown = new StoreError(
      'not_found',
      `chunk ${chunk.fidText}: volume ${chunk.fid.volumeId} not found`,
    )
    for (const location of locations) {
      try {
        return await http.request({ method, url: `${scheme}://${location}/${fid}${query}`, headers })
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }
}
