/**
 * The two protocols on the wire. The old one: 13 bytes, `OK`, the path, and bytes up to the end of the stream. The extended one
 * behind 13 bytes that an old server refuses: heads in JSON, bodies with their length and CRC32C. `docs/formats/hashstore.md`.
 */
import { ERROR_CODES, type ErrorCode, StoreError } from '../../base/errors.ts'
import { HASHSTORE_HEAD_BYTES_MAX, HASHSTORE_TIME_MS_MAX } from '../../base/limits.ts'

export const OPENING_BYTES = 13
export const OK = Buffer.from('OK')
export const EXTENDED_OPENING = Buffer.from('CAIRNEXT,0001')
export const CRC_BYTES = 4

export type Opening = { kind: 'write' | 'fetch'; pathBytes: number } | { kind: 'extended' }

/** What a connection begins with; undefined: nothing that is known. */
export function parseOpening(bytes: Buffer): Opening | undefined {
  if (bytes.equals(EXTENDED_OPENING)) return { kind: 'extended' }
  const [, word, digits] = /^(WRITFILE|FETCFILE),(\d{4})$/.exec(bytes.toString('latin1')) ?? []
  if (word === undefined) return undefined
  return { kind: word === 'WRITFILE' ? 'write' : 'fetch', pathBytes: Number(digits) }
}

/** A request, as its head says it. Paths are text (`paths.ts`), times milliseconds since 1970. */
export interface Request {
  op: (typeof OPS)[number]
  path: string
  /** put: of the body. enter: of the file. */
  size: number
  /** When the file was written, where that was before now; for `enter` too. delete: the latest of what was removed elsewhere. */
  time?: number
  /** Of the file that is meant, as a reply told it. */
  tag?: string
  /** put: the body lists the chunks of a longer file, and this is what the client calls them. */
  manifest?: string
  /** put: path of the longer file that this is a chunk of. */
  chunkOf?: string
  /** put: only where there is no file of that time or later, and none was removed. */
  unlessNewer?: boolean
  /** list, browse: goes on behind this place, as a reply told it. */
  after?: string
  /** browse: all below, not only up to the next separator. */
  all?: boolean
}

/** put, get, stat, delete, list: files. enter, leave, browse: names in the directory tree. */
export const OPS = ['put', 'get', 'stat', 'delete', 'list', 'enter', 'leave', 'browse'] as const

/** A file, as replies and listings show it. */
export interface FileEntry {
  path: string
  size: number
  time: number
  tag: string
  manifest?: string
  chunkOf?: string
}

/** A name in the tree: a file, or what files have in common up to a separator. */
export type TreeEntry = { path: string; size: number; time: number } | { directory: string }

/** One page; `next` leads to the one behind it. */
export interface Page<T> {
  entries: T[]
  next?: string
}

export interface Accepted {
  ok: true
  /** Of the body. */
  size: number
  entry?: FileEntry
}

export type Reply = Accepted | { error: ErrorCode; message: string }

export function encodeHead(head: Request | Reply): Buffer {
  const text = JSON.stringify(head)
  const bytes = Buffer.allocUnsafe(4 + Buffer.byteLength(text))
  bytes.writeUInt32BE(bytes.length - 4)
  bytes.write(text, 4)
  return bytes
}

/** Throws `bad_request`. */
export function headLength(bytes: Buffer): number {
  const length = bytes.readUInt32BE()
  if (length < 2 || length > HASHSTORE_HEAD_BYTES_MAX)
    throw new StoreError('bad_request', `a head of ${length} bytes`)
  return length
}

/** Throws `bad_request`. */
export function parseRequest(bytes: Buffer): Request {
  const head = parseJson(bytes)
  const op = OPS.find((each) => each === head.op)
  if (op === undefined) throw new StoreError('bad_request', 'no operation of this protocol')
  const request: Request = { op, path: '', size: 0 }
  for (const name of ['path', 'tag', 'manifest', 'chunkOf', 'after'] as const) {
    const value = head[name]
    if (typeof value === 'string' && value.isWellFormed()) request[name] = value
    else if (value !== undefined) throw new StoreError('bad_request', `${name} is not text`)
  }
  for (const name of ['size', 'time'] as const) {
    const value = head[name]
    if (Number.isSafeInteger(value) && (value as number) >= 0) request[name] = value as number
    else if (value !== undefined) throw new StoreError('bad_request', `${name} is not a whole number`)
  }
  if (request.time !== undefined && !isTime(request.time))
    throw new StoreError('bad_request', 'a time beyond the calendar')
  for (const name of ['unlessNewer', 'all'] as const) request[name] = head[name] === true
  return request
}

/** Milliseconds since 1970 that have a date. */
export const isTime = (time: number) =>
  Number.isSafeInteger(time) && time >= 0 && time <= HASHSTORE_TIME_MS_MAX

/** Throws `bad_request`. */
export function parseReply(bytes: Buffer): Reply {
  const head = parseJson(bytes)
  if (head.ok === true && Number.isSafeInteger(head.size)) return head as unknown as Accepted
  const error = ERROR_CODES.find((each) => each === head.error)
  if (error === undefined) throw new StoreError('bad_request', 'a reply that is not understood')
  return { error, message: String(head.message) }
}

/** Throws what an error reply says. */
export function accepted(reply: Reply): Accepted {
  if ('error' in reply) throw new StoreError(reply.error, reply.message)
  return reply
}

function parseJson(bytes: Buffer): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString())
  } catch (error) {
    throw new StoreError('bad_request', 'a head that is no JSON', { cause: error })
  }
  if (typeof value !== 'object' || value === null)
    throw new StoreError('bad_request', 'a head that is no object')
  return value as Record<string, unknown>
}

export function encodeCrc(crc: number): Buffer {
  const bytes = Buffer.allocUnsafe(CRC_BYTES)
  bytes.writeUInt32BE(crc)
  return bytes
}
