/**
 * Keeps the erasure groups whole that have members in this process: visits each of them again and again, and mends the members
 * here from the others, wherever those are. Every process with volumes has one, so that nobody has to be told that something
 * is missing, and nothing that was told can be lost.
 */
import type { Clock } from '../base/clock.ts'
import { groupMembers, groupVolumeOf, isErasure, layoutOf, shardIndexOf } from '../base/erasure-id.ts'
import { toStoreError } from '../base/errors.ts'
import { SHARD_REPAIR_PERIOD_MS } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import { TimedMarks } from '../base/timed-marks.ts'
import type { ScrubDamage } from '../disk/scrub-volume.ts'
import type { ClusterClient } from './cluster-client.ts'
import type { GroupMember } from './erasure/group-member.ts'
import { GroupRepair, noRepairs, type RepairCounts } from './erasure/group-repair.ts'
import { ShardCodec } from './erasure/packed-shard.ts'
import { NODE_SILENCE_MS, RemoteMember } from './erasure/remote-member.ts'
import { VolumeMember } from './erasure/volume-member.ts'
import type { LocalVolumes } from './local-volumes.ts'
import type { FindVolume } from './volume-locator.ts'

export interface ShardRepairerOptions {
  volumes: LocalVolumes
  find: FindVolume
  client: ClusterClient
  /** Of this process. */
  nodeId: string
  keeper: RepairedVolumes
  /** All keys of a group are compared at least so often. */
  comparePeriodMs: number
  /** Keys that are compared or rebuilt at most in a second. */
  keysPerSecondMax: number
  clock: Clock
  log: Log
}

/** What repair asks of the keeper of the volumes. */
export interface RepairedVolumes {
  /** A volume that was made in the place of a lost one has everything now. */
  noteFilled(id: number): void
  /** Lets go of a volume if its files are not in its directory any more. */
  dropIfVanished(id: number): Promise<void>
}

export interface RepairStatus extends RepairCounts {
  /** Groups with members here. */
  groups: number
  /** Members here that are being filled. */
  filling: number
  /** Shards that are known to be missing or damaged, and not rebuilt yet. */
  waiting: number
  /** Objects with too few shards left. */
  lost: number
}

/** As much at once before it is waited for. */
const BURST_MS = 100
/** How often to look whether the files of volumes are still there. */
const VANISHED_LOOK_MS = 5_000

export class ShardRepairer {
  readonly #options: ShardRepairerOptions
  readonly #groups = new Map<number, GroupRepair>()
  readonly #codecs = new Map<string, ShardCodec>()
  readonly #counts = noRepairs()
  /** Volumes that were not where they were said to be. */
  readonly #misplaced = new Set<number>()
  readonly #silence: TimedMarks<string>
  /** Groups with damage that nobody has looked at yet. */
  readonly #damaged = new Set<number>()
  /** The trouble with a group that was logged last. */
  readonly #told = new Map<number, string>()
  #stopping = false
  #wake: (() => void) | undefined
  #isCalled = false
  #running: Promise<void> | undefined
  #paidUntilMs = 0
  #vanishedLookMs = 0

  constructor(options: ShardRepairerOptions) {
    this.#options = options
    this.#silence = new TimedMarks(options.clock, NODE_SILENCE_MS)
  }

  get status(): RepairStatus {
    const sum = (countOf: (group: GroupRepair) => number) =>
      [...this.#groups.values()].reduce((total, group) => total + countOf(group), 0)
    const filling = this.#ownVolumes().filter(
      (volume) => new VolumeMember(volume, shardIndexOf(volume.id)).filling,
    )
    return {
      ...this.#counts,
      groups: this.#groups.size,
      filling: filling.length,
      waiting: sum((group) => group.waiting),
      lost: sum((group) => group.lost),
    }
  }

  start(): void {
    this.#running = this.#run()
  }

  /** Ends within one step. Call it before the volumes are closed. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#wake?.()
    await this.#running
  }

  /** What the scrub found. Of erasure volumes, live records are rewritten at once. */
  noteDamage({ volumeId, key, live }: ScrubDamage): void {
    if (key !== undefined && live) this.noteLost(volumeId, key)
  }

