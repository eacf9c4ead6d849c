/** One thread's view of all volumes of the process. It sees volumes come and go by itself. */
import { StoreError } from '../base/errors.ts'
import type { ThreadContext } from './thread-context.ts'
import { Volume } from './volume.ts'
import { STATE, type VolumeSlot, WORD } from './volume-table.ts'

/** Makes a thread's view of a volume. */
export type VolumeOf = (context: ThreadContext, slot: VolumeSlot) => Volume

const WATCH_PERIOD_MS = 500

export class VolumeSet {
  readonly context: ThreadContext
  readonly #volumeOf: VolumeOf
  #version = -1
  #stopWatching: (() => void) | undefined
  #volumes = new Map<number, Volume>()
  #unopened = new Set<number>()
  /** Incarnation of the slot that each volume was made for. */
  #incarnations = new Map<Volume, number>()

  constructor(context: ThreadContext, volumeOf: VolumeOf = (_, slot) => new Volume(context, slot)) {
    this.context = context
    this.#volumeOf = volumeOf
  }

  /** Undefined: not here. Throws `io_error` when its files are here but could not be opened. */
  get(volumeId: number): Volume | undefined {
    if (this.#version !== this.context.table.version) this.#refresh()
    const volume = this.#volumes.get(volumeId)
    if (volume === undefined && this.#unopened.has(volumeId)) {
      throw new StoreError('io_error', `volume ${volumeId} could not be opened, see the log`)
    }
    return volume
  }

  /** Throws `io_error` unless a volume that `get` does not know is surely not here. */
  assertComplete(): void {
    if (!this.context.table.isComplete)
      throw new StoreError('io_error', 'a data directory failed, and the volume may be there')
  }

  /** Throws `io_error` unless `list` has all volumes that are here. */
  assertAllOpen(): void {
    this.assertComplete()
    if (this.#version !== this.context.table.version) this.#refresh()
    const [unopened] = this.#unopened
    if (unopened !== undefined) throw new StoreError('io_error', `volume ${unopened} could not be opened`)
  }

  list(): Volume[] {
    if (this.#version !== this.context.table.version) this.#refresh()
    return [...this.#volumes.values()]
  }

  /** Throws `io_error` where the volume is not here: what was written to it is gone. */
  getWritten(volumeId: number): Volume {
    const volume = this.get(volumeId)
    if (volume === undefined)
      throw new StoreError('io_error', `volume ${volumeId} is gone, and what was written to it`)
    return volume
  }

  /** Lets go of replaced and removed files within a second, also when no request comes by. Until `close`. */
  watch(): void {
    this.#stopWatching = this.context.clock.every(WATCH_PERIOD_MS, () => {
      if (this.#version !== this.context.table.version) this.#refresh()
    })
  }

  /** Gives back this thread's file handles. */
  close(): void {
    this.#stopWatching?.()
    for (const volume of this.#volumes.values()) volume.close()
    this.#volumes.clear()
    this.#version = -1
  }

  #refresh(): void {
    const { table } = this.context
    const version = table.version
    const volumes = new Map<number, Volume>()
    const incarnations = new Map<Volume, number>()
    const unopened = new Set<number>()
    for (let number = 0; number < table.slotCount; number++) {
      const slot = table.slot(number)
      const state = slot.get(WORD.state)
      if (state === STATE.unopened) unopened.add(slot.get(WORD.volumeId))
      if (state !== STATE.active) continue
      const incarnation = slot.get(WORD.incarnation)
      const id = slot.get(WORD.volumeId)
      const present = this.#volumes.get(id)
      const same = present?.slot.number === number && this.#incarnations.get(present) === incarnation
      const volume = same ? present : this.#volumeOf(this.context, slot)
      volume.releaseStale()
      volumes.set(id, volume)
      incarnations.set(volume, incarnation)
    }
    for (const volume of this.#volumes.values()) if (!incarnations.has(volume)) volume.close()
    this.#volumes = volumes
    this.#unopened = unopened
    this.#incarnations = incarnations
    this.#version = version
  }
}
