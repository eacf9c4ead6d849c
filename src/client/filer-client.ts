/** Files and directories by path, over the filer's HTTP. Paths begin with `/`. */
import { createHash } from 'node:crypto'
import { assert } from '../base/assert.ts'
import { StoreError } from '../base/errors.ts'
import { CLIENT_JSON_BYTES_MAX, ERROR_REPLY_BYTES_MAX } from '../base/limits.ts'
import type { HttpClient, HttpReply } from '../net/http-client.ts'
import { errorOfReply, parseJson } from './reply.ts'

export interface FilerClientOptions {
  http: HttpClient
  /** `http://host:port`. */
  url: string
  headers?: Record<string, string>
}

export interface RemoteEntry {
  /** Last segment of the path. */
  name: string
  isDirectory: boolean
  sizeBytes: number
  modifiedMs: number
  /** Permission bits. */
  mode: number
  /** Modification time of the local file that it was made from, where the sender said so. */
  sourceModifiedMs: number | undefined
}

export interface FileToPut {
  sizeBytes: number
  modifiedMs: number
  mode: number
}

/** Read `body`, or call `discard`. */
export interface RemoteBody {
  etag: string
  /** Of what comes. */
  sizeBytes: number
  /** Not only a part of the file. */
  isWhole: boolean
  body: AsyncIterable<Buffer>
  discard(): void
}

/** What a put keeps of the local file, so that a later one knows that nothing is to be done. */
const SOURCE_TIME_HEADER = 'Seaweed-Source-Mtime'
const LIST_ENTRIES = 1000
/** A page of a listing: about 1 KiB an entry. */
const LIST_BYTES_MAX = 16 * CLIENT_JSON_BYTES_MAX
const NAME_ON_DISK_ETAG = /^"?([^"]*)"?$/

export class FilerClient {
  readonly #options: FilerClientOptions

  constructor(options: FilerClientOptions) {
    this.#options = options
  }

  /** Undefined: there is nothing at that path. */
  async stat(path: string): Promise<RemoteEntry | undefined> {
    const reply = await this.#ask('GET', `${urlPath(path)}?metadata=true`, { accept: 'application/json' })
    const text = (await reply.bytes(LIST_BYTES_MAX)).toString()
    if (reply.status === 404) return undefined
    if (reply.status !== 200) throw errorOfReply(reply.status, text)
    return toEntry(parseJson(text))
  }

  /** All entries of a directory, in the order of their names. Throws `not_found`. */
  async *list(path: string): AsyncGenerator<RemoteEntry, void, undefined> {
    for (let last = ''; ; ) {
      const query = new URLSearchParams({ limit: String(LIST_ENTRIES), lastFileName: last })
      const reply = await this.#ask('GET', `${urlPath(`${path}/`)}?${query}`, { accept: 'application/json' })
      const text = (await reply.bytes(LIST_BYTES_MAX)).toString()
      if (reply.status !== 200) throw errorOfReply(reply.status, text === '' ? 'no such directory' : text)
      const page = parseJson(text)
      for (const entry of (page.Entries ?? []) as Record<string, unknown>[]) yield toEntry(entry)
      if (page.ShouldDisplayLoadMore !== true) return
      assert(typeof page.LastFileName === 'string' && page.LastFileName !== last, 'a listing goes on')
      last = page.LastFileName
    }
  }

