/**
 * Removals that were acknowledged and that some server has missed: they are done there as soon as it answers. Else a path that
 * nobody reads would be there again when the others have forgotten that it was removed.
 */
import type { Clock } from '../../base/clock.ts'
import { SFSS_OWED_PERIOD_MS, SFSS_OWED_REMOVALS_MAX } from '../../base/limits.ts'
import type { Log } from '../../base/log.ts'
import type { FileNode } from './node-counters.ts'

export interface OwedRemovalsOptions<Removal> {
  /** Resolves when the server has it, or something newer; is called anew where it fails. */
  redo: (node: FileNode, key: string, removal: Removal) => Promise<void>
  clock: Clock
  log: Log
}

export class OwedRemovals<Removal> {
  readonly #options: OwedRemovalsOptions<Removal>
  readonly #owed = new Map<FileNode, Map<string, Removal>>()
  readonly #busy = new Set<FileNode>()
  readonly #stop: () => void
  #count = 0

  constructor(options: OwedRemovalsOptions<Removal>) {
    this.#options = options
    this.#stop = options.clock.every(SFSS_OWED_PERIOD_MS, () => this.#look())
  }

  /** In place of what is owed for that key. Where there is no room, it is left to those who read the path. */
  add(node: FileNode, key: string, removal: Removal): void {
    const owed = this.#owed.get(node) ?? new Map<string, Removal>()
    if (!owed.has(key)) {
      if (this.#count >= SFSS_OWED_REMOVALS_MAX) return
      if (++this.#count === SFSS_OWED_REMOVALS_MAX)
        this.#options.log.warn(
          { storage: node.client.address },
          'no more removals are remembered for storages that do not answer',
        )
    }
    this.#owed.set(node, owed.set(key, removal))
  }

  close(): void {
    this.#stop()
  }

  #look(): void {
    for (const [node, owed] of this.#owed) {
      if (owed.size > 0 && node.client.state === 'up' && !this.#busy.has(node)) void this.#pay(node, owed)
    }
  }

  /** In turn, until one fails: that is the last one at the next look, so that it holds up no other. */
  async #pay(node: FileNode, owed: Map<string, Removal>): Promise<void> {
    this.#busy.add(node)
    for (const [key, removal] of owed) {
      const isDone = await this.#redo(node, key, removal)
      const isLatest = owed.get(key) === removal
      if (isLatest) owed.delete(key)
      if (isLatest && isDone) this.#count--
      if (isLatest && !isDone) owed.set(key, removal)
      if (!isDone) break
    }
    this.#busy.delete(node)
  }

  async #redo(node: FileNode, key: string, removal: Removal): Promise<boolean> {
    try {
      await this.#options.redo(node, key, removal)
      return true
    } catch {
      node.counters.add('failures')
      return false
    }
  }
}
