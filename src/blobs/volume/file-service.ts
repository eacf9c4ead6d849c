/**
 * What can be done with files over HTTP, from the parts of a request to an outcome. It knows no socket: whoever has
 * parsed a request may ask. Outcomes come at once where the disk lets them, and as promises where something is waited for.
 */
import type { Clock } from '../../base/clock.ts'
import { StoreError } from '../../base/errors.ts'
import type { Fid } from '../../base/fid.ts'
import type { HeavyJobs } from '../../base/heavy-jobs.ts'
import type { Log } from '../../base/log.ts'
import type { Random } from '../../base/random.ts'
import { verifyFidToken } from '../../net/jwt.ts'
import { errorOutcome, type Outcome, rawHeader } from '../../net/reply.ts'
import { failureOutcome } from './errors.ts'
import { type FilePath, parseFilePath, plainFid } from './file-path.ts'
import { compressNeedle } from './gzip.ts'
import { Images } from './images.ts'
import type { ChunkReader } from './manifest.ts'
import { type FileQuery, NO_QUERY, parseFileQuery } from './query.ts'
import { FileReader } from './read.ts'
import type { ReadRequest } from './read-request.ts'
import { removeFile } from './remove.ts'
import { parseUpload, type Upload, uploadHeadersOf } from './upload.ts'
import { requireVolume, type SyncMode, storeUpload } from './write.ts'

export interface FileRequest {
  method: string
  /** The request target up to the question mark, as received. */
  path: string
  /** What stands behind the question mark; '' without one. */
  queryText: string
  rawHeaders: readonly string[]
  /** Bits of MARK. */
  marks: number
  /** Another server of the cluster asks, which has checked who asked it. */
  isPeer?: boolean
}

/** A write that was looked at before its body is read. */
export interface WriteTarget {
  fid: Fid
  query: Readonly<FileQuery>
  pathName: string
  rawHeaders: readonly string[]
}

export interface FileServiceOptions {
  chunks: ChunkReader
  clock: Clock
  random: Random
  log: Log
  sync: SyncMode
  fileSizeBytesMax: number
  /** Stores files gzipped whose kind compresses. */
  gzip: boolean
  /** Turns JPEGs upright before they are stored. */
  fixJpegOrientation: boolean
  jobs: HeavyJobs
  jwt: { readKey?: string; writeKey?: string }
}

export class FileService {
  readonly #options: FileServiceOptions
  readonly #reader: FileReader
  readonly #images: Images

  constructor(options: FileServiceOptions) {
    this.#options = options
    this.#images = new Images(options.jobs)
    this.#reader = new FileReader({ ...options.chunks, random: options.random, images: this.#images })
  }

  /** GET of a path that is a plain file id, without query and without credentials. */
  readPlain(fid: Fid, rawHeaders: readonly string[], marks: number): Outcome | Promise<Outcome> {
    return this.#read({ fid, isHead: false, rawHeaders, marks, query: NO_QUERY, filename: undefined })
  }

