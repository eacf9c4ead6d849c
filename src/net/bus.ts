/**
 * Messages over RabbitMQ: questions that everyone bound to a fanout exchange gets, and answers into the asker's own queue.
 * The connection is made again by itself, with growing pauses, as long as the bus is not closed; nothing here is kept for
 * a broker that is gone, so who asks meanwhile is told `unavailable`.
 */
import { type Channel, type ChannelModel, type ConsumeMessage, connect } from 'amqplib'
import type { Clock } from '../base/clock.ts'
import { StoreError, toStoreError } from '../base/errors.ts'
import {
  BUS_ANSWERS_MAX,
  BUS_CLOSE_MS_MAX,
  BUS_CONNECT_MS_MAX,
  BUS_HEARTBEAT_S,
  BUS_RECONNECT_MS,
  BUS_RECONNECT_MS_MAX,
} from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'

export interface BusMessage {
  /** What kind of question it is. */
  type: string
  /** Of the question; its answers carry the same. */
  id: string
  authorization: string
  body: Buffer
}

/** Gives the answer, or undefined for none. Must not throw. */
export type BusHandler = (message: BusMessage) => Promise<BusMessage | undefined>

export interface BusQuestion {
  exchange: string
  message: BusMessage
  /** Ends the wait for answers, and for the first connection before it. */
  timeoutMs: number
  /** So many answers end it sooner. */
  enough: number
}

export interface BusOptions {
  /** `amqp://USER:PASSWORD@HOST:PORT/VHOST`, or `amqps://`. */
  url: string
  /** All that are used; made where they are missing. */
  exchanges: readonly string[]
  clock: Clock
  random: Random
  log: Log
}

interface Open {
  model: ChannelModel
  channel: Channel
  answersTo: string
}

interface Waiting {
  answers: BusMessage[]
  enough: number
  end: () => void
}

export class Bus {
  readonly #options: BusOptions
  readonly #handlers = new Map<string, BusHandler>()
  readonly #waiting = new Map<string, Waiting>()
  /** Called when the connection is there again, or the bus closes. */
  readonly #watchers = new Set<() => void>()
  #open: Open | undefined
  #wasOpen = false
  #closed = false
  #trouble = ''

  constructor(options: BusOptions) {
    this.#options = options
  }

  get isOpen(): boolean {
    return this.#open !== undefined
  }

  /** Connects, and stays connected, in the background. `handlers`: who answers what comes to an exchange. */
  start(handlers: Readonly<Record<string, BusHandler>> = {}): void {
    for (const [exchange, handler] of Object.entries(handlers)) this.#handlers.set(exchange, handler)
    void this.#stayConnected()
  }

  /** Calls `run` each time that the connection has been made, the first one included. */
  onOpen(run: () => void): void {
    if (this.isOpen) run()
    this.#watchers.add(run)
  }

  /** Says something of which no answer is expected; without a connection nobody hears it. */
  tell(exchange: string, message: BusMessage): void {
    try {
      if (this.#open !== undefined) publish(this.#open.channel, { exchange, queue: '' }, message)
    } catch {
      // The channel has gone just now.
    }
  }

  /**
   * The answers, in their order; fewer than `enough` when the time is up. Throws `unavailable` without a connection, and when
   * it is lost meanwhile.
   */
  async ask({ exchange, message, timeoutMs, enough }: BusQuestion): Promise<BusMessage[]> {
    const { clock } = this.#options
    const untilMs = clock.monotonicMs() + timeoutMs
    // Only the first connection is waited for: who asks while it is gone has other ways.
    const open = this.#open ?? (this.#wasOpen ? undefined : await this.#opened(timeoutMs))
    if (open === undefined) throw new StoreError('unavailable', 'the bus cannot be reached')
    const waiting: Waiting = { answers: [], enough: Math.min(enough, BUS_ANSWERS_MAX), end: () => undefined }
    const ended = new Promise<void>((resolve) => {
      waiting.end = resolve
    })
    const leftMs = Math.max(1, Math.ceil(untilMs - clock.monotonicMs()))
    const stopTimer = clock.after(leftMs, waiting.end)
    this.#waiting.set(message.id, waiting)
    try {
      publish(open.channel, { exchange, queue: '' }, message, {
        replyTo: open.answersTo,
        expiration: String(leftMs),
      })
      await ended
    } catch (error) {
      throw new StoreError('unavailable', 'the bus has gone', { cause: error })
    } finally {
      stopTimer()
      this.#waiting.delete(message.id)
    }
    // That nobody answers says nothing when nobody could.
    if (waiting.answers.length < waiting.enough && this.#open !== open)
      throw new StoreError('unavailable', 'the bus has gone')
    return waiting.answers
  }

  /** Lets go of the connection. */
  async close(): Promise<void> {
    this.#closed = true
    const model = this.#open?.model
    this.#lost()
    this.#wake()
    if (model !== undefined) await this.#letGo(model)
  }

  /** A broker that dies meanwhile never answers. */
  async #letGo(model: ChannelModel): Promise<void> {
    await new Promise<void>((resolve) => {
      const stopTimer = this.#options.clock.after(BUS_CLOSE_MS_MAX, resolve)
      const done = () => {
        stopTimer()
        resolve()
      }
      model.close().then(done, done)
    })
  }

  async #opened(timeoutMs: number): Promise<Open | undefined> {
    await new Promise<void>((resolve) => {
      const done = () => {
        stopTimer()
        this.#watchers.delete(done)
        resolve()
      }
      const stopTimer = this.#options.clock.after(timeoutMs, done)
      this.#watchers.add(done)
    })
    return this.#open
  }

