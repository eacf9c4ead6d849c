/**
 * Moves a volume from one server to another: held at the source, copied and verified, adopted by the target, handed
 * over, released. Each step survives a crash of any of the three: what is held stays held, and the same call again goes
 * on from where it was. Nothing here writes: in doubt a volume stays read only, and the error says so.
 */
import { groupMembers, isErasure } from '../../base/erasure-id.ts'
import { StoreError, toStoreError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import { type HeldVolume, isSameCopy } from '../../disk/volume-copies.ts'
import type { Topology } from './topology.ts'
import { freeSlots, type TopologyNode } from './topology-node.ts'
import type { VolumeCalls } from './volume-calls.ts'

export interface VolumeMoverOptions {
  topology: Topology
  calls: VolumeCalls
  log: Log
  /** Why "there is no such volume" cannot be said yet. */
  unknowing: () => string | undefined
}

export interface MoveResult {
  from: string
  to: string
  /** Copied now; 0 when an earlier move had done that. */
  bytes: number
  /** Records that are damaged, here as there. */
  recordsDamaged: number
}

interface Move {
  id: number
  source: TopologyNode
  target: TopologyNode
}

export class VolumeMover {
  readonly #options: VolumeMoverOptions
  readonly #moving = new Set<number>()

  constructor(options: VolumeMoverOptions) {
    this.#options = options
  }

  isMoving(id: number): boolean {
    return this.#moving.has(id)
  }

  /**
   * Throws `volume_not_found`, `bad_request` (no such server), `conflict`, `no_writable_volume` (no room), and what the
   * servers answer.
   */
  async move(id: number, to: string): Promise<MoveResult> {
    const { topology, unknowing } = this.#options
    const target = topology.findNode(to)
    if (target === undefined) throw new StoreError('bad_request', `no volume server ${to.slice(0, 256)}`)
    const holders = topology.lookup(id)
    if (holders.length === 0) {
      const reason = unknowing()
      if (reason !== undefined) throw new StoreError('unavailable', reason)
      throw new StoreError('volume_not_found', `volume ${id} not found`)
    }
    if (this.#moving.has(id)) throw new StoreError('conflict', `volume ${id} is being moved`)
    const sources = holders.filter((node) => node !== target)
    if (sources.length > 1)
      throw new StoreError('conflict', `volume ${id} is on ${sources.length} other servers`)
    if (isErasure(id)) assertApart(id, target, sources[0])
    this.#moving.add(id)
    try {
      if (sources[0] === undefined) return await this.#finish(id, target)
      return await this.#run({ id, source: sources[0], target })
    } finally {
      this.#moving.delete(id)
    }
  }

  /** It is there, and nowhere else: at most the last step is missing. */
  async #finish(id: number, target: TopologyNode): Promise<MoveResult> {
    if (!target.volumes.get(id)?.moving)
      throw new StoreError('conflict', `volume ${id} is on ${target.url} already`)
    await this.#options.calls.release(target, id)
    return { from: target.url, to: target.url, bytes: 0, recordsDamaged: 0 }
  }

  async #run(move: Move): Promise<MoveResult> {
    const { calls, topology, log } = this.#options
    const { id, source, target } = move
    const isThere = target.volumes.has(id)
    if (!isThere && freeSlots(target) === 0)
      throw new StoreError('no_writable_volume', `${target.url} has no free place for a volume`)
    const names = { volume: id, from: source.url, to: target.url }
    log.info(names, 'moving a volume')
    const held = await calls.hold(source, id)
    const copied = isThere ? { bytes: 0, recordsDamaged: 0 } : await this.#copy(move, held)
    if (isThere) await this.#checkSame(move, held)
    topology.volumeArrived(target, id, source)
    await this.#after(`volume ${id} is on both servers, read only`, () => calls.handOver(source, held))
    topology.volumeGone(source, id)
    await this.#after(`volume ${id} is on ${target.url}, read only`, () => calls.release(target, id))
    log.info({ ...names, ...copied }, 'moved a volume')
    return { from: source.url, to: target.url, ...copied }
  }

  /** Until the target has adopted the copy, giving up means that nothing has happened. */
  async #copy(
    { id, source, target }: Move,
    held: HeldVolume,
  ): Promise<{ bytes: number; recordsDamaged: number }> {
    const { calls, log } = this.#options
    target.creating += 1
    try {
      const copied = await calls.fetch(target, id, source)
      if (!isSameCopy(await calls.describe(source, id), held))
        throw new StoreError('conflict', `volume ${id} changed while it was copied`)
      // What its opening cut off, the source has: then it must not be removed there.
      if (!isSameCopy(await calls.adopt(target, id), held))
        throw new StoreError('conflict', `${target.url} has opened another volume ${id} than was copied`)
      if (copied.recordsDamaged > 0)
        log.warn({ volume: id, ...copied }, 'the moved volume has damaged records, as it had before')
      return copied
    } catch (error) {
      await this.#giveUp({ id, source, target }, toStoreError(error))
      throw error
    } finally {
      target.creating -= 1
    }
  }

  /**
   * The source may take writes again only when it is sure that the target has nothing and adopts nothing: `drop` makes a
   * late `adopt` fail, and then there must be no volume there.
   */
  async #giveUp({ id, source, target }: Move, cause: StoreError): Promise<void> {
    const { calls, log } = this.#options
    log.warn({ volume: id, to: target.url, reason: cause.message }, 'gives up moving a volume')
    try {
      await calls.drop(target, id)
      const found = await calls.describe(target, id).then(
        () => true,
        (error: unknown) => !(error instanceof StoreError && error.code === 'volume_not_found'),
      )
      if (found) throw new StoreError('conflict', `${target.url} has the volume`)
      await calls.release(source, id)
    } catch (error) {
      throw new StoreError(
        cause.code,
        `${cause.message}; volume ${id} stays read only: move it again, or make it writable (${toStoreError(error).message})`,
        { cause },
      )
    }
  }

  async #checkSame({ id, target }: Move, held: HeldVolume): Promise<void> {
    const copy = await this.#options.calls.describe(target, id)
    if (isSameCopy(copy, held)) return
    throw new StoreError('conflict', `${target.url} has another volume ${id}: look at both, and delete one`)
  }

  async #after(state: string, step: () => Promise<void>): Promise<void> {
    try {
      await step()
    } catch (error) {
      const { code, message } = toStoreError(error)
      throw new StoreError(code, `${message}; ${state}: move it again to go on`, { cause: error })
    }
  }
}

/** Volumes of an erasure group do not come together on a server by a move. Throws `conflict`. */
function assertApart(id: number, target: TopologyNode, source: TopologyNode | undefined): void {
  const countOn = (node: TopologyNode) =>
    groupMembers(id).filter((member) => member !== id && node.volumes.has(member)).length
  if (source === undefined || countOn(target) <= countOn(source)) return
  throw new StoreError('conflict', `${target.url} has ${countOn(target)} other volumes of the group of ${id}`)
}
