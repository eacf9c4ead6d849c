/**
 * The volume server's side of membership: tells every master the node's whole state each period, at once when
 * something changes, and a last time when it leaves. Runs beside the keeper, which knows the volumes.
 */
import type { Clock } from '../base/clock.ts'
import { toStoreError } from '../base/errors.ts'
import { CLUSTER_CALL_MS_MAX } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import { type Disk, readFileWhole, replaceFileDurably } from '../disk/disk.ts'
import type { VolumeAdmin } from '../disk/volume-admin.ts'
import type { ClusterClient } from './cluster-client.ts'
import { EPOCH, HEARTBEAT_PATH, type Heartbeat, PROTOCOL_VERSION } from './cluster-wire.ts'
import type { VolumeTraffic } from './volume-counters.ts'

/** What a node says of itself; the same for its whole run. */
export interface NodeIdentity {
  /** From `loadNodeId`. */
  nodeId: string
  url: string
  publicUrl: string
  /** '' means the default one. */
  dataCenter: string
  rack: string
  volumeSizeLimitBytes: number
}

/** A way to a master that is found by itself. */
export interface HeartbeatBus {
  /** Throws `unavailable` when nobody can be reached. */
  report(heartbeat: Heartbeat): Promise<void>
  /** `host:port` of the master that answered last. */
  known(): readonly string[]
}

export interface HeartbeatSenderOptions {
  /** `host:port` of each master. */
  masters: readonly string[]
  /** Reports go here too; while it is gone, to the master that it knew. */
  bus?: HeartbeatBus | undefined
  identity: NodeIdentity
  periodMs: number
  client: ClusterClient
  admin: Pick<VolumeAdmin, 'status'>
  /** What the node has done since its start, for status pages. */
  traffic?: () => VolumeTraffic
  clock: Clock
  random: Random
  log: Log
}

export class HeartbeatSender {
  readonly #options: HeartbeatSenderOptions
  readonly #bootId: string
  readonly #masters: MasterLink[]
  #sequence = 0
  #stopTimer: (() => void) | undefined
  #stopped = false

  constructor(options: HeartbeatSenderOptions) {
    this.#options = options
    this.#bootId = randomUuid(options.random)
    const link = (name: string, send: MasterLink['send']): MasterLink => {
      return { name, send, sending: undefined, again: false, state: 'unknown' }
    }
    const { masters, bus } = options
    this.#masters = masters.map((hostPort) => link(hostPort, (message) => this.#post(hostPort, message)))
    if (bus !== undefined) this.#masters.push(link('bus', (message) => this.#report(bus, message)))
  }

  /** Sends the first heartbeat now, then one each period until `stop`. */
  start(): void {
    this.notify()
    this.#stopTimer = this.#options.clock.every(this.#options.periodMs, () => this.notify())
  }

  /** Something changed: send the state at once. Calls while one is on its way become one more. */
  notify(): void {
    if (this.#stopped) return
    for (const master of this.#masters) void this.#sendSoon(master)
  }

  /** Sends now, and resolves when every master has answered or failed. */
  async flush(): Promise<void> {
    await Promise.all(this.#masters.map((master) => this.#sendSoon(master)))
  }

  /** Tells the masters that the node leaves; each is waited for at most CLUSTER_CALL_MS_MAX. */
  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    this.#stopTimer?.()
    await Promise.all(
      this.#masters.map(async (master) => {
        await master.sending
        if (master.state === 'joined') await this.#sendOnce(master, true)
      }),
    )
  }

  /** Stops without a word: the masters find out by its silence. */
  abandon(): void {
    this.#stopped = true
    this.#stopTimer?.()
  }

  #sendSoon(master: MasterLink): Promise<void> {
    if (master.sending !== undefined) {
      master.again = true
      return master.sending
    }
    const run = async () => {
      do {
        master.again = false
        await this.#sendOnce(master, false)
      } while (master.again && !this.#stopped)
    }
    master.sending = run().finally(() => {
      master.sending = undefined
    })
    return master.sending
  }

  /** Never throws: a master that cannot be reached is tried again the next period. */
  async #sendOnce(master: MasterLink, leaving: boolean): Promise<void> {
    const { log } = this.#options
    try {
      await master.send(await this.#message(leaving))
      if (master.state !== 'joined') log.info({ master: master.name }, 'joined the master')
      master.state = 'joined'
    } catch (error) {
      const { code, message } = toStoreError(error)
      const state = `${code}: ${message}`
      // The same trouble each period is one line, not one a second.
      if (master.state !== state) {
        log.warn({ master: master.name, code, reason: message }, 'the master did not take the heartbeat')
      }
      master.state = state
    }
  }

  async #post(hostPort: string, message: Heartbeat): Promise<void> {
    const { client } = this.#options
    await client.post({ hostPort, path: HEARTBEAT_PATH, message, timeoutMs: CLUSTER_CALL_MS_MAX })
  }

  async #report(bus: HeartbeatBus, message: Heartbeat): Promise<void> {
    try {
      await bus.report(message)
    } catch (error) {
      const [hostPort] = bus.known()
      if (hostPort === undefined || toStoreError(error).code !== 'unavailable') throw error
      await this.#post(hostPort, message)
    }
  }

  async #message(leaving: boolean): Promise<Heartbeat> {
    const { identity, admin, traffic, periodMs } = this.#options
    // Numbered before the state is read: a later number never carries an older state.
    const sequence = ++this.#sequence
    const { directories, volumes } = await admin.status()
    return {
      protocolVersion: PROTOCOL_VERSION,
      epoch: EPOCH,
      bootId: this.#bootId,
      sequence,
      periodMs,
      leaving,
      ...identity,
      traffic: traffic?.(),
      directories,
      volumes,
    }
  }
}

interface MasterLink {
  /** In the log. */
  name: string
  send(message: Heartbeat): Promise<void>
  sending: Promise<void> | undefined
  /** Something changed while one was on its way. */
  again: boolean
  /** 'unknown', 'joined', or the trouble that was logged last. */
  state: string
}

/** Kept in each directory of volumes. */
export const NODE_ID_FILE = 'cairn.node'

/**
 * The node's UUID, kept as a file in each of its directories; made at the first start.
 * A directory that is new gets the id of the others. Throws what the disk throws.
 */
export function loadNodeId(disk: Disk, directories: string[], random: Random): string {
  const found = directories.map((directory) => readNodeId(disk, directory))
  const nodeId = found.find((each) => each !== undefined) ?? randomUuid(random)
  for (const [index, directory] of directories.entries()) {
    if (found[index] === undefined)
      replaceFileDurably(disk, directory, NODE_ID_FILE, Buffer.from(`${nodeId}\n`))
  }
  return nodeId
}

function readNodeId(disk: Disk, directory: string): string | undefined {
  const text = readFileWhole(disk, `${directory}/${NODE_ID_FILE}`)?.toString('latin1').trim()
  return text !== undefined && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text) ? text : undefined
}

/** A random (version 4) UUID. */
export function randomUuid(random: Random): string {
  const bytes = random.bytes(16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
