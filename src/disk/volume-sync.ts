/** Group commit: one thread's writers to one volume share each fdatasync. */
import { assert } from '../base/assert.ts'
import { StoreError, toStoreError } from '../base/errors.ts'
import type { ThreadContext } from './thread-context.ts'
import { EXTENSION, volumeBaseName } from './volume-paths.ts'
import { FLAG, type VolumeSlot, WORD } from './volume-table.ts'

/** The `.dat` as this thread has opened it. */
interface OpenFile {
  readonly handle: number
  readonly generation: number
  /** Syncs under way. The last of them closes it if it was let go of meanwhile: its number could become another file's. */
  users: number
  released: boolean
}

/**
 * Syncs through a handle of this thread's own: the kernel tells each open file once that writing it back failed, so a
 * shared handle would let one thread swallow the failure that concerns another's records.
 */
export class VolumeSync {
  readonly #context: ThreadContext
  readonly #slot: VolumeSlot
  #file: OpenFile | undefined
  #written = 0
  #synced = 0
  #running = false
  #closed = false
  #waiting: PromiseWithResolvers<void> | undefined
  #lastWrites: (() => void)[] = []
  /** What other threads write from now on is synced by this one when they ask it to. */
  readonly #covers: boolean

  constructor(context: ThreadContext, slot: VolumeSlot, { covers } = { covers: false }) {
    this.#context = context
    this.#slot = slot
    this.#covers = covers
  }

  /** Call it before a write, so that the handle sees every failure from then on. Throws `io_error`. */
  prepare(): void {
    try {
      this.#present()
    } catch (error) {
      throw toStoreError(error)
    }
  }

  /** Says that something was written which `durable` shall cover. */
  noteWrite(): void {
    this.#written++
  }

  /** Resolves when all that was noted before the call is on disk; rejects with `io_error`. */
  durable(): Promise<void> {
    if (this.#written === this.#synced && !this.#slot.hasFlag(FLAG.failed)) return Promise.resolve()
    return this.#next()
  }

  /**
   * Calls `write`, which does not throw, when the next sync is about to begin, and begins one: so writers that wait for the same
   * sync may write together. Who writes there calls `durable`.
   */
  beforeNext(write: () => void): void {
    this.#lastWrites.push(write)
    // Whoever wants to know of a failure asks for himself.
    this.#next().catch(() => {})
  }

  #next(): Promise<void> {
    this.#waiting ??= Promise.withResolvers<void>()
    const { promise } = this.#waiting
    if (!this.#running) {
      // All whose requests this thread has already received write first, and share the sync.
      this.#running = true
      this.#context.clock.soon(() => void this.#run())
    }
    return promise
  }

  /** Brings all that was written by now to disk, while the thread waits. Not beside `durable`. Throws `io_error`. */
  syncNow(): void {
    assert(!this.#running, 'a sync that is under way answers for what was noted')
    try {
      this.#context.disk.fdatasyncSync(this.#present().handle)
      if (this.#slot.hasFlag(FLAG.failed)) throw notTrusted()
    } catch (error) {
      throw this.#failed(error)
    }
  }

  /** One fdatasync for this caller alone. */
  async durableAlone(): Promise<void> {
    const pin = this.#slot.pin()
    try {
      await this.#syncFile()
    } catch (error) {
      throw this.#failed(error)
    } finally {
      this.#slot.unpin(pin)
    }
    if (this.#slot.hasFlag(FLAG.failed)) throw notTrusted()
  }

  /** The generation of files that another thread covers; undefined: none does. What is written between two equal answers is covered. */
  get coveredGeneration(): number | undefined {
    const { generation } = this.#slot
    return this.#slot.get(WORD.coveredUpTo) === generation + 1 ? generation : undefined
  }

  /** Gives back the handle of a file that a compaction has replaced. */
  releaseStale(): void {
    if (this.#file !== undefined && this.#file.generation !== this.#slot.generation) this.#release()
  }

  close(): void {
    this.#closed = true
    this.#release()
  }

  #release(): void {
    const file = this.#file
    this.#file = undefined
    if (file === undefined) return
    file.released = true
    if (file.users === 0) this.#context.disk.closeSoon(file.handle)
  }

  async #syncFile(): Promise<void> {
    const file = this.#present()
    file.users++
    try {
      await this.#context.disk.fdatasync(file.handle)
    } finally {
      file.users--
      if (file.released && file.users === 0) this.#context.disk.closeSoon(file.handle)
    }
  }

  async #run(): Promise<void> {
    while (this.#waiting !== undefined) {
      this.#writeLast()
      const batch = this.#waiting
      const upTo = this.#written
      this.#waiting = undefined
      try {
        await this.#syncFile()
        if (this.#slot.hasFlag(FLAG.failed)) throw notTrusted()
        this.#synced = upTo
        batch.resolve()
      } catch (error) {
        batch.reject(this.#failed(error))
      }
    }
    this.#running = false
    // What was noted when it was closed has opened the file again.
    if (this.#closed) this.#release()
  }

  #writeLast(): void {
    const writes = this.#lastWrites
    if (writes.length === 0) return
    this.#lastWrites = []
    for (const write of writes) write()
  }

  /** A failed sync may have dropped any unsynced record: the volume takes no more writes. */
  #failed(error: unknown): StoreError {
    this.#slot.setFlag(FLAG.failed)
    const cause = toStoreError(error)
    return cause.code === 'io_error' ? cause : new StoreError('io_error', cause.message, { cause })
  }

  /** The file of the present generation. */
  #present(): OpenFile {
    const file = this.#file
    return file !== undefined && file.generation === this.#slot.generation ? file : this.#open()
  }

  #open(): OpenFile {
    const { disk, directories } = this.#context
    const generation = this.#slot.generation
    this.#release()
    const directory = directories[this.#slot.get(WORD.directory)] as string
    const name = volumeBaseName(this.#slot.collection, this.#slot.get(WORD.volumeId))
    const handle = disk.open(`${directory}/${name}${EXTENSION.dat}`, 'r+')
    this.#file = { handle, generation, users: 0, released: false }
    if (this.#covers) this.#slot.set(WORD.coveredUpTo, generation + 1)
    return this.#file
  }
}

function notTrusted(): StoreError {
  return new StoreError('io_error', 'the volume failed to sync and takes no more writes')
}
