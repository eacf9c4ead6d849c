/** A master without its HTTP: what it knows, what it gives out, and what it does by itself. */
import type { Clock } from '../../base/clock.ts'
import { StoreError, toStoreError } from '../../base/errors.ts'
import {
  HEARTBEAT_PERIOD_MS_DEFAULT,
  LOST_MEMBERS_PERIOD_MS,
  REPAIR_AFTER_MS_DEFAULT,
} from '../../base/limits.ts'
import type { Log } from '../../base/log.ts'
import type { Random } from '../../base/random.ts'
import type { ClusterClient } from '../cluster-client.ts'
import type { Heartbeat } from '../cluster-wire.ts'
import type { MasterState } from '../master-state.ts'
import { Assigner } from './assign.ts'
import { ErasureGrowth } from './erasure-growth.ts'
import { VolumeGrowth } from './growth.ts'
import { KeySequence } from './key-sequence.ts'
import { LostMembers } from './lost-members.ts'
import { Topology } from './topology.ts'
import { Vacuum } from './vacuum.ts'
import { VolumeCalls } from './volume-calls.ts'
import { VolumeMover } from './volume-move.ts'
import { WarmUp } from './warm-up.ts'

export interface MasterOptions {
  /** UUID that this master signs its calls as. */
  nodeId: string
  state: MasterState
  client: ClusterClient
  clock: Clock
  random: Random
  log: Log
  /** What the volume servers are configured with; how long a start waits for them follows from it. */
  heartbeatPeriodMs?: number
  /** Share of garbage above which volumes are compacted by themselves. */
  garbageThreshold: number
  /** A volume of an erasure group that was nowhere for so long is made anew. Default REPAIR_AFTER_MS_DEFAULT. */
  repairAfterMs?: number | undefined
  /** True while heartbeats cannot come: then no silence says anything. */
  isDeaf?: (() => boolean) | undefined
  /** How often to look for garbage; 0 never does. */
  vacuumPeriodMs: number
}

const DELETES_AT_ONCE = 8

export class Master {
  readonly topology: Topology
  readonly growth: VolumeGrowth
  readonly erasureGrowth: ErasureGrowth
  readonly assigner: Assigner
  readonly vacuum: Vacuum
  readonly mover: VolumeMover
  readonly #options: MasterOptions
  readonly #keys: KeySequence
  readonly calls: VolumeCalls
  readonly #warmUp: WarmUp
  readonly #lostMembers: LostMembers
  #stops: (() => void)[] = []

