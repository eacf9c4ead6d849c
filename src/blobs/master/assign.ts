/**
 * Gives out file ids: a volume that can be written, a key that no one had, a cookie that no one can guess.
 * Assigns stay on one volume for a short burst, because writers that meet on a volume share its sync.
 */
import { assert } from '../../base/assert.ts'
import type { Clock } from '../../base/clock.ts'
import { layoutNamed } from '../../base/erasure-id.ts'
import { StoreError } from '../../base/errors.ts'
import type { Fid } from '../../base/fid.ts'
import {
  ASSIGN_WAIT_MS_MAX,
  ASSIGNS_WAITING_MAX,
  ERASURE_ASSIGN_WAIT_MS_MAX,
  ERASURE_GROW_RETRY_MS,
  GROW_COUNT_DEFAULT,
} from '../../base/limits.ts'
import type { Random } from '../../base/random.ts'
import type { Redundancy } from '../../base/redundancy.ts'
import { formatReplication } from '../../base/replication.ts'
import { formatTtl } from '../../base/ttl.ts'
import type { ErasureGrowth } from './erasure-growth.ts'
import type { VolumeGrowth } from './growth.ts'
import type { KeySequence } from './key-sequence.ts'
import { type Candidate, type Layout, layoutKey, type Place, type Topology } from './topology.ts'
import type { TopologyNode } from './topology-node.ts'

export interface AssignRequest {
  count: number
  layout: Layout
  /** For erasure groups `place` says nothing: they are spread over all of the cluster. */
  redundancy: Redundancy
  place: Place
  /** Volumes to make when none is writable; 0 means the default. */
  growCount: number
}

export interface Assignment {
  /** The first id; the others are the keys after it, with the same cookie. */
  fid: Fid
  count: number
  node: TopologyNode
  /** Of an erasure group: the server of each shard that can be written. */
  members: Candidate['members']
}

export interface AssignerOptions {
  topology: Topology
  growth: VolumeGrowth
  erasureGrowth: ErasureGrowth
  keys: KeySequence
  clock: Clock
  random: Random
  /** Why nothing may be decided yet, or undefined: set while a master that just started still learns. */
  warmingUp: () => string | undefined
  /** Ids for one volume in a row. */
  burstCount?: number
  /** Milliseconds for one volume in a row. */
  burstMs?: number
}

/** Where the assigns of one layout and place go now. */
interface Burst {
  candidates: Candidate[]
  generation: number
  index: number
  used: number
  endsMs: number
}

const BURST_COUNT_DEFAULT = 256
const WARM_UP_POLL_MS = 20
const BURST_MS_DEFAULT = 50
const BURSTS_MAX = 4096

export class Assigner {
  readonly #options: AssignerOptions
  readonly #burstCount: number
  readonly #burstMs: number
  readonly #bursts = new Map<string, Burst>()
  #waiting = 0

  constructor(options: AssignerOptions) {
    this.#options = options
    this.#burstCount = options.burstCount ?? BURST_COUNT_DEFAULT
    this.#burstMs = options.burstMs ?? BURST_MS_DEFAULT
  }

  /**
   * Throws `bad_request` (the place is unknown), `no_writable_volume` (and no room to make one), or `unavailable`
   * (nothing is known yet, or growth took too long: try again).
   */
  async assign(request: AssignRequest): Promise<Assignment> {
    assert(request.count > 0, 'an assign gives at least one id')
    const candidate = this.#pick(request) ?? (await this.#waitForVolume(request))
    const taken = this.#options.keys.take(request.count)
    const key = typeof taken === 'bigint' ? taken : await taken
    return {
      fid: {
        volumeId: candidate.volumeId,
        keyHigh: Number(key >> 32n),
        keyLow: Number(key & 0xffffffffn),
        cookie: this.#options.random.u32(),
      },
      count: request.count,
      node: candidate.node,
      members: candidate.members,
    }
  }

