/**
 * What servers of a cluster say to each other over RabbitMQ, so that none needs to know another's address: data servers
 * report to the exchange `apiServers`, where the master hears them and says where it is; whoever looks for a volume asks the
 * exchange `dataServers`, and the server that has it answers. All else goes over HTTP to the addresses that are learned so.
 * Messages are signed as those over HTTP are, and an answer is good for its own question only.
 */
import type { Clock } from '../base/clock.ts'
import { type ErrorCode, StoreError, toStoreError } from '../base/errors.ts'
import { BUS_ANSWER_MS_MAX, BUS_PERIODS_MISSED_MAX, HEARTBEAT_PERIODS_MISSED_MAX } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import { Bus, type BusHandler, type BusMessage } from '../net/bus.ts'
import type { ClusterAuth } from './cluster-auth.ts'
import {
  EPOCH,
  errorOfReply,
  type Fields,
  type Heartbeat,
  PROTOCOL_VERSION,
  parseHeartbeat,
  parseMessage,
} from './cluster-wire.ts'
import type { MasterAddresses } from './master-calls.ts'
import { parseLocation, type VolumeLocation } from './volume-locator.ts'

/** Heard by the master. */
const API_SERVERS = 'apiServers'
/** Heard by the volume servers. */
const DATA_SERVERS = 'dataServers'
const ID_BYTES = 16
/** The same refused message is logged again after this time. */
const REFUSAL_LOG_MS = 60_000

export interface ClusterBusOptions {
  url: string
  auth: ClusterAuth
  /** Of this process. */
  nodeId: string
  clock: Clock
  random: Random
  log: Log
}

/** What a master answers. */
export interface MasterEar {
  /** `host:port` for other servers. */
  url: () => string
  takeHeartbeat(heartbeat: Heartbeat): Promise<void>
}

/** What a volume server answers. */
export interface VolumeEar {
  /** The master wants to know who is there: report now. */
  report(): void
  /** Where the volume is, when it is here. */
  locate(volumeId: number): VolumeLocation | undefined
}

type Answer = (fields: Fields, body: Buffer) => Promise<object | undefined>

export class ClusterBus implements MasterAddresses {
  readonly #options: ClusterBusOptions
  readonly #bus: Bus
  readonly #refusals = new Map<string, number>()
  #master: string | undefined

  constructor(options: ClusterBusOptions) {
    const { url, clock, random, log } = options
    this.#options = options
    this.#bus = new Bus({ url, exchanges: [API_SERVERS, DATA_SERVERS], clock, random, log })
  }

  /** False: nothing can be heard now. */
  get isOpen(): boolean {
    return this.#bus.isOpen
  }

  /** Connects in the background, as often as is needed; who only asks has no ear. */
  start({ master, volumes }: { master?: MasterEar; volumes?: VolumeEar } = {}): void {
    const handlers: Record<string, BusHandler> = {}
    if (master !== undefined) handlers[API_SERVERS] = this.#answering(API_SERVERS, masterAnswers(master))
    if (volumes !== undefined) handlers[DATA_SERVERS] = this.#answering(DATA_SERVERS, volumeAnswers(volumes))
    this.#bus.start(handlers)
  }

  /** Calls `run` each time that the broker can be reached again. */
  onOpen(run: () => void): void {
    this.#bus.onOpen(run)
  }

  close(): Promise<void> {
    return this.#bus.close()
  }

  /** The master that answered last. */
  known(): readonly string[] {
    return this.#master === undefined ? [] : [this.#master]
  }

  /** Asks who the master is. Throws `unavailable`, and what the master says. */
  async find(): Promise<readonly string[]> {
    await this.#askMaster('master', {})
    return this.known()
  }

  /** Reports to the master. Throws `unavailable` when none answers, and what it says when it refuses. */
  async report(heartbeat: Heartbeat): Promise<void> {
    await this.#askMaster('heartbeat', heartbeat)
  }

