/**
 * The scrub: reads every record of every volume again and again, at a limited rate, so that damage is found before somebody
 * needs the record. It runs on the keeper's thread, remembers how far it is, and goes on there after a restart. What is to
 * happen with damage, beyond saying so, is the caller's: `onDamage`.
 */
import type { Clock } from '../base/clock.ts'
import { toStoreError } from '../base/errors.ts'
import { SCRUB_DAMAGE_NOTED_MAX, SCRUB_SAVE_PERIOD_MS } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import { loadScrubState, type ScrubState, saveScrubState } from './scrub-state.ts'
import { type FollowNeedle, type ScrubDamage, type ScrubPosition, VolumeScrub } from './scrub-volume.ts'
import type { ThreadContext } from './thread-context.ts'
import { STATE, type VolumeSlot, WORD } from './volume-table.ts'

export interface ScrubOptions {
  log: Log
  /** 0: no scrub. */
  rateBytesPerSecond: number
  /** A cycle begins at the earliest so long after the one before began. */
  periodMs: number
  /** Called once for each damaged record, after it was logged. Repair has its place here. */
  onDamage?: (damage: ScrubDamage) => void
  follow?: FollowNeedle | undefined
}

/** Since the start of the process, but for the position. */
export interface ScrubStatus {
  records: number
  bytes: number
  /** Damaged records and files; each counts once. */
  damaged: number
  cycles: number
  /** How much of the present cycle is done, 0 to 1. */
  position: number
}

/** No more than this is owed to the reader when nothing was read for a while. */
const BURST_MS = 50
const RETRY_MS = 60_000

export class Scrubber {
  readonly #context: ThreadContext
  readonly #options: ScrubOptions
  readonly #clock: Clock
  readonly #status: ScrubStatus = { records: 0, bytes: 0, damaged: 0, cycles: 0, position: 0 }
  /** Damage that was reported, by volume, revision, file and place. */
  readonly #reported = new Set<string>()
  #state: ScrubState = { cycleStartMs: 0, cycleDone: false, volumeId: 0, position: undefined }
  #savedAtMs = Number.NEGATIVE_INFINITY
  #saveFailed = false
  /** When the bytes read so far are paid for. */
  #paidUntilMs = 0
  #stopping = false
  #wake: (() => void) | undefined
  #running: Promise<void> | undefined
  /** Size of the volumes of this cycle: all of them, and those that are done. */
  #cycleUnits = { all: 0, done: 0 }

  constructor(context: ThreadContext, options: ScrubOptions) {
    this.#context = context
    this.#options = options
    this.#clock = context.clock
  }

  get status(): ScrubStatus {
    return { ...this.#status }
  }

  /** Scrubs from now on, where the last process stopped. */
  start(): void {
    if (this.#options.rateBytesPerSecond === 0) return
    this.#running = this.#run()
  }

  /** Ends within one read, and notes the position. Call it before the keeper closes the volumes. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#wake?.()
    await this.#running
  }

  async #run(): Promise<void> {
    const { disk } = this.#context
    this.#state = loadScrubState(disk, this.#directory) ?? this.#state
    while (!this.#stopping) {
      try {
        if (this.#state.cycleDone) {
          await this.#waitForCycle()
          if (this.#stopping) break
          this.#beginCycle()
        } else if (this.#state.cycleStartMs === 0) this.#beginCycle()
        await this.#cycle()
      } catch (error) {
        this.#options.log.error({ error: toStoreError(error) }, 'the scrub met an error and goes on later')
        await this.#sleep(RETRY_MS)
      }
    }
    await this.#save()
  }

  get #directory(): string {
    return this.#context.directories[0] as string
  }

  #beginCycle(): void {
    this.#state = { cycleStartMs: this.#clock.nowMs(), cycleDone: false, volumeId: 0, position: undefined }
  }

  async #waitForCycle(): Promise<void> {
    const { periodMs } = this.#options
    const leftMs = this.#state.cycleStartMs + periodMs - this.#clock.nowMs()
    // A clock that was set back does not keep the scrub waiting for ever. With a period of 0 it breathes a little.
    await this.#sleep(Math.max(1_000, Math.min(periodMs, leftMs)))
  }

  /** Every volume from the noted one on, in the order of their ids. */
  async #cycle(): Promise<void> {
    const slots = this.#slots()
    const units = (slot: VolumeSlot) => slot.get(WORD.tailUnits)
    const todo = slots.filter((slot) => slot.get(WORD.volumeId) >= this.#state.volumeId)
    const sum = (list: VolumeSlot[]) => list.reduce((total, slot) => total + units(slot), 0)
    this.#cycleUnits = { all: sum(slots), done: sum(slots) - sum(todo) }
    for (const slot of todo) {
      const volumeUnits = units(slot)
      await this.#scrubVolume(slot)
      if (this.#stopping) return
      this.#cycleUnits.done += volumeUnits
      this.#state.position = undefined
      this.#state.volumeId++
    }
    this.#state.cycleDone = true
    this.#status.cycles++
    this.#status.position = 1
    this.#options.log.info({ ...this.#status }, 'scrub cycle done')
    await this.#save()
  }

  #slots(): VolumeSlot[] {
    const { table } = this.#context
    return Array.from({ length: table.slotCount }, (_, number) => table.slot(number))
      .filter((slot) => slot.get(WORD.state) === STATE.active)
      .sort((a, b) => a.get(WORD.volumeId) - b.get(WORD.volumeId))
  }

  async #scrubVolume(slot: VolumeSlot): Promise<void> {
    const volumeId = slot.get(WORD.volumeId)
    const from = this.#state.volumeId === volumeId ? this.#state.position : undefined
    this.#state.volumeId = volumeId
    this.#state.position = from
    const scrub = new VolumeScrub(this.#context, slot, {
      onDamage: (damage) => this.#noteDamage(damage, slot.get(WORD.compactionRevision)),
      onProgress: (records, position) => this.#noteProgress(slot, records, position),
      pace: (bytes) => this.#pace(bytes),
      follow: this.#options.follow,
    })
    await scrub.run(from)
  }

