/** What every reply carries: server, time, and the two ids by which S3 names a request. */
import type { Clock } from '../../base/clock.ts'
import type { Random } from '../../base/random.ts'
import { CommonHeaders } from '../../net/reply.ts'

const HEX_DIGITS = 8

export class ReplyIds {
  /** Names the thread that answered; the same in all its replies. */
  readonly hostId: string
  readonly #server: string
  readonly #common: CommonHeaders
  readonly #prefix: string
  #count = 0
  #linesDate = ''
  #lines = ''

  constructor(options: { clock: Clock; random: Random; server: string }) {
    this.#server = options.server
    this.#common = new CommonHeaders(options)
    this.hostId = options.random.bytes(48).toString('base64')
    this.#prefix = options.random.bytes(4).toString('hex').toUpperCase()
  }

  /** An id for a request: 16 hex digits. It has no need to be unguessable. */
  next(): string {
    this.#count = (this.#count + 1) >>> 0
    return this.#prefix + this.#count.toString(16).toUpperCase().padStart(HEX_DIGITS, '0')
  }

  /** A new list of headers that begins with them, without the ids. */
  begin(): string[] {
    return ['Server', this.#server, 'Date', this.#common.date()]
  }

  /** They as lines of a head; made once a second. */
  lines(): string {
    const date = this.#common.date()
    if (date !== this.#linesDate) {
      this.#linesDate = date
      this.#lines = `Server: ${this.#server}\r\nDate: ${date}\r\n`
    }
    return this.#lines
  }
}
