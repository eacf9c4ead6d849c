/** One server, as a client of the extended protocol sees it. Connections stay open between requests. */
import { crc32c } from '../../base/checksum.ts'
import { StoreError, toStoreError } from '../../base/errors.ts'
import { HASHSTORE_UNREAD_BYTES_MAX, HASHSTORE_WHOLE_BYTES_MAX } from '../../base/limits.ts'
import { oneAhead } from '../../base/one-ahead.ts'
import type { LentPiece } from '../../base/piece-buffers.ts'
import { ByteStream, ReadBuffers } from '../../net/byte-stream.ts'
import { textOfPath } from './paths.ts'
import type { Machine } from './placement.ts'
import {
  type Accepted,
  accepted,
  CRC_BYTES,
  EXTENDED_OPENING,
  encodeCrc,
  encodeHead,
  type FileEntry,
  headLength,
  OK,
  type Page,
  parseReply,
  type Reply,
  type Request,
  type TreeEntry,
} from './wire.ts'

/** Bytes of a file on their way to a server; the length must be right. Lent pieces are given back when they are sent. */
export interface Source {
  sizeBytes: number
  pieces(): AsyncIterable<LentPiece>
}

export interface Fetched {
  entry: FileEntry
  /** The bytes, all of which must be asked for, or `close` called. Throws at the end where they are not what was sent. */
  pieces(): AsyncIterable<LentPiece>
  close(): void
}

export type PutOptions = Pick<Request, 'time' | 'manifest' | 'chunkOf' | 'unlessNewer'>

/** `manifest`: bytes of the one that was there before. */
export interface Changed {
  entry: FileEntry | undefined
  manifest: Buffer | undefined
}

const LENGTH_BYTES = 4
/** So that a connection is read while a piece of a file is written. */
const CLIENT_UNREAD_BYTES_MAX = 4 * HASHSTORE_UNREAD_BYTES_MAX

/** All calls throw what the server answers, and `unavailable`, `timeout`, `incomplete_body`. */
export class HashstoreClient {
  readonly machine: Machine
  readonly #timeoutMs: number
  readonly #buffers = new ReadBuffers()
  readonly #idle: ByteStream[] = []
  readonly #open = new Set<ByteStream>()
  #isClosed = false
  #isAborted = false

  /** A connection on which nothing moves for `timeoutMs` is cut. */
  constructor(machine: Machine, { timeoutMs }: { timeoutMs: number }) {
    this.machine = machine
    this.#timeoutMs = timeoutMs
  }

