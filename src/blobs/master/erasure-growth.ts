/** Makes erasure groups: one volume for each shard, each on a server or at least in a directory of its own. */
import { type ErasureName, groupMembers, groupVolume, layoutNamed } from '../../base/erasure-id.ts'
import { StoreError, toStoreError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { Random } from '../../base/random.ts'
import type { MasterState } from '../master-state.ts'
import { type Domain, pickDomains } from './erasure-groups.ts'
import type { Layout, Topology } from './topology.ts'
import type { VolumeCalls } from './volume-calls.ts'

export interface ErasureGrowthOptions {
  topology: Topology
  state: Pick<MasterState, 'allocateErasureGroup'>
  calls: Pick<VolumeCalls, 'create' | 'delete'>
  random: Random
  log: Log
}

export class ErasureGrowth {
  readonly #options: ErasureGrowthOptions
  readonly #running = new Map<string, Promise<number>>()

  constructor(options: ErasureGrowthOptions) {
    this.#options = options
  }

  /** Whether a group is being made, or could be. */
  canGrow(layout: Layout, name: ErasureName): boolean {
    return this.#running.has(growthKey(layout, name)) || this.#pick(name) !== undefined
  }

  /** Makes a group, or waits for the one that is being made. Gives their number; throws as `makeGroup`. */
  growShared(layout: Layout, name: ErasureName): Promise<number> {
    const key = growthKey(layout, name)
    const running = this.#running.get(key)
    if (running !== undefined) return running
    const growth = this.makeGroup(layout, name)
      .then(() => 1)
      .finally(() => void this.#running.delete(key))
    this.#running.set(key, growth)
    return growth
  }

  /**
   * All volumes of a new group, or none; gives the volume of its first shard. Throws `no_writable_volume` when there are too few
   * servers and directories with room, and what a server threw.
   */
  async makeGroup(layout: Layout, name: ErasureName): Promise<number> {
    const domains = this.#pick(name)
    if (domains === undefined) {
      const { k, m } = layoutNamed(name)
      throw new StoreError('no_writable_volume', `${name} needs ${k + m} servers or directories with room`)
    }
    const { topology, state, log } = this.#options
    for (const { node } of domains) node.creating += 1
    let volumeId: number | undefined
    try {
      volumeId = groupVolume(name, await state.allocateErasureGroup(topology.erasureGroupsEnd))
      topology.setGrowing(volumeId, true)
      await this.#makeAll(groupMembers(volumeId), layout, domains)
      const places = domains.map(({ node, directory }) => `${node.url} ${directory}`)
      log.info({ volume: volumeId, redundancy: name, collection: layout.collection, places }, 'made a group')
      return volumeId
    } finally {
      for (const { node } of domains) node.creating -= 1
      if (volumeId !== undefined) topology.setGrowing(volumeId, false)
    }
  }

  async #makeAll(ids: readonly number[], layout: Layout, domains: readonly Domain[]): Promise<void> {
    const made = await Promise.allSettled(ids.map((id, at) => this.makeMember(id, layout, domains[at]!)))
    const failed = made.find((each) => each.status === 'rejected')
    if (failed === undefined) return
    const { calls, topology, log } = this.#options
    await Promise.all(
      ids.map(async (id, at) => {
        if (made[at]!.status === 'rejected') return
        try {
          await calls.delete(domains[at]!.node, id)
          topology.volumeGone(domains[at]!.node, id)
        } catch (error) {
          log.warn({ volume: id, reason: toStoreError(error).message }, 'an unused volume is left')
        }
      }),
    )
    throw toStoreError(failed.reason)
  }

  /** One volume of a group, new and empty; `filling`: in the place of a lost one. Throws what the server throws. */
  async makeMember(
    id: number,
    { collection, replicaPlacement, ttl, filling }: Layout & { filling?: boolean },
    { node, directory }: Domain,
  ): Promise<void> {
    const volume = { id, collection, replicaPlacement, ttl, directory, ...(filling ? { filling } : {}) }
    await this.#options.calls.create(node, volume)
    this.#options.topology.volumeMade(node, volume)
  }

  /** Where volumes of a group that are nowhere now could be made: apart from those that it has. Undefined: nowhere. */
  pickFor(volumeId: number, count: number): Domain[] | undefined {
    const { topology, random } = this.#options
    const taken: Domain[] = []
    for (const node of topology.nodes())
      for (const id of groupMembers(volumeId)) {
        const info = node.volumes.get(id)
        if (info !== undefined) taken.push({ node, directory: info.directory })
      }
    return pickDomains(topology.nodes(), { count, taken, random })
  }

  #pick(name: ErasureName): Domain[] | undefined {
    const { topology, random } = this.#options
    const { k, m } = layoutNamed(name)
    return pickDomains(topology.nodes(), { count: k + m, random })
  }
}

function growthKey({ collection, ttl }: Layout, name: ErasureName): string {
  return `${name} ${ttl} ${collection}`
}
