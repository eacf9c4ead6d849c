/**
 * The client of a Cairn (or SeaweedFS) store: files by id, over the masters' and volume servers' HTTP.
 * It remembers where volumes are, goes on to another server when one fails, and tries again with pauses.
 * A write is tried again under a new id only when the first try cannot have been stored; after a doubtful one the same
 * bytes go to the same id, which stores them once.
 */
import { type Clock, systemClock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import { parseFid } from '../base/fid.ts'
import {
  CLIENT_ATTEMPTS_MAX,
  CLIENT_JSON_BYTES_MAX,
  CLIENT_LOCATION_TTL_MS,
  CLIENT_LOCATIONS_MAX,
  FILE_SIZE_BYTES_MAX_DEFAULT,
  MANIFEST_BYTES_MAX,
} from '../base/limits.ts'
import { type Random, systemRandom } from '../base/random.ts'
import { ConnectionError, HttpClient, type HttpReply } from '../net/http-client.ts'
import { AssignBatches } from './assign-batch.ts'
import { type Download, toDownload } from './download.ts'
import { type Location, LocationCache } from './location-cache.ts'
import {
  type Assignment,
  type AssignOptions,
  backoffMs,
  baseUrl,
  isRetryable,
  MasterClient,
} from './master-client.ts'
import { FormBody, type UploadContent } from './multipart-form.ts'
import { errorOfReply, parseJson } from './reply.ts'

export interface CairnClientOptions {
  /** `host:port` of each master, or `https://host:port`: then the volume servers are asked over https, too. */
  masters: readonly string[]
  /** No byte in either direction for this long ends a request. */
  timeoutMs?: number
  attemptsMax?: number
  connectionsPerHostMax?: number
  /** Sent with every request, for example `authorization` for basic authentication. */
  headers?: Record<string, string>
  /** File ids that `upload` takes from the master at a time. Default 1. */
  assignBatch?: number
  /** PEM of the authorities to trust for https, beside the system's. */
  ca?: string | Buffer
  clock?: Clock
  random?: Random
}

export interface UploadOptions extends Omit<AssignOptions, 'count'> {
  /** File name, at most 255 bytes. */
  name?: string
  mime?: string
  /** Length of streamed content, where it is known: then it is not sent chunked. */
  sizeBytes?: number
  /** Stored with the file, and given back as response headers: `{ Owner: 'bob' }`. */
  pairs?: Record<string, string>
  /** Seconds since 1970, for Last-Modified; the time of the write when absent. */
  lastModifiedS?: number
  /** Answer only when the bytes are on disk, whatever the server's setting. */
  fsync?: boolean
  /** The content is already gzipped; readers get it as such, or inflated. */
  gzipped?: boolean
  /** The content is a chunk manifest; see `uploadChunked`. */
  manifest?: boolean
}

export interface UploadResult {
  fid: string
  /** `host:port/fid` where the file can be read. */
  url: string
  name: string | undefined
  sizeBytes: number
  /** CRC32C of the stored bytes, 8 hex digits. */
  eTag: string
}

export interface DownloadOptions {
  /** Bytes from `start` up to, not including, `end`. Without `end`: to the end of the file. */
  range?: { start: number; end?: number }
  /** Compare what came with the stored checksum, where that is possible: a whole file. Default true. */
  verify?: boolean
}

export class CairnClient {
  readonly #options: CairnClientOptions
  readonly #http: HttpClient
  readonly #master: MasterClient
  readonly #clock: Clock
  readonly #random: Random
  readonly #attemptsMax: number
  readonly #locations: LocationCache
  readonly #secure: boolean
  readonly #batches: AssignBatches | undefined

  constructor(options: CairnClientOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#random = options.random ?? systemRandom
    this.#attemptsMax = options.attemptsMax ?? CLIENT_ATTEMPTS_MAX
    this.#secure = options.masters.some((master) => master.startsWith('https://'))
    this.#http = new HttpClient({
      timeoutMs: options.timeoutMs,
      connectionsPerHostMax: options.connectionsPerHostMax,
      ca: options.ca,
    })
    this.#master = new MasterClient({
      masters: options.masters,
      http: this.#http,
      clock: this.#clock,
      attemptsMax: options.attemptsMax,
      headers: options.headers,
    })
    const { assignBatch: count = 1 } = options
    this.#batches =
      count > 1 ? new AssignBatches({ master: this.#master, clock: this.#clock, count }) : undefined
    this.#locations = new LocationCache({
      clock: this.#clock,
      entriesMax: CLIENT_LOCATIONS_MAX,
      ttlMs: CLIENT_LOCATION_TTL_MS,
    })
  }

  /** Closes all connections. Calls in flight fail. */
  close(): void {
    this.#http.close()
  }

  /** Reserves file ids. Throws `no_writable_volume`, `bad_request`, `unavailable`. */
  assign(options?: AssignOptions): Promise<Assignment> {
    return this.#master.assign(options)
  }

  /** One id, from the batch at hand where there is one. Throws as `assign`. */
  nextId(options: Omit<AssignOptions, 'count'> = {}): Promise<Assignment> {
    return this.#batches?.next(options) ?? this.assign(options)
  }

  /** Ids of a batch are of no use any more: their volume is full, or gone. */
  forgetIds(): void {
    this.#batches?.forget()
  }

  /** The servers that hold a volume, from memory or from the master. Throws `volume_not_found`. */
  async lookup(volumeId: number): Promise<readonly Location[]> {
    const known = this.#locations.get(volumeId)
    if (known !== undefined) return known
    const locations = await this.#master.lookup(volumeId)
    this.#locations.set(volumeId, locations)
    return locations
  }

  /**
   * Stores content under a new id. Bytes, or a function that starts a new reading of them, can be tried again;
   * a bare stream only as long as nothing of it was read.
   * Throws `too_large`, `disk_full`, `no_writable_volume`, `unavailable`, `io_error`, `timeout`; with the last two the
   * file may or may not be stored.
   */
  async upload(content: UploadContent, options: UploadOptions = {}): Promise<UploadResult> {
    const { name, mime, sizeBytes, pairs, lastModifiedS, fsync, gzipped, manifest, ...assignOptions } =
      options
    const form = new FormBody(content, { name, mime, sizeBytes, gzipped })
    let target: Assignment | undefined
    for (let attempt = 1; ; attempt++) {
      target ??= await this.nextId(assignOptions)
      try {
        return await this.#put(target, form, options)
      } catch (error) {
        if (attempt >= this.#attemptsMax || !isRetryableWrite(error) || !form.replayable) throw error
        // A refused write was not stored: a new id may lead to a better server. After a doubtful one the id stays.
        const doubtful = error instanceof ConnectionError && error.requestSent
        if (doubtful) form.doubtful = true
        if (!form.doubtful) {
          target = undefined
          this.forgetIds()
        }
        await this.#clock.sleep(backoffMs(attempt))
      }
    }
  }

  async #put(target: Assignment, form: FormBody, options: UploadOptions): Promise<UploadResult> {
    const query = new URLSearchParams()
    if (options.ttl !== undefined && options.ttl !== '') query.set('ttl', options.ttl)
    if (options.lastModifiedS !== undefined) query.set('ts', String(Math.floor(options.lastModifiedS)))
    if (options.fsync) query.set('fsync', 'true')
    if (options.manifest) query.set('cm', 'true')
    const headers: Record<string, string> = { ...this.#options.headers, 'content-type': form.contentType }
    if (target.authorization !== undefined) {
      // There is one such header: where it holds a password, the token goes with the query.
      if (headers.authorization === undefined) headers.authorization = target.authorization
      else query.set('jwt', target.authorization.replace(/^bearer +/i, ''))
    }
    for (const [key, value] of Object.entries(options.pairs ?? {})) headers[`Seaweed-${key}`] = value
    const reply = await this.#http.request({
      method: 'POST',
      url: `${baseUrl(target.publicUrl, this.#secure)}/${target.fid}${query.size === 0 ? '' : `?${query}`}`,
      headers,
      body: form.open(),
      sizeBytes: form.sizeBytes,
    })
    const text = (await reply.bytes(CLIENT_JSON_BYTES_MAX)).toString('utf8')
    if (reply.status !== 201 && reply.status !== 204) throw errorOfReply(reply.status, text)
    const json = text === '' ? {} : parseJson(text)
    const eTag = json.eTag ?? reply.headers.etag?.replaceAll('"', '')
    return {
      fid: target.fid,
      url: `${target.publicUrl}/${target.fid}`,
      name: typeof json.name === 'string' && json.name !== '' ? json.name : options.name,
      sizeBytes: typeof json.size === 'number' ? json.size : form.contentSizeBytes,
      eTag: typeof eTag === 'string' ? eTag : '',
    }
  }

  /**
   * Opens a file, or a part of it. Its body must be read to the end, or given up with `discard`.
   * Throws `not_found`, `volume_not_found`, `bad_request`, `unavailable`, `io_error`, `timeout`; the body throws
   * `corrupt` at its end when the bytes are not those of the stored checksum.
   */
  async download(fid: string, options: DownloadOptions = {}): Promise<Download> {
    const download = await this.#open(fid, options)
    const inChunks = download.range === undefined && download.headers['x-file-store'] === 'chunked'
    if (!inChunks || options.verify === false) return download
    // The manifest's own checksum says nothing about the file; each chunk is fetched with its own, and verified.
    download.discard()
    return { ...download, body: this.#chunksOf(fid), discard: () => undefined }
  }

  async #open(fid: string, options: DownloadOptions): Promise<Download> {
    const headers: Record<string, string> = {}
    if (options.range === undefined) headers['accept-encoding'] = 'gzip'
    else
      headers.range = `bytes=${options.range.start}-${options.range.end === undefined ? '' : options.range.end - 1}`
    const { reply, url } = await this.#ask('GET', fid, headers)
    if (reply.status !== 200 && reply.status !== 206) {
      throw errorOfReply(reply.status, (await reply.bytes(CLIENT_JSON_BYTES_MAX)).toString('utf8'))
    }
    return toDownload(fid, url, reply, options.verify ?? true)
  }

  async *#chunksOf(fid: string): AsyncGenerator<Buffer> {
    const { reply } = await this.#ask('GET', fid, {}, '?cm=false')
    const text = (await reply.bytes(MANIFEST_BYTES_MAX)).toString('utf8')
    if (reply.status !== 200) throw errorOfReply(reply.status, text)
    const { chunks } = parseJson(text)
    const sorted = (Array.isArray(chunks) ? chunks : []).map(chunkOf).sort((a, b) => a.offset - b.offset)
    let end = 0
    for (const { fid: chunkFid, offset, size } of sorted) {
      if (offset !== end) throw new StoreError('corrupt', `${fid}: its chunks do not follow each other`)
      const { body } = await this.#open(chunkFid, {})
      for await (const piece of body) {
        end += piece.length
        yield piece
      }
      if (end !== offset + size) throw new StoreError('corrupt', `${chunkFid} is not as long as ${fid} says`)
    }
  }

  /** A whole file as one buffer; throws `too_large` above `sizeBytesMax`. */
  async downloadBytes(fid: string, sizeBytesMax = FILE_SIZE_BYTES_MAX_DEFAULT): Promise<Buffer> {
    const download = await this.download(fid)
    const pieces: Buffer[] = []
    let sizeBytes = 0
    for await (const piece of download.body) {
      sizeBytes += piece.length
      if (sizeBytes > sizeBytesMax) throw new StoreError('too_large', `${fid} is over ${sizeBytesMax} bytes`)
      pieces.push(piece)
    }
    return Buffer.concat(pieces, sizeBytes)
  }

  /** Removes a file. Throws `not_found`, `bad_request` (a wrong cookie, too), `unavailable`, `io_error`. */
  async delete(fid: string): Promise<{ sizeBytes: number }> {
    const { reply, doubtful } = await this.#ask('DELETE', fid, {})
    const text = (await reply.bytes(CLIENT_JSON_BYTES_MAX)).toString('utf8')
    // After a try that may have been carried out, a missing file is what was asked for.
    if (reply.status === 404 && doubtful) return { sizeBytes: 0 }
    if (reply.status === 404) throw new StoreError('not_found', `${fid}: no such file`)
    if (reply.status < 200 || reply.status > 299) throw errorOfReply(reply.status, text)
    const size = text === '' ? 0 : parseJson(text).size
    return { sizeBytes: typeof size === 'number' ? size : 0 }
  }

  /**
   * One request about an existing file, at one server after another. Gives back the first reply that is an answer;
   * `doubtful` tells that an earlier try may have been carried out.
   */
  async #ask(
    method: 'GET' | 'DELETE',
    fid: string,
    headers: Record<string, string>,
    query = '',
  ): Promise<Answer> {
    const { volumeId } = parseFid(fid)
    let lastError: unknown
    let doubtful = false
    let authorization: string | undefined
    for (let attempt = 0; attempt < this.#attemptsMax; attempt++) {
      if (attempt > 0) await this.#clock.sleep(backoffMs(attempt))
      const fromMemory = this.#locations.get(volumeId) !== undefined
      const locations = await this.lookup(volumeId)
      const first = this.#random.below(locations.length)
      let missing: Answer | undefined
      for (let turn = 0; turn < locations.length; turn++) {
        const url = `${baseUrl(locations[(first + turn) % locations.length]!.publicUrl, this.#secure)}/${fid}${query}`
        const credentials: Record<string, string> = authorization === undefined ? {} : { authorization }
        try {
          const reply = await this.#http.request({
            method,
            url,
            headers: { ...this.#options.headers, ...headers, ...credentials },
          })
          if (reply.status === 404) {
            missing?.reply.discard()
            missing = { reply, url, doubtful }
          } else if (reply.status === 401 && authorization === undefined) {
            reply.discard()
            authorization = await this.#master.authorizationFor(fid, method === 'GET' ? 'read' : 'write')
            lastError = errorOfReply(401, '')
            if (authorization === undefined) throw lastError
          } else if (reply.status >= 500 || reply.status === 429) {
            lastError = errorOfReply(
              reply.status,
              (await reply.bytes(CLIENT_JSON_BYTES_MAX)).toString('utf8'),
            )
          } else {
            return { reply, url, doubtful }
          }
        } catch (error) {
          if (!isRetryable(error)) throw error
          lastError = error
          doubtful ||= error instanceof ConnectionError && error.requestSent
          this.#locations.forget(volumeId)
        }
      }
      if (missing !== undefined) {
        // The volume may have moved since its place was remembered; the master's own word is final.
        this.#locations.forget(volumeId)
        if (!fromMemory) return missing
        missing.reply.discard()
        lastError = new StoreError('not_found', `${fid}: no such file`)
      }
    }
    throw lastError
  }
}

function chunkOf(value: unknown): { fid: string; offset: number; size: number } {
  const { fid, offset = 0, size } = (value ?? {}) as Record<string, unknown>
  if (typeof fid === 'string' && typeof offset === 'number' && typeof size === 'number')
    return { fid, offset, size }
  throw new StoreError('corrupt', 'the chunk manifest cannot be read')
}

interface Answer {
  reply: HttpReply
  url: string
  doubtful: boolean
}

const ANOTHER_VOLUME_HELPS: ReadonlySet<string> = new Set(['disk_full', 'conflict', 'not_found'])

function isRetryableWrite(error: unknown): boolean {
  if (isRetryable(error)) return true
  // The volume was full, closed for writing or gone between the assign and the write: another one will do.
  return error instanceof StoreError && ANOTHER_VOLUME_HELPS.has(error.code)
}