  constructor(options: MasterOptions) {
    const { state, client, clock, random, log, heartbeatPeriodMs = HEARTBEAT_PERIOD_MS_DEFAULT } = options
    this.#options = options
    this.topology = new Topology(clock)
    this.#keys = new KeySequence(state)
    this.calls = new VolumeCalls(client, options.nodeId)
    const { topology, calls } = this
    this.growth = new VolumeGrowth({ topology, state, calls, random, log })
    this.erasureGrowth = new ErasureGrowth({ topology, state, calls, random, log })
    this.vacuum = new Vacuum({ topology, calls, log })
    const { knownNodeIds, fresh } = state
    this.#warmUp = new WarmUp({ clock, knownNodeIds, fresh, periodMs: heartbeatPeriodMs })
    const warmingUp = () => this.unknowing()
    this.#lostMembers = new LostMembers({
      ...{ topology, clock, log, growth: this.erasureGrowth },
      remove: (node, id) => this.deleteVolume(node, id),
      unknowing: warmingUp,
      repairAfterMs: options.repairAfterMs ?? REPAIR_AFTER_MS_DEFAULT,
    })
    this.mover = new VolumeMover({ topology, calls, log, unknowing: warmingUp })
    this.assigner = new Assigner({
      topology,
      growth: this.growth,
      erasureGrowth: this.erasureGrowth,
      keys: this.#keys,
      clock,
      random,
      warmingUp,
    })
  }

  get state(): MasterState {
    return this.#options.state
  }

  /** Starts what the master does by itself: taking out silent nodes, and compaction. */
  start(): void {
    const {
      clock,
      heartbeatPeriodMs = HEARTBEAT_PERIOD_MS_DEFAULT,
      vacuumPeriodMs,
      garbageThreshold,
    } = this.#options
    const expireMs = Math.max(1, Math.floor(heartbeatPeriodMs / 2))
    this.#stops.push(clock.every(expireMs, () => this.#expire(expireMs)))
    this.#stops.push(clock.every(LOST_MEMBERS_PERIOD_MS, () => void this.#lostMembers.look()))
    if (vacuumPeriodMs > 0) {
      this.#stops.push(clock.every(vacuumPeriodMs, () => void this.vacuum.run(garbageThreshold)))
    }
  }

  stop(): void {
    for (const stop of this.#stops.splice(0)) stop()
  }

  /** Why "there is none" cannot be said yet, or undefined. */
  unknowing(): string | undefined {
    if (this.topology.nodeCount === 0) return 'no volume server has reported yet, try again'
    return this.#warmUp.reason
  }

  /** Takes in a heartbeat. Throws `conflict` when the node's id or address is another live process's. */
  async takeHeartbeat(heartbeat: Heartbeat): Promise<void> {
    const { state, log } = this.#options
    const effect = this.topology.takeHeartbeat(heartbeat)
    if (effect === 'late') return
    // In the same turn, so that no assign runs in between: no key in these volumes may be given again.
    this.#keys.raiseAbove(this.topology.maxKey)
    const { url, nodeId } = heartbeat
    const volumes = heartbeat.volumes.length
    if (effect !== 'left') this.#warmUp.nodeReported(nodeId, volumes)
    if (effect === 'joined') log.info({ node: url, nodeId, volumes }, 'a volume server joined')
    if (effect === 'left') log.info({ node: url, nodeId }, 'a volume server left')
    if (this.topology.maxVolumeId > state.volumeIdMax) await state.noteVolumeId(this.topology.maxVolumeId)
    if (effect !== 'updated') await this.#noteNodes()
  }

  #expire(periodMs: number): void {
    // When it can hear again, the time between does not count: see `Topology.expire`.
    if (this.#options.isDeaf?.()) return
    const expired = this.topology.expire(periodMs)
    for (const { url, nodeId } of expired) {
      this.#options.log.warn(
        { node: url, nodeId },
        'a volume server is silent: it is out until it reports again',
      )
    }
  }

  /** While nodes are awaited the list that names them is kept. */
  async #noteNodes(): Promise<void> {
    if (this.#warmUp.reason !== undefined) return
    await this.state.noteNodes(this.topology.nodes().map((node) => node.nodeId))
  }

  /**
   * Deletes every volume of a collection. Throws `collection_not_found`, `unavailable` while not all is known, or
   * the first volume server's error, when the volumes that it names are still there.
   */
  async deleteCollection(collection: string): Promise<void> {
    const reason = this.unknowing()
    if (reason !== undefined) throw new StoreError('unavailable', reason)
    const volumes = this.topology.volumesOf(collection)
    if (collection === '' || volumes.length === 0) {
      throw new StoreError('collection_not_found', `collection ${collection.slice(0, 256)} does not exist`)
    }
    const failures: StoreError[] = []
    const worker = async () => {
      for (let next = volumes.pop(); next !== undefined; next = volumes.pop()) {
        const { node, info } = next
        try {
          await this.deleteVolume(node, info.id)
        } catch (error) {
          failures.push(toStoreError(error))
        }
      }
    }
    await Promise.all(Array.from({ length: DELETES_AT_ONCE }, worker))
    if (failures.length > 0) {
      throw new StoreError('io_error', `${failures.length} volumes were not deleted: ${failures[0]!.message}`)
    }
  }

  /** Deletes a volume of one node; that it is gone already is no error. Throws what the node answers. */
  async deleteVolume(node: Parameters<VolumeCalls['delete']>[0], id: number): Promise<void> {
    try {
      await this.calls.delete(node, id)
    } catch (error) {
      // Already gone is what was asked for.
      if (!(error instanceof StoreError) || error.code !== 'volume_not_found') throw error
    }
    for (const holder of this.topology.lookup(id)) {
      if (holder.nodeId === node.nodeId) this.topology.volumeGone(holder, id)
    }
  }
}
