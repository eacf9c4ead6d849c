/**
 * What a master that just started cannot know yet. Until the nodes that it knew have reported, "there is no such
 * volume" or "no such data center" could be wrong, and a volume id could be given that an unseen node has.
 */
import type { Clock } from '../../base/clock.ts'
import { HEARTBEAT_PERIODS_MISSED_MAX } from '../../base/limits.ts'

export interface WarmUpOptions {
  clock: Clock
  /** Nodes that were members when the master stopped. */
  knownNodeIds: readonly string[]
  /** The master has no memory: it may have been started beside servers that already hold volumes. */
  fresh: boolean
  periodMs: number
}

/** Heartbeat periods that a master without memory waits for others, once one server reported volumes. */
const ADOPTION_PERIODS = 2

export class WarmUp {
  readonly #options: WarmUpOptions
  readonly #awaited: Set<string>
  #endsMs: number
  #isOver = false
  #nodeSeen = false

  constructor(options: WarmUpOptions) {
    this.#options = options
    this.#awaited = new Set(options.knownNodeIds)
    this.#endsMs = options.clock.monotonicMs() + options.periodMs * HEARTBEAT_PERIODS_MISSED_MAX
  }

  /** A node reported, with so many volumes. */
  nodeReported(nodeId: string, volumeCount: number): void {
    const { fresh, clock, periodMs } = this.#options
    if (!this.#nodeSeen && fresh) {
      this.#endsMs = volumeCount > 0 ? clock.monotonicMs() + periodMs * ADOPTION_PERIODS : clock.monotonicMs()
    }
    this.#nodeSeen = true
    this.#awaited.delete(nodeId)
    if (!fresh && this.#awaited.size === 0) this.#isOver = true
  }

  /** Why the answer "there is none" cannot be given yet; undefined when it can. */
  get reason(): string | undefined {
    if (!this.#nodeSeen) return 'no volume server has reported yet, try again'
    if (this.#isOver) return undefined
    if (this.#options.clock.monotonicMs() < this.#endsMs)
      return 'volume servers are still reporting, try again'
    this.#isOver = true
    return undefined
  }
}
