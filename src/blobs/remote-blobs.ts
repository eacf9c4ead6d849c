/** Blobs on other volume servers: found through the master; read, written and removed over their HTTP, signed. */
import { crc32c } from '../base/checksum.ts'
import { ERROR_CODES, type ErrorCode, StoreError } from '../base/errors.ts'
import { type Fid, formatFid } from '../base/fid.ts'
import { BLOB_BYTES_MAX, ERROR_REPLY_BYTES_MAX } from '../base/limits.ts'
import type { HttpClient, HttpReply } from '../net/http-client.ts'
import type { ByteRange } from '../net/ranges.ts'
import type { ClusterAuth } from './cluster-auth.ts'
import { ERROR_CODE_HEADER } from './cluster-wire.ts'
import type { FindVolume } from './volume-locator.ts'

export interface RemoteBlobsOptions {
  http: HttpClient
  find: FindVolume
  /** What the cluster's volume servers speak. */
  scheme: 'http' | 'https'
  auth: ClusterAuth
}

export interface RemoteReadOptions {
  /** Length of the whole blob, where it is known: then a range that is all of it needs no Range header. */
  sizeBytes?: number
  /** Also a deleted one that is still there. */
  deleted?: boolean
}

export interface RemoteWrite {
  /** `host:port` of the volume's server. */
  url: string
  /** At most BLOB_BYTES_MAX. */
  data: Buffer
  /** Wait until it is on disk, whatever that server is set to. */
  fsync: boolean
  /** Of a shard: throws `not_found` where it was deleted. */
  isRepair?: boolean
  /** Of a shard, SHA-256 of its blob in base64: where shards are files, it is `precondition_failed` without. */
  name?: Buffer | undefined
}

const NO_BODY = Buffer.alloc(0)

export class RemoteBlobs {
  readonly #options: RemoteBlobsOptions

  constructor(options: RemoteBlobsOptions) {
    this.#options = options
  }

  /**
   * A part of a blob, in pieces. Throws `not_found`, `volume_not_found` (no server has the volume), `corrupt`,
   * `unavailable`, `timeout`, `io_error`.
   */
  async *read(
    fid: Fid,
    range: ByteRange,
    options: RemoteReadOptions = {},
  ): AsyncGenerator<Buffer, void, undefined> {
    const isWhole = range.start === 0 && range.end === options.sizeBytes
    const headers: Record<string, string> = isWhole ? {} : { range: `bytes=${range.start}-${range.end - 1}` }
    const reply = await this.#ask({ method: 'GET', fid, query: readQuery(options), headers })
    if (reply.status !== (isWhole ? 200 : 206)) throw await failureOf(reply, fid)
    const left = range.end - range.start
    let received = 0
    for await (const piece of reply.body) {
      received += piece.length
      if (received > left) break
      yield piece
    }
    if (received !== left) throw new StoreError('corrupt', `${formatFid(fid)} has another length`)
  }

  /** The whole of a blob of at most BLOB_BYTES_MAX, its checksum compared. Throws as `read`. */
  async readWhole(fid: Fid, options: RemoteReadOptions = {}): Promise<Buffer> {
    const reply = await this.#ask({ method: 'GET', fid, query: readQuery(options), headers: {} })
    if (reply.status !== 200) throw await failureOf(reply, fid)
    const bytes = await reply.bytes(BLOB_BYTES_MAX)
    const etag = Number.parseInt(/^"([0-9a-f]{8})"$/.exec(reply.headers.etag ?? '')?.[1] ?? '', 16)
    if (crc32c(bytes) !== etag)
      throw new StoreError('io_error', `${formatFid(fid)} was changed on its way here`)
    return bytes
  }

  /** Stores a blob under an id that was assigned. Throws what the volume threw, `unavailable`, `timeout`, `io_error`. */
  async write(fid: Fid, { url, data, fsync, isRepair, name }: RemoteWrite): Promise<void> {
    const { http, scheme, auth } = this.#options
    const query = ['type=blob', ...(fsync ? ['fsync=true'] : []), ...(isRepair ? ['repair=true'] : [])]
    if (name !== undefined)
      query.push(`blob=${Buffer.from(name.toString('latin1'), 'base64').toString('base64url')}`)
    const path = `/${formatFid(fid)}?${query.join('&')}`
    const reply = await http.request({
      method: 'PUT',
      url: `${scheme}://${url}${path}`,
      headers: {
        'content-type': 'application/octet-stream',
        authorization: auth.sign({ method: 'PUT', path, body: data }),
      },
      body: data,
    })
    if (reply.status !== 201 && reply.status !== 204) throw await failureOf(reply, fid)
    await reply.bytes(ERROR_REPLY_BYTES_MAX)
  }

  /**
   * Removes a blob; one that its server does not have counts as removed. Throws `volume_not_found`, `read_only`,
   * `disk_full`, `io_error`, `unavailable`, `timeout`.
   */
  async remove(fid: Fid): Promise<void> {
    const reply = await this.#ask({ method: 'DELETE', fid, query: '', headers: {} })
    const isGone = reply.status === 202 || (reply.status === 404 && !isElsewhere(reply))
    if (!isGone) throw await failureOf(reply, fid)
    await reply.bytes(ERROR_REPLY_BYTES_MAX)
  }

  /** The volume may have moved since the master was asked: then it is asked again. */
  async #ask(asked: Asked): Promise<HttpReply> {
    const { find } = this.#options
    const { volumeId } = asked.fid
    const tried = new Set<string>()
    let missing: HttpReply | undefined
    let failure: unknown = new StoreError('volume_not_found', `volume ${volumeId} not found`)
    for (const again of [false, true]) {
      const locations = await find(volumeId, again)
      for (const { url } of locations.filter((each) => !tried.has(each.url))) {
        tried.add(url)
        try {
          const reply = await this.#send(asked, url)
          // Who has the volume knows more than who has it not.
          const isWorse = missing !== undefined && reply.status === 404 && isElsewhere(reply)
          ;(isWorse ? reply : missing)?.discard()
          if (reply.status !== 404) return reply
          if (!isWorse) missing = reply
        } catch (error) {
          failure = error
        }
      }
    }
    if (missing === undefined) throw failure
    return missing
  }

  async #send({ method, fid, query, headers }: Asked, url: string): Promise<HttpReply> {
    const { http, scheme, auth } = this.#options
    const path = `/${formatFid(fid)}?proxied=true${query}`
    const authorization = auth.sign({ method, path, body: NO_BODY })
    return await http.request({
      method,
      url: `${scheme}://${url}${path}`,
      headers: { ...headers, authorization },
    })
  }
}

interface Asked {
  method: 'GET' | 'DELETE'
  fid: Fid
  /** More of the query, each with its `&`. */
  query: string
  headers: Record<string, string>
}

function readQuery({ deleted }: RemoteReadOptions): string {
  return deleted === true ? '&readDeleted=true' : ''
}

/** Whether a server says that it does not have the volume. */
function isElsewhere(reply: HttpReply): boolean {
  return reply.headers[ERROR_CODE_HEADER] === 'volume_not_found'
}

/** The error that a reply stands for. */
async function failureOf(reply: HttpReply, fid: Fid): Promise<StoreError> {
  const named = reply.headers[ERROR_CODE_HEADER]
  const status = reply.status
  reply.discard()
  const known = ERROR_CODES.find((each) => each === named)
  const code: ErrorCode =
    known ?? (status === 404 ? 'not_found' : status === 401 ? 'unauthorized' : 'io_error')
  return new StoreError(code, `${formatFid(fid)}: its server answered ${status}${known ? `, ${known}` : ''}`)
}