  async #askMaster(type: string, message: object): Promise<void> {
    const [answer] = await this.#ask(API_SERVERS, type, message)
    if (answer === undefined) throw new StoreError('unavailable', 'no master answers on the bus')
    this.#master = answer.hostPort('url')
  }

  /** Where a volume is: the answers that come within a second, the first of which is enough. Throws `unavailable`. */
  async locate(volumeId: number): Promise<readonly VolumeLocation[]> {
    const answers = await this.#ask(DATA_SERVERS, 'locate', { id: volumeId })
    return answers.map(parseLocation)
  }

  /** Makes all volume servers report, as far as they hear it. */
  callRoll(): void {
    this.#bus.tell(DATA_SERVERS, this.#question(DATA_SERVERS, 'report', {}))
  }

  /** None, or one. */
  async #ask(exchange: string, type: string, fields: object): Promise<Fields[]> {
    const message = this.#question(exchange, type, fields)
    const answers = await this.#bus.ask({ exchange, message, timeoutMs: BUS_ANSWER_MS_MAX, enough: 1 })
    return answers.map((answer) => this.#accept(answer, `/${exchange}/${type}/${message.id}`))
  }

  #question(exchange: string, type: string, fields: object): BusMessage {
    const { nodeId, random } = this.#options
    const id = random.bytes(ID_BYTES).toString('hex')
    const envelope = { protocolVersion: PROTOCOL_VERSION, nodeId, epoch: EPOCH }
    return { ...this.#signed(`/${exchange}/${type}`, { ...envelope, ...fields }), type, id }
  }

  #accept({ type, authorization, body }: BusMessage, path: string): Fields {
    this.#options.auth.verify({ method: 'BUS', path, body }, authorization)
    if (type === 'error') throw errorOfReply(500, body, 'the bus')
    return parseMessage(body)
  }

  #answering(exchange: string, answers: Record<string, Answer>): BusHandler {
    const { auth, nodeId } = this.#options
    return async ({ type, id, authorization, body }) => {
      const path = `/${exchange}/${type}`
      try {
        auth.verify({ method: 'BUS', path, body }, authorization)
      } catch (error) {
        // Nothing that a stranger sends is answered.
        this.#logRefusal(toStoreError(error))
        return undefined
      }
      const envelope = { protocolVersion: PROTOCOL_VERSION, nodeId, epoch: EPOCH }
      try {
        const answer = Object.hasOwn(answers, type)
          ? await answers[type]!(parseMessage(body), body)
          : undefined
        if (answer === undefined) return undefined
        return { ...this.#signed(`${path}/${id}`, { ...envelope, ...answer }), type: 'answer', id }
      } catch (error) {
        const { code, message } = toStoreError(error)
        return { ...this.#signed(`${path}/${id}`, { ...envelope, error: message, code }), type: 'error', id }
      }
    }
  }

  #signed(path: string, message: object): { body: Buffer; authorization: string } {
    const body = Buffer.from(JSON.stringify(message))
    return { body, authorization: this.#options.auth.sign({ method: 'BUS', path, body }) }
  }

  #logRefusal({ code, message: reason }: { code: ErrorCode; message: string }): void {
    const { clock, log } = this.#options
    const now = clock.monotonicMs()
    if (now - (this.#refusals.get(code) ?? Number.NEGATIVE_INFINITY) < REFUSAL_LOG_MS) return
    this.#refusals.set(code, now)
    log.warn({ code, reason }, 'refused a message on the bus')
  }
}

function masterAnswers({ url, takeHeartbeat }: MasterEar): Record<string, Answer> {
  return {
    master: async () => ({ url: url() }),
    async heartbeat(_, body) {
      const heartbeat = parseHeartbeat(body)
      // Told in the master's own measure: after how much silence a server is out.
      const periodMs = (heartbeat.periodMs * BUS_PERIODS_MISSED_MAX) / HEARTBEAT_PERIODS_MISSED_MAX
      await takeHeartbeat({ ...heartbeat, periodMs })
      return { url: url() }
    },
  }
}

function volumeAnswers({ locate, report }: VolumeEar): Record<string, Answer> {
  return {
    async report() {
      report()
      return undefined
    },
    async locate(fields) {
      return locate(fields.number('id', 0xffffffff))
    },
  }
}
