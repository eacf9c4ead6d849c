/** The extended protocol: requests with heads, one after the other on one connection, each with a reply. */
import { crc32c } from '../../base/checksum.ts'
import { StoreError, toStoreError } from '../../base/errors.ts'
import { HASHSTORE_DROPPED_BYTES_MAX } from '../../base/limits.ts'
import { oneAhead } from '../../base/one-ahead.ts'
import { type ByteStream, inTime } from '../../net/byte-stream.ts'
import type { ObjectPieces } from '../../objects/object-store.ts'
import type { HashstoreFiles, StoredFile } from './files.ts'
import { IncomingBody } from './incoming.ts'
import { isMark } from './manifest.ts'
import { checkedText, pathOfText } from './paths.ts'
import type { SessionParts } from './session.ts'
import {
  CRC_BYTES,
  encodeCrc,
  encodeHead,
  type FileEntry,
  headLength,
  OK,
  parseRequest,
  type Request,
} from './wire.ts'

const LENGTH_BYTES = 4

export class ExtendedSession {
  readonly #stream: ByteStream
  readonly #parts: SessionParts
  /** The request of this moment has a body, so much of which has not come yet. */
  #bodyLeft = 0
  #isIdle = true
  #isEnding = false

  constructor(stream: ByteStream, parts: SessionParts) {
    this.#stream = stream
    this.#parts = parts
  }