  /** A shard cannot be read. */
  noteLost(volumeId: number, key: { keyHigh: number; keyLow: number }): void {
    if (!isErasure(volumeId)) return
    const group = groupVolumeOf(volumeId)
    this.#groupOf(group).noteDamage(shardIndexOf(volumeId), key)
    this.#damaged.add(group)
    this.#isCalled = true
    this.#wake?.()
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      this.#isCalled = false
      await this.#dropVanished()
      const groups = new Set(this.#ownVolumes().map(({ id }) => groupVolumeOf(id)))
      for (const known of this.#groups.keys()) if (!groups.has(known)) this.#groups.delete(known)
      for (const group of groups) {
        await this.#visitDamaged(groups)
        if (this.#stopping) return
        const repair = this.#groupOf(group)
        if (repair.isDue()) await this.#visit(repair)
      }
      if (!this.#isCalled) await this.#sleep(SHARD_REPAIR_PERIOD_MS)
    }
  }

  /** Damage is looked at first: others may take long. What is noted meanwhile has its turn after another group. */
  async #visitDamaged(groups: ReadonlySet<number>): Promise<void> {
    const damaged = [...this.#damaged].filter((group) => groups.has(group))
    this.#damaged.clear()
    for (const group of damaged) {
      if (this.#stopping) return
      await this.#visit(this.#groupOf(group))
    }
  }

  /** Files may go while they are open, such as with a disk that is pulled: then the volume is one to be made anew. */
  async #dropVanished(): Promise<void> {
    const { keeper, log, clock } = this.#options
    if (clock.monotonicMs() < this.#vanishedLookMs) return
    this.#vanishedLookMs = clock.monotonicMs() + VANISHED_LOOK_MS
    for (const { id } of this.#ownVolumes()) {
      try {
        await keeper.dropIfVanished(id)
      } catch (error) {
        const { code, message } = toStoreError(error)
        log.error({ volume: id, code }, `the files of a volume cannot be looked at: ${message}`)
      }
    }
  }

  #ownVolumes() {
    return this.#options.volumes.list().filter(({ id }) => isErasure(id))
  }

  #groupOf(group: number): GroupRepair {
    const known = this.#groups.get(group)
    if (known !== undefined) return known
    const { clock, log } = this.#options
    const made = new GroupRepair({
      ...{ group, clock, log, counts: this.#counts },
      codec: this.#codecOf(group),
      members: () => this.#members(group),
      pace: (keys) => this.#pace(keys),
    })
    this.#groups.set(group, made)
    return made
  }

  #codecOf(group: number): ShardCodec {
    const layout = layoutOf(group)
    const codec = this.#codecs.get(layout.name) ?? new ShardCodec(layout)
    this.#codecs.set(layout.name, codec)
    return codec
  }

  async #visit(group: GroupRepair): Promise<void> {
    const { comparePeriodMs, log } = this.#options
    try {
      await group.visit(comparePeriodMs)
      this.#told.delete(group.group)
    } catch (error) {
      const { code, message } = toStoreError(error)
      // The same trouble at each visit is one line.
      if (this.#told.get(group.group) !== code)
        log.error({ group: group.group, code }, `an erasure group is not repaired: ${message}`)
      this.#told.set(group.group, code)
    }
  }

  #members(group: number): Promise<(GroupMember | undefined)[]> {
    return Promise.all(groupMembers(group).map((volumeId, shard) => this.#member(volumeId, shard)))
  }

  /** Undefined while it cannot be reached. */
  async #member(volumeId: number, shard: number): Promise<GroupMember | undefined> {
    const { volumes, find, client, nodeId: ownNodeId, keeper } = this.#options
    try {
      const volume = volumes.get(volumeId)
      if (volume !== undefined)
        return new VolumeMember(volume, shard, async () => keeper.noteFilled(volumeId))
      const locations = await find(volumeId, this.#misplaced.delete(volumeId))
      const location = locations.find(({ nodeId }) => nodeId !== undefined && nodeId !== ownNodeId)
      if (location?.nodeId === undefined) {
        this.#misplaced.add(volumeId)
        return undefined
      }
      const { url, nodeId } = location
      const onFailure = () => void this.#misplaced.add(volumeId)
      const silence = this.#silence
      return new RemoteMember({ client, ownNodeId, nodeId, url, volumeId, shard, onFailure, silence })
    } catch {
      this.#misplaced.add(volumeId)
      return undefined
    }
  }

  /** Waits until the keys are paid for, and gives others their turn. False when the repair stops. */
  async #pace(keys: number): Promise<boolean> {
    const { clock, keysPerSecondMax } = this.#options
    const nowMs = clock.monotonicMs()
    this.#paidUntilMs = Math.max(this.#paidUntilMs, nowMs - BURST_MS) + (keys * 1000) / keysPerSecondMax
    if (this.#paidUntilMs > nowMs) await this.#sleep(this.#paidUntilMs - nowMs)
    else await new Promise<void>((resolve) => clock.soon(resolve))
    return !this.#stopping
  }

  async #sleep(delayMs: number): Promise<void> {
    if (this.#stopping) return
    await new Promise<void>((resolve) => {
      const cancel = this.#options.clock.after(delayMs, resolve)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
    this.#wake = undefined
  }
}
