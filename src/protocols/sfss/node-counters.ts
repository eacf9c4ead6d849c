/** The servers that keep copies, and what the threads of this door did with each. */
import { SharedCounters } from '../../base/shared-counters.ts'
import type { MemcachedClient } from '../../net/memcached-client.ts'

const NAMES = [
  'reads',
  'hits',
  'writes',
  /** Requests that it did not answer, or refused. */
  'failures',
  /** Copies that were not what had been written. */
  'damaged',
  /** Copies that were missing, old or damaged, and are right now. */
  'repaired',
] as const

export type NodeCount = (typeof NAMES)[number]

export class NodeCounters extends SharedCounters<NodeCount> {
  static share(threads: number, nodes: number): SharedArrayBuffer {
    return SharedCounters.memory(NAMES, threads * nodes)
  }

  constructor(shared: SharedArrayBuffer, place: number) {
    super(NAMES, shared, place)
  }

  /** Sums over all threads, for each of `nodes`. Places are those of the first thread, then those of the next. */
  static totalsOf(shared: SharedArrayBuffer, nodes: number): Record<NodeCount, number>[] {
    const places = new NodeCounters(shared, 0).places
    const totals = Array.from({ length: nodes }, (_, node) => new NodeCounters(shared, node).own())
    for (let place = nodes; place < places; place++) {
      const [total, own] = [totals[place % nodes]!, new NodeCounters(shared, place).own()]
      for (const name of NAMES) total[name] += own[name]
    }
    return totals
  }
}

/** A server, and where this thread counts what it did with it. */
export interface FileNode {
  client: MemcachedClient
  counters: NodeCounters
}
