/**
 * One server of memcached's text protocol, seen from outside: one connection, on which many requests are under way. It is kept
 * by itself: a server that is gone is tried again, after waits that double, and until it has answered once every request fails
 * at once. Every request has a time limit; one that passes it ends the connection, for nothing behind it can be told apart.
 */
import { connect, type Socket } from 'node:net'
import type { Clock } from '../base/clock.ts'
import { type ErrorCode, StoreError } from '../base/errors.ts'
import {
  MEMCACHED_CLIENT_BYTES_MAX,
  MEMCACHED_CLIENT_REQUESTS_MAX,
  MEMCACHED_RETRY_MS,
  MEMCACHED_RETRY_MS_MAX,
} from '../base/limits.ts'
import type { Random } from '../base/random.ts'
import { MemcachedReplies, type MemcachedValue, type ReplyPart } from './memcached-replies.ts'

export interface MemcachedClientOptions {
  host: string
  port: number
  clock: Clock
  random: Random
  /** Of one request, and of connecting. */
  timeoutMs: number
  /** Larger ones are no replies. */
  valueBytesMax: number
  onState?: (state: MemcachedState, reason: string) => void
}

/** `new`: nobody knows yet, and requests wait. */
export type MemcachedState = 'new' | 'up' | 'down'

/** What a request gets: its values and what `stats` lists, and the line that ends them. */
interface Reply {
  values: MemcachedValue[]
  stats: Record<string, string>
  line: string
}

interface Waiter {
  resolve: (reply: Reply) => void
  reject: (error: StoreError) => void
  reply: Reply
  deadlineMs: number
  sizeBytes: number
}

/** Of `item_size_max`, what the server needs for itself beside key and value. */
const ITEM_OVERHEAD_BYTES = 512
const SWEEP_MS = 50
const END = 'END'

export class MemcachedClient {
  readonly address: string
  readonly #options: MemcachedClientOptions
  readonly #waiters: Waiter[] = []
  #waitingBytes = 0
  #socket: Socket | undefined
  #state: MemcachedState = 'new'
  #reason = ''
  #failures = 0
  #isClosed = false
  #itemBytesMax: number | undefined
  #cancelRetry: (() => void) | undefined
  /** The attempt that is under way, once it is known how it went. */
  #attempt: Promise<void> = Promise.resolve()
  readonly #stopSweep: () => void

  constructor(options: MemcachedClientOptions) {
    this.#options = options
    const { host, port, clock } = options
    this.address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
    this.#stopSweep = clock.every(SWEEP_MS, () => this.#sweep())
    this.#connect()
  }

  get state(): MemcachedState {
    return this.#state
  }

  /** Why it is down. */
  get reason(): string {
    return this.#reason
  }

  /** The longest key and value together that the server takes; undefined where it does not say. */
  get itemBytesMax(): number | undefined {
    return this.#itemBytesMax
  }

  /** Throws `unavailable`, `timeout`, `io_error`. */
  async gets(key: string): Promise<MemcachedValue | undefined> {
    const { values, line } = await this.#ask([`gets ${key}\r\n`])
    if (line !== END) throw refusal(this.address, line)
    return values[0]
  }

  /**
   * Only where the key has nothing. False: it has. Throws as `gets`; `too_large` where the server takes no such value, `disk_full`
   * where it has no room.
   */
  async add(key: string, value: Buffer, expiresS: number): Promise<boolean> {
    const line = await this.#store(`add ${key} 0 ${expiresS} ${value.length}`, value)
    if (line === 'STORED' || line === 'NOT_STORED') return line === 'STORED'
    throw refusal(this.address, line)
  }

  /** Only where the key has what `unique` came with. False: it has not. Throws as `add`. */
  async cas(key: string, value: Buffer, options: { unique: string; expiresS: number }): Promise<boolean> {
    const { unique, expiresS } = options
    const line = await this.#store(`cas ${key} 0 ${expiresS} ${value.length} ${unique}`, value)
    if (line === 'STORED' || line === 'EXISTS' || line === 'NOT_FOUND') return line === 'STORED'
    throw refusal(this.address, line)
  }

  /** Throws as `gets`. */
  async stats(): Promise<Record<string, string>> {
    const { stats, line } = await this.#ask(['stats\r\n'])
    if (line !== END) throw refusal(this.address, line)
    return stats
  }