  /** Answers what was begun, and then ends the connection. */
  end(): void {
    this.#isEnding = true
    if (this.#isIdle) this.#stream.end()
  }

  /** Resolves at the end of the connection. Throws where it cannot go on and is to be reset. */
  async serve(): Promise<void> {
    await this.#stream.write(OK)
    while (!this.#isEnding) {
      this.#isIdle = true
      const first = await this.#stream.some(LENGTH_BYTES)
      this.#isIdle = false
      if (first === undefined || !(await this.#serveOne(first))) break
    }
    this.#stream.end()
  }

  /** False: the connection cannot be used any more. */
  async #serveOne(first: Buffer): Promise<boolean> {
    const { clock, headerTimeoutMs: timeoutMs, counters, log } = this.#parts
    let request: Request | undefined
    try {
      request = await inTime(this.#readHead(first), { stream: this.#stream, clock, timeoutMs })
      this.#bodyLeft = request.op === 'put' ? request.size + CRC_BYTES : 0
      await this.#answer(request)
      return true
    } catch (error) {
      if (this.#stream.socket.destroyed) throw error
      const { code, message } = toStoreError(error)
      counters.add('refused')
      if (code === 'internal') log.error({ error }, 'a request of the hash store failed by a bug')
      await this.#stream.write(encodeHead({ error: code, message }))
      return request !== undefined && (await this.#dropBody())
    }
  }

  async #readHead(first: Buffer): Promise<Request> {
    const rest = await this.#stream.take(LENGTH_BYTES - first.length)
    const length = headLength(Buffer.concat([first, rest]))
    return parseRequest(await this.#stream.take(length))
  }

  /** After a refusal the rest of a body is of no use; only a short one is waited for. */
  async #dropBody(): Promise<boolean> {
    if (this.#bodyLeft > HASHSTORE_DROPPED_BYTES_MAX) return false
    while (this.#bodyLeft > 0) {
      const piece = await this.#stream.some(this.#bodyLeft)
      if (piece === undefined) return false
      this.#bodyLeft -= piece.length
      piece.giveBack?.()
    }
    return true
  }

  async #answer(request: Request): Promise<void> {
    const { counters, tree, files, clock } = this.#parts
    const path = pathOfText(request.path)
    switch (request.op) {
      case 'enter':
        counters.add('others')
        await tree.enter(path, { size: request.size, timeMs: request.time ?? clock.nowMs() })
        return await this.#reply(undefined)
      case 'leave':
        counters.add('others')
        await tree.leave(path)
        return await this.#reply(undefined)
      case 'browse':
        counters.add('others')
        return await this.#replyJson(await tree.browse(path, request))
    }
    if (files === undefined) throw new StoreError('unsupported', 'this server has names only')
    await this.#answerFile(request, path, files)
  }

  async #answerFile(request: Request, path: Buffer, files: HashstoreFiles): Promise<void> {
    const { counters } = this.#parts
    switch (request.op) {
      case 'put':
        counters.add('writes')
        return await this.#put(request, path, files)
      case 'get':
        counters.add('reads')
        return await this.#get(path, files)
      case 'stat':
        counters.add('others')
        return await this.#reply((await findFile(files, path)).entry)
      case 'delete':
        counters.add('deletes')
        return await this.#replyReplaced(await files.remove(path, { tag: request.tag, timeMs: request.time }))
      case 'list':
        counters.add('others')
        return await this.#replyJson(await files.list(request.after ?? ''))
    }
  }

  async #put({ size, ...how }: Request, path: Buffer, files: HashstoreFiles): Promise<void> {
    const { clock, counters } = this.#parts
    // Before the body is taken.
    checkedText(how.path)
    const { manifest, chunkOf, unlessNewer, time: timeMs } = how
    if (manifest !== undefined && !isMark(manifest))
      throw new StoreError('bad_request', 'no mark of a manifest')
    if (chunkOf !== undefined) pathOfText(checkedText(chunkOf))
    const incoming = new IncomingBody({ stream: this.#stream, clock, sizeBytes: size })
    let stored: Awaited<ReturnType<HashstoreFiles['put']>>
    try {
      const [body, { check }] = [await incoming.body(), incoming]
      stored = await files.put(path, { kind: 'path', body, check, timeMs, manifest, chunkOf, unlessNewer })
    } finally {
      this.#stream.isBulk = false
      this.#bodyLeft = incoming.isComplete ? 0 : size + CRC_BYTES - incoming.receivedBytes
      counters.add('bytesReceived', incoming.receivedBytes)
    }
    await this.#replyReplaced(stored.replaced, stored.entry)
  }

  /** With the manifest that was replaced or removed, where it can be read, so that the client can remove its chunks. */
  async #replyReplaced(replaced: StoredFile | undefined, entry = replaced?.entry): Promise<void> {
    const manifest =
      replaced?.entry.manifest === undefined ? undefined : await bytesOf(replaced).catch(() => undefined)
    if (manifest === undefined) await this.#reply(entry)
    else await this.#send(entry!, manifest)
  }

  async #get(path: Buffer, files: HashstoreFiles): Promise<void> {
    const file = await findFile(files, path)
    await this.#send(file.entry, await bytesOf(file), storedCrc(file))
  }

  /** `knownCrc`: CRC32C of the bytes, where somebody has computed it before. */
  async #send(entry: FileEntry, bytes: Buffer | ObjectPieces, knownCrc?: number): Promise<void> {
    const { counters } = this.#parts
    const isWhole = Buffer.isBuffer(bytes)
    const size = isWhole ? bytes.length : bytes.sizeBytes
    const head = encodeHead({ ok: true, size, entry })
    counters.add('bytesSent', size)
    if (isWhole) return await this.#stream.write(Buffer.concat([head, bytes, encodeCrc(crc32c(bytes))]))
    await this.#stream.write(head)
    let crc = 0
    try {
      for await (const piece of oneAhead(bytes.pieces())) {
        if (knownCrc === undefined) crc = crc32c(piece, crc)
        await this.#stream.write(piece)
      }
    } catch (error) {
      // The head is gone already: only a reset can still say that this is not the file.
      this.#stream.reset()
      throw error
    }
    await this.#stream.write(encodeCrc(knownCrc ?? crc))
  }

  async #reply(entry: FileEntry | undefined): Promise<void> {
    await this.#stream.write(encodeHead({ ok: true, size: 0, ...(entry && { entry }) }))
  }

  async #replyJson(value: unknown): Promise<void> {
    const body = Buffer.from(JSON.stringify(value))
    const head = encodeHead({ ok: true, size: body.length })
    await this.#stream.write(Buffer.concat([head, body, encodeCrc(crc32c(body))]))
  }
}

async function findFile(files: HashstoreFiles, path: Buffer) {
  const file = await files.find(path)
  if (file === undefined) throw new StoreError('not_found', 'there is no such file')
  return file
}

/** That of the bytes as they came, which `IncomingBody` has kept. What is read is verified against the volume's own checksums. */
function storedCrc({ found }: StoredFile): number | undefined {
  const { checksum } = found.info.attributes
  if (checksum?.algorithm !== 'CRC32C' || checksum.type !== 'FULL_OBJECT') return undefined
  return Buffer.from(checksum.value, 'base64').readUInt32BE()
}

async function bytesOf({ found }: StoredFile): Promise<Buffer | ObjectPieces> {
  return await found.read(0, found.info.sizeBytes)
}