  async #stayConnected(): Promise<void> {
    const { clock, random, log } = this.#options
    for (let pauseMs = BUS_RECONNECT_MS; !this.#closed; ) {
      try {
        await this.#connect()
        pauseMs = BUS_RECONNECT_MS
      } catch (error) {
        if (!this.#closed) this.#say(toStoreError(error).message)
      }
      if (this.#closed) return
      // Not all servers at the same moment.
      const waitMs = Math.round(pauseMs / 2) + random.below(pauseMs)
      log.debug({ waitMs }, 'the bus is tried again')
      await new Promise<void>((resolve) => void clock.after(waitMs, resolve))
      pauseMs = Math.min(2 * pauseMs, BUS_RECONNECT_MS_MAX)
    }
  }

  /** Resolves when a connection that was made is lost. Throws when none can be made. */
  async #connect(): Promise<void> {
    const url = new URL(this.#options.url)
    if (!url.searchParams.has('heartbeat')) url.searchParams.set('heartbeat', String(BUS_HEARTBEAT_S))
    const model = await connect(url.href, { timeout: BUS_CONNECT_MS_MAX })
    const lost = new Promise<void>((resolve) => {
      model.on('close', () => resolve())
    })
    model.on('error', (error) => this.#say(error.message))
    try {
      const channel = await model.createChannel()
      channel.on('error', (error) => this.#say(error.message))
      // Without its channel a connection is of no use.
      channel.on('close', () => void this.#letGo(model))
      const answersTo = await this.#listen(channel, () => void this.#letGo(model))
      if (this.#closed) throw new StoreError('unavailable', 'the bus was closed')
      this.#open = { model, channel, answersTo }
      this.#wasOpen = true
    } catch (error) {
      await this.#letGo(model)
      throw error
    }
    // Of those who only ask there are many.
    const isNews = this.#handlers.size > 0 || this.#trouble !== ''
    this.#trouble = ''
    this.#options.log[isNews ? 'info' : 'debug']({ broker: url.host }, 'connected to the bus')
    this.#wake()
    await lost
    this.#lost()
    if (!this.#closed) this.#say('the connection was lost')
  }

  /** Makes what is missing at the broker, and listens; gives the queue for answers. `onEnd`: somebody removed a queue. */
  async #listen(channel: Channel, onEnd: () => void): Promise<string> {
    for (const exchange of this.#options.exchanges) await channel.assertExchange(exchange, 'fanout')
    const own = { exclusive: true, autoDelete: true }
    const { queue: answersTo } = await channel.assertQueue('', own)
    const listen = (queue: string, take: (message: ConsumeMessage) => void) =>
      channel.consume(queue, (message) => (message === null ? onEnd() : take(message)), { noAck: true })
    await listen(answersTo, (message) => this.#takeAnswer(message))
    for (const [exchange, handler] of this.#handlers) {
      const { queue } = await channel.assertQueue('', own)
      await channel.bindQueue(queue, exchange, '')
      await listen(queue, (message) => void this.#answer(channel, handler, message))
    }
    return answersTo
  }

  async #answer(channel: Channel, handler: BusHandler, received: ConsumeMessage): Promise<void> {
    const { replyTo } = received.properties
    const answer = await handler(messageOf(received))
    if (answer === undefined || typeof replyTo !== 'string' || replyTo === '') return
    try {
      publish(channel, { exchange: '', queue: replyTo }, answer)
    } catch {
      // The channel has gone meanwhile, and with it the one who asked.
    }
  }

  #takeAnswer(received: ConsumeMessage): void {
    const answer = messageOf(received)
    const waiting = this.#waiting.get(answer.id)
    if (waiting === undefined) return
    waiting.answers.push(answer)
    if (waiting.answers.length >= waiting.enough) waiting.end()
  }

  #wake(): void {
    for (const run of [...this.#watchers]) run()
  }

  #lost(): void {
    this.#open = undefined
    for (const { end } of this.#waiting.values()) end()
  }

  /** The same trouble at every try is one line. */
  #say(reason: string): void {
    if (this.#trouble === reason) return
    this.#trouble = reason
    this.#options.log.warn({ reason }, 'the bus is gone: it is tried again, and what is known goes on')
  }
}

function publish(
  channel: Channel,
  to: { exchange: string; queue: string },
  { type, id, authorization, body }: BusMessage,
  properties: { replyTo?: string; expiration?: string } = {},
): void {
  const headers = { authorization }
  channel.publish(to.exchange, to.queue, body, { type, correlationId: id, headers, ...properties })
}

function messageOf({ content, properties }: ConsumeMessage): BusMessage {
  const text = (value: unknown) => (typeof value === 'string' ? value : '')
  return {
    type: text(properties.type),
    id: text(properties.correlationId),
    authorization: text(properties.headers?.authorization),
    body: content,
  }
}
