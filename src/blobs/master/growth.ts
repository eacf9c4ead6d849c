/** Makes volumes where there is room, when none of a layout can be written or an administrator asks. */
import { assert } from '../../base/assert.ts'
import { StoreError, toStoreError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { Random } from '../../base/random.ts'
import type { MasterState } from '../master-state.ts'
import { type Layout, layoutKey, type Place, type Topology } from './topology.ts'
import { freeSlots, type TopologyNode } from './topology-node.ts'
import type { VolumeCalls } from './volume-calls.ts'

export interface GrowRequest {
  layout: Layout
  place: Place
  /** Volumes to make. */
  count: number
}

export interface GrowthOptions {
  topology: Topology
  state: Pick<MasterState, 'allocateVolumeId'>
  calls: Pick<VolumeCalls, 'create'>
  random: Random
  log: Log
}

/** Volumes being made at a time, for one request. */
const CREATES_AT_ONCE = 8
/** Growths under way at a time. */
const GROWTHS_MAX = 1024

export class VolumeGrowth {
  readonly #options: GrowthOptions
  readonly #running = new Map<string, Promise<number>>()

  constructor(options: GrowthOptions) {
    this.#options = options
  }

  /** Volumes that could be made within a place. */
  room(place: Place): number {
    return this.#options.topology.nodesWithin(place).reduce((sum, node) => sum + freeSlots(node), 0)
  }

  /** Whether volumes of this layout and place are being made, or could be. */
  canGrow(layout: Layout, place: Place): boolean {
    return this.#running.has(growthKey(layout, place)) || this.room(place) > 0
  }

  /** The growth of this layout and place that is under way, or a new one. Resolves to the volumes made; throws as `grow`. */
  growShared(request: GrowRequest): Promise<number> {
    const key = growthKey(request.layout, request.place)
    const running = this.#running.get(key)
    if (running !== undefined) return running
    if (this.#running.size >= GROWTHS_MAX)
      throw new StoreError('unavailable', 'too many volumes are being made')
    const growth = this.grow(request).finally(() => void this.#running.delete(key))
    this.#running.set(key, growth)
    return growth
  }

  /**
   * Makes up to `count` volumes on the nodes with the most room. Resolves to how many were made, at least one;
   * throws the last node's error when none was, `no_writable_volume` when there is no room.
   */
  async grow(request: GrowRequest): Promise<number> {
    assert(request.count > 0, 'growth makes volumes')
    const refusing = new Set<TopologyNode>()
    let [made, started, lastError]: [number, number, StoreError | undefined] = [0, 0, undefined]
    const worker = async () => {
      while (started < request.count) {
        const node = this.#pickNode(request.place, refusing)
        if (node === undefined) return
        started += 1
        try {
          await this.#create(node, request.layout)
          made += 1
        } catch (error) {
          // Another node may still take it: only this one is out for the rest of this growth.
          refusing.add(node)
          started -= 1
          lastError = toStoreError(error)
          this.#options.log.warn(
            { node: node.url, reason: lastError.message },
            'a node could not make a volume',
          )
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(CREATES_AT_ONCE, request.count) }, worker))
    if (made === 0)
      throw lastError ?? new StoreError('no_writable_volume', 'no node has room for another volume')
    return made
  }

  async #create(node: TopologyNode, layout: Layout): Promise<void> {
    const { topology, state, calls, log } = this.#options
    node.creating += 1
    try {
      const id = await state.allocateVolumeId(topology.maxVolumeId)
      const volume = { id, ...layout }
      await calls.create(node, volume)
      topology.volumeMade(node, volume)
      log.info({ node: node.url, volume: id, collection: layout.collection }, 'made a volume')
    } finally {
      node.creating -= 1
    }
  }

  /** By chance, in proportion to free slots: servers of different sizes fill evenly, and several masters agree. */
  #pickNode(place: Place, refusing: Set<TopologyNode>): TopologyNode | undefined {
    const { topology, random } = this.#options
    const nodes = topology.nodesWithin(place).filter((node) => !refusing.has(node) && freeSlots(node) > 0)
    // A node that is already making one waits until the others have had theirs.
    const fewest = Math.min(...nodes.map((node) => node.creating))
    const calm = nodes.filter((node) => node.creating === fewest)
    const total = calm.reduce((sum, node) => sum + freeSlots(node), 0)
    let ticket = total > 0 ? random.below(total) : 0
    for (const node of calm) {
      ticket -= freeSlots(node)
      if (ticket < 0) return node
    }
    return undefined
  }
}

function growthKey(layout: Layout, place: Place): string {
  return [layoutKey(layout), place.dataCenter, place.rack, place.dataNode].join('\0')
}
