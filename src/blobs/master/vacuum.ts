/** Gives back the space of deleted files: has volumes with enough garbage compacted, one at a time on each node. */
import { toStoreError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { VolumeInfo } from '../../disk/volume-admin.ts'
import type { Topology } from './topology.ts'
import type { TopologyNode } from './topology-node.ts'
import type { VolumeCalls } from './volume-calls.ts'

export interface VacuumOptions {
  topology: Topology
  calls: Pick<VolumeCalls, 'compact'>
  log: Log
}

export class Vacuum {
  readonly #options: VacuumOptions
  #running: Promise<void> | undefined
  #next: { garbageThreshold: number; done: Promise<void> } | undefined

  constructor(options: VacuumOptions) {
    this.#options = options
  }

  /** True while volumes are being compacted. */
  get isRunning(): boolean {
    return this.#running !== undefined
  }

  /**
   * Compacts every volume whose share of deleted bytes is at least `garbageThreshold`, and resolves when done.
   * Never throws: a volume that could not be compacted is logged and left as it is. Only one run is under way;
   * those who ask meanwhile share the one after it, at the lowest threshold that they asked for.
   */
  run(garbageThreshold: number): Promise<void> {
    if (this.#running === undefined) return this.#start(garbageThreshold)
    if (this.#next !== undefined) {
      this.#next.garbageThreshold = Math.min(this.#next.garbageThreshold, garbageThreshold)
      return this.#next.done
    }
    const next = { garbageThreshold, done: Promise.resolve() }
    next.done = this.#running.then(() => {
      this.#next = undefined
      return this.run(next.garbageThreshold)
    })
    this.#next = next
    return next.done
  }

  #start(garbageThreshold: number): Promise<void> {
    const nodes = this.#options.topology.nodes()
    const run = Promise.all(nodes.map((node) => this.#compactNode(node, garbageThreshold)))
    this.#running = run.then(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #compactNode(node: TopologyNode, garbageThreshold: number): Promise<void> {
    const { calls, log } = this.#options
    for (const id of [...node.volumes.keys()]) {
      const info = node.volumes.get(id)
      if (info === undefined || !isCompactable(info)) continue
      try {
        const { compacted, garbageRatio } = await calls.compact(node, id, garbageThreshold)
        if (compacted) log.info({ node: node.url, volume: id, garbageRatio }, 'compacted a volume')
      } catch (error) {
        const { code, message } = toStoreError(error)
        log.warn({ node: node.url, volume: id, reason: message }, 'could not compact a volume')
        // The others on a node that does not answer would each wait as long.
        if (code === 'timeout' || code === 'unavailable' || code === 'io_error') return
      }
    }
  }
}

/** Whether there is enough garbage, the volume server decides: what it reported may be a heartbeat old. */
function isCompactable(info: VolumeInfo): boolean {
  // Compaction writes a failed volume anew.
  return info.failed || !info.readOnly
}
