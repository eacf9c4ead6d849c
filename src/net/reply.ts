/**
 * What a handler answers, as a value, and how it leaves: head and small body in one write, large bodies piece by piece
 * at the reader's pace. Header lists are flat, name then value, and pass through untouched: an object per reply would
 * cost more than the file that it carries.
 */
import type { ServerResponse } from 'node:http'
import type { Writable } from 'node:stream'
import type { Clock } from '../base/clock.ts'
import { givingBack } from '../base/piece-buffers.ts'
import type { Random } from '../base/random.ts'

/** A body too large to hold. `pieces` may be asked for once; `close` is called once, always. */
export interface BodyStream {
  sizeBytes: number
  pieces(): AsyncIterable<Buffer | string>
  close(): void
}

export interface Outcome {
  status: number
  /** Name, value, name, value, … without Date and Content-Length. Values are ASCII or bytes as latin1. */
  headers: string[]
  /** A string is latin1: one byte a character. */
  body: string | Buffer | BodyStream | undefined
  /** Length of the body that a HEAD leaves out. */
  sizeBytes?: number
  /**
   * The body is in memory that its owner uses again as soon as control returns to it. Who sends it either copies it,
   * or calls `keep` while it is still in use: then the owner takes other memory for itself.
   */
  borrowed?: { keep(): void }
}

/** The headers that every reply carries: server, time, and an id that names the request in logs. */
export class CommonHeaders {
  readonly #clock: Clock
  readonly #server: string
  readonly #idPrefix: string
  #requestCount = 0
  #second = 0
  #date = ''
  #linesDate = ''
  #linesStart = ''

  constructor(options: { clock: Clock; random: Random; server: string }) {
    this.#clock = options.clock
    this.#server = options.server
    this.#idPrefix = options.random.bytes(4).toString('hex').toUpperCase()
  }

  /** A new list that begins with them. */
  begin(): string[] {
    return ['Server', this.#server, 'Date', this.date(), 'X-Amz-Request-Id', this.requestId()]
  }

  /** They as lines of a head. The id has no need to be unguessable. */
  lines(): string {
    const date = this.date()
    if (date !== this.#linesDate) {
      this.#linesDate = date
      this.#linesStart = `Server: ${this.#server}\r\nDate: ${date}\r\nX-Amz-Request-Id: ${this.#idPrefix}`
    }
    return `${this.#linesStart}${this.#nextNumber()}\r\n`
  }

  /** The time now as an HTTP date; made once a second. */
  date(): string {
    const second = Math.floor(this.#clock.nowMs() / 1_000)
    if (second !== this.#second) {
      this.#second = second
      this.#date = new Date(second * 1_000).toUTCString()
    }
    return this.#date
  }

  requestId(): string {
    return this.#idPrefix + this.#nextNumber()
  }

  /** Decimal, because that costs a fraction of hex. */
  #nextNumber(): string {
    this.#requestCount = (this.#requestCount + 1) >>> 0
    return String(this.#requestCount)
  }
}

/**
 * Sends an outcome as the whole reply and returns the length of its body. `headers`: those of CommonHeaders.
 * Never throws; a broken stream cuts the connection.
 */
export function sendOutcome(response: ServerResponse, outcome: Outcome, headers: string[]): number {
  const { body } = outcome
  if (response.destroyed || response.headersSent) {
    if (isStream(body)) body.close()
    return 0
  }
  for (let i = 0; i < outcome.headers.length; i++) headers.push(outcome.headers[i]!)
  const length = outcome.sizeBytes ?? bodyLength(body)
  if (outcome.status !== 204 && outcome.status !== 304) headers.push('Content-Length', String(length))
  response.sendDate = false
  response.writeHead(outcome.status, headers)
  if (typeof body === 'string') response.end(body, 'latin1')
  else if (isStream(body)) void streamBody(response, body)
  else if (body === undefined) response.end()
  else response.end(outcome.borrowed === undefined ? body : Buffer.from(body))
  return body === undefined || response.req.method === 'HEAD' ? 0 : length
}

/** Whether a body comes in pieces. */
export function isStream(body: Outcome['body']): body is BodyStream {
  return typeof body === 'object' && 'pieces' in body
}

/** Length of a body in bytes. */
export function bodyLength(body: Outcome['body']): number {
  if (body === undefined) return 0
  return isStream(body) ? body.sizeBytes : body.length
}

async function streamBody(response: ServerResponse, body: BodyStream): Promise<void> {
  try {
    await streamTo(response, body)
    if (!response.destroyed) response.end()
  } catch {
    // The head is gone already: only a cut connection can still say that the body is not whole.
    response.destroy()
  }
}

/** Writes a body at the reader's pace and closes it. Rejects when its source fails; a reader that leaves ends it. */
export async function streamTo(writable: Writable, body: BodyStream): Promise<void> {
  try {
    for await (const piece of body.pieces()) {
      if (writable.destroyed) return
      const goesOn =
        typeof piece === 'string' ? writable.write(piece, 'latin1') : writable.write(piece, givingBack(piece))
      if (!goesOn) await drained(writable)
    }
  } finally {
    body.close()
  }
}

/**
 * The same body with its first piece read already: what is wrong from the start is thrown here, where it can still be
 * answered with an error instead of a reply that breaks off. Closes the body when it throws.
 */
export async function primeStream(body: BodyStream): Promise<BodyStream> {
  const iterator = body.pieces()[Symbol.asyncIterator]()
  let first: IteratorResult<Buffer | string>
  try {
    first = await iterator.next()
  } catch (error) {
    body.close()
    throw error
  }
  return {
    sizeBytes: body.sizeBytes,
    async *pieces() {
      let next = first
      while (!next.done) {
        yield next.value
        next = await iterator.next()
      }
    },
    close() {
      // A source that waits, as one on another server does, is told to stop.
      void iterator.return?.().catch(() => {})
      body.close()
    },
  }
}

/** Resolves when the reader has taken what is buffered, or has gone away. */
function drained(writable: Writable): Promise<void> {
  if (writable.destroyed) return Promise.resolve()
  return new Promise((resolve) => {
    const settle = () => {
      writable.off('drain', settle)
      writable.off('close', settle)
      resolve()
    }
    writable.on('drain', settle)
    writable.on('close', settle)
  })
}

/** Value of the first header of that name (given in lower case) in a raw list, or undefined. */
export function rawHeader(rawHeaders: readonly string[], lowerName: string): string | undefined {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    if (name.length === lowerName.length && name.toLowerCase() === lowerName) return rawHeaders[i + 1]
  }
  return undefined
}

/** JSON as SeaweedFS writes it: compact, or by two spaces when asked to; `<`, `>`, `&` escaped. As UTF-8 bytes. */
export function jsonBytes(value: unknown, pretty: boolean): Buffer {
  return Buffer.from(escapeHtml(JSON.stringify(value, undefined, pretty ? 2 : undefined)))
}

const HTML_CHARACTERS = /[<>&\u2028\u2029]/g

function escapeHtml(json: string): string {
  return json.replace(HTML_CHARACTERS, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

export const JSON_HEADERS: readonly string[] = [
  'Content-Type',
  'application/json',
  'X-Content-Type-Options',
  'nosniff',
]

/** A JSON reply. */
export function jsonOutcome(status: number, value: unknown, pretty = false): Outcome {
  return { status, headers: [...JSON_HEADERS], body: jsonBytes(value, pretty) }
}

/** `{"error":"…"}`. */
export function errorOutcome(status: number, message: string, pretty = false): Outcome {
  return jsonOutcome(status, { error: message }, pretty)
}