  #noteProgress(slot: VolumeSlot, records: number, position: ScrubPosition): void {
    this.#status.records += records
    this.#state.position = position
    const share = position.idxEntries / Math.max(1, slot.get(WORD.idxEntries))
    const units = this.#cycleUnits.done + share * slot.get(WORD.tailUnits)
    this.#status.position = Math.min(1, units / Math.max(1, this.#cycleUnits.all))
  }

  #noteDamage(damage: ScrubDamage, compactionRevision: number): void {
    const { volumeId, file, offsetBytes, key, lengthBytes, live, reason } = damage
    const name = `${volumeId}/${compactionRevision}${file}/${offsetBytes}`
    if (this.#reported.has(name)) return
    this.#status.damaged++
    if (this.#reported.size >= SCRUB_DAMAGE_NOTED_MAX) return
    this.#reported.add(name)
    const keyText = key === undefined ? undefined : hexKey(key)
    this.#options.log.error(
      { volume: volumeId, file, offset: offsetBytes, key: keyText, length: lengthBytes, live, reason },
      'the scrub found damage',
    )
    this.#options.onDamage?.(damage)
  }

  /** Waits until the bytes are paid for; also gives others their turn. False when the scrub stops. */
  async #pace(bytes: number): Promise<boolean> {
    this.#status.bytes += bytes
    const nowMs = this.#clock.monotonicMs()
    const costMs = (bytes * 1000) / this.#options.rateBytesPerSecond
    this.#paidUntilMs = Math.max(this.#paidUntilMs, nowMs - BURST_MS) + costMs
    if (this.#paidUntilMs > nowMs) await this.#sleep(this.#paidUntilMs - nowMs)
    else await new Promise<void>((resolve) => this.#clock.soon(resolve))
    if (!this.#stopping && nowMs - this.#savedAtMs >= SCRUB_SAVE_PERIOD_MS) await this.#save()
    return !this.#stopping
  }

  async #sleep(delayMs: number): Promise<void> {
    if (this.#stopping) return
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(Math.min(delayMs, 2 ** 30), resolve)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
    this.#wake = undefined
  }

  async #save(): Promise<void> {
    this.#savedAtMs = this.#clock.monotonicMs()
    try {
      await saveScrubState(this.#context.disk, this.#directory, this.#state)
      this.#saveFailed = false
    } catch (error) {
      if (!this.#saveFailed)
        this.#options.log.warn({ error: toStoreError(error) }, 'the position of the scrub cannot be noted')
      this.#saveFailed = true
    }
  }
}

function hexKey({ keyHigh, keyLow }: { keyHigh: number; keyLow: number }): string {
  return keyHigh === 0 ? keyLow.toString(16) : keyHigh.toString(16) + keyLow.toString(16).padStart(8, '0')
}