  /** Tries a server that is down again, without the wait; resolves when it is known how that went. */
  async retry(): Promise<void> {
    if (this.#state === 'up' || this.#isClosed) return
    if (this.#cancelRetry !== undefined) {
      this.#cancelRetry()
      this.#connect()
    }
    await this.#attempt
  }

  /** Requests under way fail. */
  close(): void {
    this.#isClosed = true
    this.#cancelRetry?.()
    this.#stopSweep()
    this.#drop('unavailable', 'closed')
  }

  async #store(head: string, value: Buffer): Promise<string> {
    return (await this.#ask([`${head}\r\n`, value, '\r\n'])).line
  }

  #ask(pieces: (string | Buffer)[]): Promise<Reply> {
    if (this.#state === 'down' || this.#isClosed)
      return Promise.reject(new StoreError('unavailable', `${this.address} is down: ${this.#reason}`))
    return this.#send(pieces)
  }

  #send(pieces: (string | Buffer)[]): Promise<Reply> {
    const socket = this.#socket!
    const sizeBytes = pieces.reduce((sum, { length }) => sum + length, 0)
    if (
      this.#waiters.length >= MEMCACHED_CLIENT_REQUESTS_MAX ||
      this.#waitingBytes + sizeBytes > MEMCACHED_CLIENT_BYTES_MAX
    )
      return Promise.reject(new StoreError('unavailable', `${this.address} has too many requests under way`))
    const { clock, timeoutMs } = this.#options
    return new Promise((resolve, reject) => {
      const reply: Reply = { values: [], stats: {}, line: '' }
      this.#waiters.push({ resolve, reject, reply, sizeBytes, deadlineMs: clock.monotonicMs() + timeoutMs })
      this.#waitingBytes += sizeBytes
      if (pieces.length > 1) socket.cork()
      for (const piece of pieces) socket.write(piece, 'latin1')
      if (pieces.length > 1) socket.uncork()
    })
  }

  #connect(): void {
    this.#cancelRetry = undefined
    const { host, port, valueBytesMax, clock } = this.#options
    const startedMs = clock.monotonicMs()
    const replies = new MemcachedReplies(valueBytesMax)
    const socket = connect({ host, port, noDelay: true })
    this.#socket = socket
    let failure: string | undefined
    socket.on('error', (error) => {
      failure = error.message
    })
    socket.on('data', (bytes: Buffer) => {
      if (socket === this.#socket) this.#take(replies, bytes)
    })
    socket.once('close', () => {
      if (socket !== this.#socket) return
      const isIdle = this.#state === 'up' && this.#waiters.length === 0 && failure === undefined
      // Servers end connections on which nothing is asked for long; a new one shows whether this one still answers.
      if (isIdle && clock.monotonicMs() - startedMs >= MEMCACHED_RETRY_MS_MAX) this.#connect()
      else this.#drop('unavailable', failure ?? 'it closed the connection')
    })
    // The first of all: it says what the server takes, and that it answers.
    this.#attempt = this.#send(['stats settings\r\n']).then(
      ({ stats }) => {
        const sizeBytes = Number(stats.item_size_max)
        this.#itemBytesMax = sizeBytes > ITEM_OVERHEAD_BYTES ? sizeBytes - ITEM_OVERHEAD_BYTES : undefined
        this.#failures = 0
        this.#become('up', '')
      },
      () => {},
    )
  }

  #take(replies: MemcachedReplies, bytes: Buffer): void {
    replies.add(bytes)
    try {
      for (let part = replies.next(); part !== undefined; part = replies.next()) this.#takePart(part)
    } catch (error) {
      this.#drop('io_error', (error as StoreError).message)
    }
  }

  #takePart(part: ReplyPart): void {
    const waiter = this.#waiters[0]
    if (waiter === undefined) throw new StoreError('io_error', 'a reply that nobody asked for')
    if (typeof part !== 'string') {
      waiter.reply.values.push(part)
      return
    }
    const [, name, value] = /^STAT (\S+) ?(.*)$/.exec(part) ?? []
    if (name !== undefined) {
      waiter.reply.stats[name] = value!
      return
    }
    this.#waiters.shift()
    this.#waitingBytes -= waiter.sizeBytes
    waiter.reply.line = part
    waiter.resolve(waiter.reply)
  }

  #sweep(): void {
    const { clock, timeoutMs } = this.#options
    const waiter = this.#waiters[0]
    if (waiter === undefined || clock.monotonicMs() < waiter.deadlineMs) return
    // Where this process itself stood still, answers wait to be read.
    clock.soon(() => {
      if (waiter === this.#waiters[0]) this.#drop('timeout', `no answer in ${timeoutMs} ms`)
    })
  }

  /** Nothing more comes from this connection, and nothing more goes: what failed is not to arrive later. */
  #drop(code: ErrorCode, reason: string): void {
    const socket = this.#socket
    this.#socket = undefined
    if (this.#isClosed || socket?.connecting) socket?.destroy()
    else socket?.resetAndDestroy()
    this.#become('down', reason)
    this.#waitingBytes = 0
    for (const { reject } of this.#waiters.splice(0))
      reject(new StoreError(code, `${this.address}: ${reason}`))
    if (this.#isClosed) return
    const { clock, random } = this.#options
    const waitMs = Math.min(MEMCACHED_RETRY_MS * 2 ** this.#failures++, MEMCACHED_RETRY_MS_MAX)
    this.#cancelRetry = clock.after(waitMs / 2 + random.below(waitMs / 2 + 1), () => this.#connect())
  }

  #become(state: MemcachedState, reason: string): void {
    const isNews = state !== this.#state
    this.#state = state
    this.#reason = reason
    if (isNews && !this.#isClosed) this.#options.onState?.(state, reason)
  }
}

function refusal(address: string, line: string): StoreError {
  const message = `${address} answered ${line.slice(0, 200)}`
  if (line.includes('too large')) return new StoreError('too_large', message)
  if (line.includes('out of memory')) return new StoreError('disk_full', message)
  return new StoreError(line.startsWith('SERVER_ERROR') ? 'unavailable' : 'io_error', message)
}