  /** GET and HEAD of any path of a file. */
  read(request: FileRequest): Outcome | Promise<Outcome> {
    const { rawHeaders, marks } = request
    try {
      const { file, query } = parseTarget(request)
      this.#verifyToken(this.#options.jwt.readKey, request, { file, query })
      const { fid, filename } = file
      const target = request.queryText === '' ? request.path : `${request.path}?${request.queryText}`
      return this.#read({
        fid,
        isHead: request.method === 'HEAD',
        rawHeaders,
        marks,
        query,
        filename,
        target,
      })
    } catch (error) {
      return this.#failure(error, false)
    }
  }

  #read(request: ReadRequest): Outcome | Promise<Outcome> {
    const { pretty } = request.query
    try {
      const outcome = this.#reader.read(request)
      if (!(outcome instanceof Promise)) return outcome
      return outcome.catch((error: unknown) => this.#failure(error, pretty))
    } catch (error) {
      return this.#failure(error, pretty)
    }
  }

  /** Checks all that can be known of a POST or PUT before its body: the caller's right, the path, the query, the volume. */
  prepareWrite(request: FileRequest): WriteTarget | Outcome {
    const { path, queryText, rawHeaders } = request
    const { jwt, chunks } = this.#options
    try {
      const plain = queryText === '' && jwt.writeKey === undefined ? plainFid(path) : undefined
      if (plain !== undefined) {
        requireVolume(chunks.volumes.get(plain.volumeId), plain.volumeId)
        return { fid: plain, query: NO_QUERY, pathName: path.slice(1), rawHeaders }
      }
      const { file, query } = parseTarget(request)
      if (!file.isComma) throw new StoreError('bad_request', 'writes need the form /volume,fid')
      this.#verifyToken(jwt.writeKey, request, { file, query })
      requireVolume(chunks.volumes.get(file.fid.volumeId), file.fid.volumeId)
      return { fid: file.fid, query, pathName: file.lastSegment, rawHeaders }
    } catch (error) {
      return this.#failure(error, false)
    }
  }

  /** Stores the body of a write. The outcome says so only once it is as durable as configured. */
  write(target: WriteTarget, body: Buffer): Outcome | Promise<Outcome> {
    const { pretty } = target.query
    try {
      const { clock, fileSizeBytesMax, jobs } = this.#options
      const upload = parseUpload({
        fid: target.fid,
        query: target.query,
        pathName: target.pathName,
        headers: uploadHeadersOf(target.rawHeaders),
        body,
        nowS: Math.floor(clock.nowMs() / 1_000),
        inflatedBytesMax: fileSizeBytesMax,
        jobs,
      })
      const outcome =
        upload instanceof Promise
          ? upload.then((parsed) => this.#prepareAndStore(target, parsed))
          : this.#prepareAndStore(target, upload)
      if (!(outcome instanceof Promise)) return outcome
      return outcome.catch((error: unknown) => this.#failure(error, pretty))
    } catch (error) {
      return this.#failure(error, pretty)
    }
  }

  /** Another server's copy, and a blob, stay what they are; the others are made upright or compressed, where that is wanted. */
  #prepareAndStore(target: WriteTarget, upload: Upload): Outcome | Promise<Outcome> {
    if (target.query.isReplicate || target.query.isBlob) return this.#store(target, upload)
    const { gzip, fixJpegOrientation, jobs } = this.#options
    const { needle } = upload
    const turned = fixJpegOrientation ? this.#images.uprightNeedle(needle) : undefined
    if (turned !== undefined) {
      return turned.then(() => {
        upload.sizeBytes = needle.data.length
        return this.#store(target, upload)
      })
    }
    const compressed = gzip ? compressNeedle(needle, jobs) : undefined
    return compressed === undefined
      ? this.#store(target, upload)
      : compressed.then(() => this.#store(target, upload))
  }

  #store(target: WriteTarget, upload: Upload): Outcome | Promise<Outcome> {
    const { fileSizeBytesMax, chunks, sync } = this.#options
    if (upload.needle.data.length > fileSizeBytesMax) {
      throw new StoreError('too_large', `file over the limit of ${fileSizeBytesMax} bytes`)
    }
    const { volumeId } = target.fid
    const volume = requireVolume(chunks.volumes.get(volumeId), volumeId)
    const { fsync, pretty } = target.query
    return storeUpload(volume, upload, { sync, fsync, pretty })
  }

  async remove(request: FileRequest): Promise<Outcome> {
    const { jwt, sync, chunks } = this.#options
    try {
      const { file, query } = parseTarget(request)
      this.#verifyToken(jwt.writeKey, request, { file, query })
      const { fsync, pretty } = query
      const keepChunks = query.manifest === false
      return await removeFile({ fid: file.fid, sync, fsync, pretty, keepChunks }, chunks)
    } catch (error) {
      return this.#failure(error, false)
    }
  }

  #verifyToken(
    key: string | undefined,
    request: FileRequest,
    { file, query }: { file: FilePath; query: Readonly<FileQuery> },
  ): void {
    if (key === undefined || request.isPeer) return
    const token = query.jwt ?? bearerToken(request.rawHeaders) ?? cookieToken(request.rawHeaders) ?? ''
    verifyFidToken(key, token, { fid: file.fidText, nowS: this.#options.clock.nowMs() / 1_000 })
  }

  /** The reply to what was thrown. A bug is logged, and is answered like one. */
  #failure(error: unknown, pretty: boolean): Outcome {
    const { log } = this.#options
    if (error instanceof StoreError && error.code === 'io_error')
      log.warn({ error }, 'the disk gave an error')
    const outcome = failureOutcome(error, pretty)
    if (outcome !== undefined) return outcome
    log.error({ error }, 'a request failed by a bug')
    return errorOutcome(500, 'internal error', pretty)
  }
}

function parseTarget({ path, queryText }: FileRequest): { file: FilePath; query: Readonly<FileQuery> } {
  const query = queryText === '' ? NO_QUERY : parseFileQuery(queryText)
  return { file: parseFilePath(path), query }
}

function bearerToken(rawHeaders: readonly string[]): string | undefined {
  return /^bearer +([^ ]+) *$/i.exec(rawHeader(rawHeaders, 'authorization') ?? '')?.[1]
}

function cookieToken(rawHeaders: readonly string[]): string | undefined {
  return /(?:^|; *)AT=([^; ]+)/.exec(rawHeader(rawHeaders, 'cookie') ?? '')?.[1]
}