  async put(path: Buffer, source: Source, options: PutOptions = {}): Promise<Changed> {
    return await this.#use(async (stream) => {
      const replied = readReply(stream).then(accepted)
      let isRefused = false
      replied.catch(() => {
        isRefused = true
      })
      try {
        await stream.write(requestHead('put', path, { size: source.sizeBytes, ...options }))
        let [crc, left] = [0, source.sizeBytes]
        for await (const piece of oneAhead(source.pieces())) {
          if (isRefused) break
          crc = crc32c(piece, crc)
          left -= piece.length
          await stream.write(piece)
        }
        if (left !== 0 && !isRefused)
          throw new StoreError('conflict', 'the file was changed while it was read')
        if (!isRefused) await stream.write(encodeCrc(crc))
      } catch (error) {
        // Why the server hangs up, it has said before.
        if (stream.socket.destroyed) await replied
        throw error
      }
      return await changeOf(stream, await replied)
    })
  }

  /** Throws `not_found`. */
  async get(path: Buffer): Promise<Fetched> {
    const stream = await this.#connection()
    let isDone = false
    const done = () => {
      isDone = true
      this.#giveBack(stream)
    }
    const close = () => {
      if (!isDone) stream.reset()
    }
    try {
      await stream.write(requestHead('get', path))
      const reply = await readReply(stream)
      if ('error' in reply) done()
      const { size, entry } = accepted(reply)
      return { entry: entry!, pieces: () => readBody(stream, size, done), close }
    } catch (error) {
      close()
      throw error
    }
  }

  /** Throws `not_found`. */
  async stat(path: Buffer): Promise<FileEntry> {
    return (await this.#ask(requestHead('stat', path))).entry!
  }

  /**
   * `tag`: only that file. `time`: the latest of what was removed of this path elsewhere; nothing of that time or before is
   * taken here any more by `unlessNewer`. Throws `not_found`, `precondition_failed`.
   */
  async remove(path: Buffer, tag?: string, time?: number): Promise<Changed> {
    const which = { ...(tag !== undefined && { tag }), ...(time !== undefined && { time }) }
    const changed = await this.#use(async (stream) => {
      await stream.write(requestHead('delete', path, which))
      const reply = await readReply(stream)
      return 'error' in reply ? reply : await changeOf(stream, reply)
    })
    if ('error' in changed) accepted(changed)
    return changed as Changed
  }

  /** All files of the server. */
  async *list(): AsyncGenerator<FileEntry[]> {
    yield* this.#pages<FileEntry>((after) => requestHead('list', NO_PATH, { after }))
  }

  async enter(path: Buffer, { size, time }: { size: number; time: number }): Promise<void> {
    await this.#ask(requestHead('enter', path, { size, time }))
  }

  async leave(path: Buffer): Promise<void> {
    await this.#ask(requestHead('leave', path))
  }

  /** What begins with `prefix`, up to the next separator, or `all` of it. */
  async *browse(prefix: Buffer, all: boolean): AsyncGenerator<TreeEntry[]> {
    yield* this.#pages<TreeEntry>((after) => requestHead('browse', prefix, { after, all }))
  }

  /** Ends the connections that nobody uses, and the others when they are used no more. */
  close(): void {
    this.#isClosed = true
    for (const stream of this.#idle.splice(0)) stream.end()
  }

  /** Breaks off what is under way, which throws `unavailable` or `incomplete_body`, as does all that comes after. */
  abort(): void {
    this.#isAborted = true
    for (const stream of this.#open) stream.reset()
  }

  #giveBack(stream: ByteStream): void {
    if (this.#isClosed) stream.end()
    else this.#idle.push(stream)
  }

  async *#pages<T>(headOf: (after: string) => Buffer): AsyncGenerator<T[]> {
    for (let after: string | undefined = ''; after !== undefined; ) {
      const head = headOf(after)
      const page: Page<T> = await this.#use(async (stream) => {
        await stream.write(head)
        const { size } = accepted(await readReply(stream))
        return JSON.parse((await wholeBody(stream, size)).toString())
      })
      if (page.entries.length > 0) yield page.entries
      after = page.next
    }
  }

  async #ask(head: Buffer): Promise<Accepted> {
    const reply = await this.#use(async (stream) => {
      await stream.write(head)
      return await readReply(stream)
    })
    return accepted(reply)
  }

  /** A connection for one exchange, which is used again when that went to its end. */
  async #use<T>(exchange: (stream: ByteStream) => Promise<T>): Promise<T> {
    const stream = await this.#connection()
    try {
      const result = await exchange(stream)
      this.#giveBack(stream)
      return result
    } catch (error) {
      stream.reset()
      throw error
    }
  }

  async #connection(): Promise<ByteStream> {
    for (let stream = this.#idle.pop(); stream !== undefined; stream = this.#idle.pop())
      if (!stream.isOver) return stream
    const stream = await ByteStream.dial(this.machine, {
      buffers: this.#buffers,
      timeoutMs: this.#timeoutMs,
      unreadBytesMax: CLIENT_UNREAD_BYTES_MAX,
    })
    this.#open.add(stream)
    stream.socket.once('close', () => this.#open.delete(stream))
    try {
      if (this.#isAborted) throw new StoreError('unavailable', 'broken off')
      await stream.write(EXTENDED_OPENING)
      const answer = await stream.take(OK.length)
      if (!answer.equals(OK)) throw new StoreError('unsupported', 'no server of the extended protocol')
      return stream
    } catch (error) {
      stream.reset()
      const { host, port } = this.machine
      throw new StoreError('unavailable', `no hash store answers at ${host}:${port}`, { cause: error })
    }
  }
}

/** Undefined in place of `not_found`. */
export async function ifThere<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (toStoreError(error).code === 'not_found') return undefined
    throw error
  }
}

const NO_PATH = Buffer.alloc(0)

function requestHead(op: Request['op'], path: Buffer, rest: Partial<Request> = {}): Buffer {
  return encodeHead({ op, path: textOfPath(path), size: 0, ...rest })
}

async function readReply(stream: ByteStream): Promise<Reply> {
  const length = headLength(await stream.take(LENGTH_BYTES))
  return parseReply(await stream.take(length))
}

async function changeOf(stream: ByteStream, { size, entry }: Accepted): Promise<Changed> {
  return { entry, manifest: size === 0 ? undefined : await wholeBody(stream, size) }
}

async function wholeBody(stream: ByteStream, sizeBytes: number): Promise<Buffer> {
  const bytes = await stream.take(sizeBytes)
  checkCrc(await stream.take(CRC_BYTES), crc32c(bytes))
  return bytes
}

async function* readBody(stream: ByteStream, sizeBytes: number, done: () => void): AsyncGenerator<LentPiece> {
  let isWhole = false
  try {
    let crc = 0
    if (sizeBytes > HASHSTORE_WHOLE_BYTES_MAX) stream.readWhole(sizeBytes)
    for (let left = sizeBytes; left > 0; ) {
      const piece = await stream.some(left)
      if (piece === undefined) throw new StoreError('incomplete_body', 'the connection ended within a file')
      crc = crc32c(piece, crc)
      left -= piece.length
      yield piece
    }
    checkCrc(await stream.take(CRC_BYTES), crc)
    isWhole = true
  } finally {
    if (isWhole) done()
    else stream.reset()
  }
}

function checkCrc(sent: Buffer, crc: number): void {
  if (sent.readUInt32BE() !== crc)
    throw new StoreError('digest_mismatch', 'what arrived has another CRC32C than was sent')
}