  #pick(request: AssignRequest): Candidate | undefined {
    const { topology, clock } = this.#options
    const { dataCenter, rack, dataNode } = request.place
    const key = `${request.redundancy}\0${layoutKey(request.layout)}\0${dataCenter}\0${rack}\0${dataNode}`
    let burst = this.#bursts.get(key)
    if (burst === undefined || burst.generation !== topology.generation) {
      burst = this.#newBurst(request, burst)
      if (burst === undefined) this.#bursts.delete(key)
      else this.#keepBurst(key, burst)
    }
    if (burst === undefined) return undefined
    const now = clock.monotonicMs()
    if (burst.used >= this.#burstCount || now >= burst.endsMs) {
      burst.index = (burst.index + 1) % burst.candidates.length
      burst.used = 0
      burst.endsMs = now + this.#burstMs
    }
    burst.used += request.count
    return burst.candidates[burst.index]
  }

  #newBurst(request: AssignRequest, old: Burst | undefined): Burst | undefined {
    const { clock, random } = this.#options
    const candidates = this.#candidates(request)
    if (candidates.length === 0) return undefined
    // A change elsewhere in the cluster does not cut a burst short.
    const current = old?.candidates[old.index]
    const same = candidates.findIndex(({ volumeId }) => volumeId === current?.volumeId)
    return {
      candidates,
      generation: this.#options.topology.generation,
      index: same >= 0 ? same : random.below(candidates.length),
      used: same >= 0 ? old!.used : 0,
      endsMs: same >= 0 ? old!.endsMs : clock.monotonicMs() + this.#burstMs,
    }
  }

  #candidates({ layout, place, redundancy }: AssignRequest): Candidate[] {
    const { topology } = this.#options
    return redundancy === 'none'
      ? topology.writable(layout, place)
      : topology.writableGroups(layout, redundancy)
  }

  #keepBurst(key: string, burst: Burst): void {
    if (this.#bursts.size >= BURSTS_MAX) this.#bursts.clear()
    this.#bursts.set(key, burst)
  }

  async #waitForVolume(request: AssignRequest): Promise<Candidate> {
    if (this.#waiting >= ASSIGNS_WAITING_MAX)
      throw new StoreError('unavailable', 'too many assigns wait for a volume')
    this.#waiting += 1
    try {
      const waitMs = request.redundancy === 'none' ? ASSIGN_WAIT_MS_MAX : ERASURE_ASSIGN_WAIT_MS_MAX
      const deadlineMs = this.#options.clock.monotonicMs() + waitMs
      await this.#waitForWarmUp(deadlineMs)
      for (;;) {
        const ready = this.#pick(request)
        if (ready !== undefined) return ready
        this.#checkCanGrow(request)
        const grown = await this.#growUntil(request, deadlineMs)
        if (!grown) throw new StoreError('unavailable', 'volumes are being made, try again')
      }
    } finally {
      this.#waiting -= 1
    }
  }

  /** Right after a start the volume servers report within a moment: worth waiting for, rather than refusing. */
  async #waitForWarmUp(deadlineMs: number): Promise<void> {
    const { clock, warmingUp } = this.#options
    while (warmingUp() !== undefined && clock.monotonicMs() < deadlineMs) await clock.sleep(WARM_UP_POLL_MS)
  }

  #checkCanGrow(request: AssignRequest): void {
    const { topology, growth, erasureGrowth, warmingUp } = this.#options
    const { layout, place, redundancy } = request
    const reason = warmingUp()
    if (reason !== undefined) throw new StoreError('unavailable', reason)
    if (redundancy !== 'none') {
      if (erasureGrowth.canGrow(layout, redundancy)) return
      const { k, m } = layoutNamed(redundancy)
      throw new StoreError(
        'no_writable_volume',
        `No writable ${redundancy} volumes, and not the ${k + m} servers or directories with room to make some`,
      )
    }
    topology.checkPlace(place)
    if (!growth.canGrow(layout, place)) {
      throw new StoreError(
        'no_writable_volume',
        `No writable volumes and no free volumes left for ${describe(request)}`,
      )
    }
  }

  /** False when the time is over. */
  async #growUntil(request: AssignRequest, deadlineMs: number): Promise<boolean> {
    const { clock } = this.#options
    const leftMs = deadlineMs - clock.monotonicMs()
    if (leftMs <= 0) return false
    const growing = this.#grow(request)
    const timer: { cancel?: () => void } = {}
    const timeUp = new Promise<false>((resolve) => {
      timer.cancel = clock.after(leftMs, () => resolve(false))
    })
    try {
      return await Promise.race([growing.then(() => true), timeUp])
    } catch (error) {
      const code = error instanceof StoreError ? error.code : undefined
      if (code === 'no_writable_volume') return true
      if (request.redundancy !== 'none' && code === 'timeout') {
        // One of several servers was slow: it is not the next time, or the next group does without it.
        await clock.sleep(ERASURE_GROW_RETRY_MS)
        return true
      }
      throw new StoreError('unavailable', `no volume could be made: ${(error as Error).message}`, {
        cause: error,
      })
    } finally {
      timer.cancel?.()
    }
  }

  #grow({ layout, place, redundancy, growCount }: AssignRequest): Promise<number> {
    const { growth, erasureGrowth } = this.#options
    if (redundancy !== 'none') return erasureGrowth.growShared(layout, redundancy)
    return growth.growShared({ layout, place, count: growCount > 0 ? growCount : GROW_COUNT_DEFAULT })
  }
}

function describe({ layout, place }: AssignRequest): string {
  const { collection, replicaPlacement, ttl } = layout
  return JSON.stringify({
    collection,
    replication: formatReplication(replicaPlacement),
    ttl: formatTtl(ttl),
    dataCenter: place.dataCenter || undefined,
    rack: place.rack || undefined,
    dataNode: place.dataNode || undefined,
  })
}
