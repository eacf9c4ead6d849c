/**
 * Gives erasure groups back what they lost. A volume of a group that was nowhere for a while is made anew, apart from the others,
 * and marked as one to be filled: the server that has it then fills it by itself. Should the old one come back later, one of the
 * two is removed again. What is left of a group that was never whole is removed too.
 */
import type { Clock } from '../../base/clock.ts'
import { groupMembers } from '../../base/erasure-id.ts'
import { toStoreError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { ErasureGroup } from './erasure-groups.ts'
import type { ErasureGrowth } from './erasure-growth.ts'
import type { Topology } from './topology.ts'
import type { TopologyNode } from './topology-node.ts'

export interface LostMembersOptions {
  topology: Topology
  growth: Pick<ErasureGrowth, 'makeMember' | 'pickFor'>
  /** Removes a volume of one server. */
  remove: (node: TopologyNode, id: number) => Promise<void>
  clock: Clock
  log: Log
  /** Why "it is nowhere" cannot be said yet, or undefined. */
  unknowing: () => string | undefined
  /** A volume that was nowhere for so long is lost. */
  repairAfterMs: number
}

/** After a failure the same volume is tried again after this. */
const RETRY_MS = 10_000

export class LostMembers {
  readonly #options: LostMembersOptions
  /** Since when volumes are nowhere, or at two places; monotonic. */
  readonly #since = new Map<string, number>()
  #looking = false

  constructor(options: LostMembersOptions) {
    this.#options = options
  }

  /** Call it often. Does not throw. */
  async look(): Promise<void> {
    const { topology, unknowing } = this.#options
    if (this.#looking || unknowing() !== undefined) return
    this.#looking = true
    try {
      const seen = new Set<string>()
      for (const group of topology.erasureGroups()) await this.#lookAt(group, seen)
      for (const name of this.#since.keys()) if (!seen.has(name)) this.#since.delete(name)
    } finally {
      this.#looking = false
    }
  }

  async #lookAt(group: ErasureGroup, seen: Set<string>): Promise<void> {
    const { topology } = this.#options
    if (topology.isGrowing(group.volumeId)) return
    const present = group.members.filter((node) => node !== undefined).length
    if (present < group.layout.k && this.#isUnused(group) && this.#isDue(`unused ${group.volumeId}`, seen)) {
      for (const id of groupMembers(group.volumeId))
        await this.#remove(id, topology.lookup(id), 'a volume of a group that was never whole is removed')
      return
    }
    for (const id of groupMembers(group.volumeId)) {
      const holders = topology.lookup(id)
      if (holders.length === 0 && present >= group.layout.k && this.#isDue(`lost ${id}`, seen))
        await this.#makeAnew(group, id)
      else if (holders.length > 1 && this.#isDue(`double ${id}`, seen))
        await this.#removeSpare(group, id, holders)
    }
  }

  /** What is there of it never held anything: the group was being made when its server or the master went. */
  #isUnused(group: ErasureGroup): boolean {
    return groupMembers(group.volumeId).every((id) =>
      this.#options.topology.lookup(id).every((node) => {
        const info = node.volumes.get(id)
        return info?.fileCount === 0 && info.deleteCount === 0 && !isFilling(node, id)
      }),
    )
  }

  #isDue(name: string, seen: Set<string>): boolean {
    const { clock, repairAfterMs } = this.#options
    seen.add(name)
    const nowMs = clock.monotonicMs()
    const sinceMs = this.#since.get(name)
    if (sinceMs === undefined) this.#since.set(name, nowMs)
    return nowMs - (sinceMs ?? nowMs) >= repairAfterMs
  }

  async #makeAnew(group: ErasureGroup, id: number): Promise<void> {
    const { growth, log } = this.#options
    const [domain] = growth.pickFor(group.volumeId, 1) ?? []
    // Where there is no room apart from the others it waits for a server or directory, or for its own to come back.
    if (domain === undefined) return
    const where = { volume: id, node: domain.node.url, directory: domain.directory }
    try {
      await growth.makeMember(id, { ...group, filling: true }, domain)
      log.warn({ ...where, redundancy: group.layout.name }, 'a lost volume of a group is made anew')
    } catch (error) {
      this.#tryLater(`lost ${id}`)
      log.error({ ...where, reason: toStoreError(error).message }, 'a lost volume cannot be made anew')
    }
  }

  /**
   * Keeps the one that has everything and stands apart from the rest of its group. None is removed that has files which the kept
   * one may lack: repair first gives both what the other members have.
   */
  async #removeSpare(group: ErasureGroup, id: number, holders: readonly TopologyNode[]): Promise<void> {
    const rank = (node: TopologyNode) => {
      const others = groupMembers(group.volumeId).filter((each) => each !== id && node.volumes.has(each))
      return (isFilling(node, id) ? 1000 : 0) + others.length
    }
    const [kept, ...spare] = [...holders].sort((a, b) => rank(a) - rank(b))
    if (holders.some((node) => node.volumes.get(id)?.moving)) return
    // While nobody has everything nothing is removed.
    if (kept === undefined || isFilling(kept, id) || kept.volumes.get(id)?.failed !== false) return
    const keptFiles = filesOf(kept, id)
    const needless = spare.filter((node) => {
      const isPartial = isFilling(node, id) || node.volumes.get(id)?.failed !== false
      return isPartial ? filesOf(node, id) <= keptFiles : filesOf(node, id) === keptFiles
    })
    await this.#remove(id, needless, 'a second copy of a shard volume is removed')
  }

  async #remove(id: number, nodes: readonly TopologyNode[], why: string): Promise<void> {
    const { remove, log } = this.#options
    for (const node of nodes) {
      try {
        await remove(node, id)
        log.warn({ volume: id, node: node.url }, why)
      } catch (error) {
        this.#tryLater(`double ${id}`)
        const { message: reason } = toStoreError(error)
        log.error({ volume: id, node: node.url, reason }, 'a shard volume cannot be removed')
      }
    }
  }

  #tryLater(name: string): void {
    const { clock, repairAfterMs } = this.#options
    this.#since.set(name, clock.monotonicMs() - repairAfterMs + RETRY_MS)
  }
}

function isFilling(node: TopologyNode, id: number): boolean {
  return node.volumes.get(id)?.filling === true
}

/** That are not deleted. */
function filesOf(node: TopologyNode, id: number): number {
  const { fileCount = 0, deleteCount = 0 } = node.volumes.get(id) ?? {}
  return fileCount - deleteCount
}
