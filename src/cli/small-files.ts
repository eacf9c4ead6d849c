/**
 * The short way for thousands of small files: bare connections that stay open, one write a file. What does not go
 * smoothly takes the client's way, which knows about retries.
 */
import type { Clock } from '../base/clock.ts'
import { toStoreError } from '../base/errors.ts'
import { CLIENT_JSON_BYTES_MAX, NAME_BYTES_MAX } from '../base/limits.ts'
import { systemRandom } from '../base/random.ts'
import { headerOf, RawConnection, type RawReply } from '../bench/raw-connection.ts'
import type { CairnClient, UploadOptions, UploadResult } from '../client/cairn-client.ts'
import type { Assignment } from '../client/master-client.ts'

const TIMEOUT_LOOK_MS = 1_000

export interface SmallFilesOptions {
  client: CairnClient
  clock: Clock
  timeoutMs: number
  /** Authorization that the store asks for. */
  authorization: string | undefined
}

export class SmallFiles {
  readonly #options: SmallFilesOptions
  readonly #idle = new Map<string, RawConnection[]>()
  readonly #busy = new Set<RawConnection>()
  readonly #boundaryStart = `cairn-${systemRandom.bytes(16).toString('hex')}-`
  readonly #stopLooking: () => void
  #count = 0

  constructor(options: SmallFilesOptions) {
    this.#options = options
    this.#stopLooking = options.clock.every(TIMEOUT_LOOK_MS, () => {
      for (const connection of this.#busy) connection.checkTimeout()
    })
  }

  /** Stores one file; undefined where the client must do it, and then nothing of it is stored. */
  async store(content: Buffer, options: UploadOptions): Promise<UploadResult | undefined> {
    const { name = '', sizeBytes: _, lastModifiedS, ...place } = options
    if (/[\r\n\0]/.test(name) || Buffer.byteLength(name) > NAME_BYTES_MAX) return undefined
    const { client } = this.#options
    const target = await client.nextId(place)
    let reply: RawReply
    try {
      reply = await this.#send(
        target,
        this.#request(target, content, { name, lastModifiedS, ttl: options.ttl }),
      )
    } catch (error) {
      // It may be stored, and nobody would ever ask for it.
      if (toStoreError(error).code !== 'unavailable') await client.delete(target.fid).catch(() => undefined)
      return undefined
    }
    if (reply.status !== 201) {
      client.forgetIds()
      return undefined
    }
    const eTag = headerOf(reply, 'etag')?.replaceAll('"', '') ?? ''
    return {
      fid: target.fid,
      url: `${target.publicUrl}/${target.fid}`,
      name,
      sizeBytes: content.length,
      eTag,
    }
  }

  close(): void {
    this.#stopLooking()
    for (const connections of this.#idle.values()) for (const each of connections) each.close()
    for (const each of this.#busy) each.close()
  }

  #request(
    target: Assignment,
    content: Buffer,
    file: { name: string; lastModifiedS: number | undefined; ttl: string | undefined },
  ): Buffer {
    const { name, lastModifiedS, ttl } = file
    const boundary = this.#boundaryStart + this.#count++
    const quoted = name.replace(/[\\"]/g, '\\$&')
    const form = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${quoted}"\r\n\r\n`
    const end = `\r\n--${boundary}--\r\n`
    const length = Buffer.byteLength(form) + content.length + end.length
    const { authorization = target.authorization } = this.#options
    const query = new URLSearchParams()
    if (lastModifiedS !== undefined) query.set('ts', String(lastModifiedS))
    if (ttl !== undefined) query.set('ttl', ttl)
    // There is one such header: where it holds a password, the token goes with the query.
    if (target.authorization !== undefined && authorization !== target.authorization)
      query.set('jwt', target.authorization.replace(/^bearer +/i, ''))
    const credentials = authorization === undefined ? '' : `Authorization: ${authorization}\r\n`
    const head =
      `POST /${target.fid}?${query} HTTP/1.1\r\nHost: ${target.publicUrl}\r\n${credentials}` +
      `Content-Type: multipart/form-data; boundary=${boundary}\r\nContent-Length: ${length}\r\n\r\n`
    return Buffer.concat([Buffer.from(head + form), content, Buffer.from(end)])
  }

  async #send(target: Assignment, request: Buffer): Promise<RawReply> {
    const { clock, timeoutMs } = this.#options
    const address = target.publicUrl
    const idle = this.#idle.get(address) ?? []
    this.#idle.set(address, idle)
    const connection =
      idle.pop() ?? new RawConnection({ address, clock, timeoutMs, bodyBytesMax: CLIENT_JSON_BYTES_MAX })
    this.#busy.add(connection)
    try {
      const reply = await connection.send(request)
      idle.push(connection)
      return reply
    } finally {
      this.#busy.delete(connection)
    }
  }
}