  /** Stores a file. `content` is asked for once. */
  async put(path: string, content: Buffer | AsyncIterable<Buffer>, file: FileToPut): Promise<void> {
    const headers: Record<string, string> = { ...OCTETS, ...sourceHeaders(file) }
    if (Buffer.isBuffer(content)) headers['content-md5'] = md5(content)
    const query = `mode=${(file.mode & 0o7777).toString(8).padStart(4, '0')}`
    await this.#send('PUT', `${urlPath(path)}?${query}`, headers, {
      body: content,
      sizeBytes: file.sizeBytes,
    })
  }

  /** Adds a piece to the end of a file, or begins it. */
  async append(path: string, piece: Buffer, file: FileToPut): Promise<void> {
    const headers = { ...OCTETS, ...sourceHeaders(file), 'content-md5': md5(piece) }
    const query = `op=append&mode=${(file.mode & 0o7777).toString(8).padStart(4, '0')}`
    await this.#send('PUT', `${urlPath(path)}?${query}`, headers, { body: piece, sizeBytes: piece.length })
  }

  /** The bytes from `startBytes` on; `etag` must still be the file's, where given. Throws `not_found`, `conflict`. */
  async get(path: string, from: { startBytes: number; etag: string } | undefined): Promise<RemoteBody> {
    const headers: Record<string, string> =
      from === undefined ? {} : { range: `bytes=${from.startBytes}-`, 'if-match': `"${from.etag}"` }
    const reply = await this.#ask('GET', urlPath(path), headers)
    if (reply.status === 412) {
      reply.discard()
      throw new StoreError('conflict', 'the file has changed')
    }
    if (reply.status !== 200 && reply.status !== 206) throw await failure(reply)
    const etag = NAME_ON_DISK_ETAG.exec(String(reply.headers.etag ?? ''))?.[1] ?? ''
    const sizeBytes = Number(reply.headers['content-length'])
    return {
      etag,
      sizeBytes,
      body: reply.body,
      isWhole: reply.status === 200,
      discard: () => reply.discard(),
    }
  }

  /** Throws `directory_exists` where there is something already. */
  async makeDirectory(path: string): Promise<void> {
    const reply = await this.#ask('POST', urlPath(`${path}/`), {})
    const text = (await reply.bytes(ERROR_REPLY_BYTES_MAX)).toString()
    if (reply.status !== 201 && reply.status !== 409) throw errorOfReply(reply.status, text)
  }

  /** Removes a file, or a directory with all in it. */
  async remove(path: string, options: { recursive: boolean }): Promise<void> {
    await this.#send('DELETE', `${urlPath(path)}${options.recursive ? '?recursive=true' : ''}`, {})
  }

  /** A file or directory gets another name; a file that has it is replaced. */
  async move(from: string, to: string): Promise<void> {
    await this.#send('POST', `${urlPath(to)}?${new URLSearchParams({ 'mv.from': from })}`, {})
  }

  /** A file within the store: its bytes are shared. */
  async copy(from: string, to: string): Promise<void> {
    const query = new URLSearchParams({ 'cp.from': from, overwrite: 'true' })
    await this.#send('POST', `${urlPath(to)}?${query}`, {})
  }

  #ask(
    method: string,
    target: string,
    headers: Record<string, string>,
    content: { body?: Buffer | AsyncIterable<Buffer>; sizeBytes?: number } = {},
  ): Promise<HttpReply> {
    const { http, url, headers: common } = this.#options
    return http.request({ method, url: `${url}${target}`, headers: { ...common, ...headers }, ...content })
  }

  async #send(
    method: string,
    target: string,
    headers: Record<string, string>,
    content: { body?: Buffer | AsyncIterable<Buffer>; sizeBytes?: number } = {},
  ): Promise<void> {
    const reply = await this.#ask(method, target, headers, content)
    if (reply.status < 200 || reply.status > 299) throw await failure(reply)
    await reply.bytes(CLIENT_JSON_BYTES_MAX)
  }
}

const OCTETS = { 'content-type': 'application/octet-stream' }

function sourceHeaders({ modifiedMs }: FileToPut): Record<string, string> {
  return { [SOURCE_TIME_HEADER]: String(Math.floor(modifiedMs)) }
}

const md5 = (bytes: Buffer) => createHash('md5').update(bytes).digest('base64')

async function failure(reply: HttpReply): Promise<StoreError> {
  return errorOfReply(reply.status, (await reply.bytes(ERROR_REPLY_BYTES_MAX)).toString())
}

/** Each segment by itself, so that a name may hold anything. */
function urlPath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/')
}

function toEntry(json: Record<string, unknown>): RemoteEntry {
  const { FullPath, Mtime, Mode, FileSize, Extended } = json
  const mode = Number(Mode)
  const encoded = (Extended as Record<string, string> | null)?.[SOURCE_TIME_HEADER]
  const source =
    encoded === undefined ? Number.NaN : Number(Buffer.from(encoded, 'base64').toString('latin1'))
  return {
    name: String(FullPath).split('/').at(-1)!,
    isDirectory: mode >= 2 ** 31,
    sizeBytes: Number(FileSize),
    modifiedMs: Date.parse(String(Mtime)),
    mode: mode & 0o777,
    sourceModifiedMs: Number.isSafeInteger(source) ? source : undefined,
  }
}
