/**
 * When a sync of what was set begins. Who is answered mostly sends the next set at once: a sync that begins as soon as the last one
 * ended takes those that came meanwhile, half of all, and the other half waits for the one behind it. So it waits for as many
 * packets as the last one answered or let wait; but not for long, not again soon where they came late or never, and not where they
 * bring much, since the thread had better look at some of them while others are synced.
 */
import type { Clock } from '../base/clock.ts'

/** From the end of a sync on: the least that a timer can tell from none, and as much again. */
const WAIT_MS = 2
/** A wait of more of the time that the last sync took was in vain: beginning at once would have answered sooner. */
const SYNCS_WAITED_MAX = 2
/** When so many in a row have waited in vain, some syncs wait for nobody, and twice as many each time that one has tried in vain again. */
const IN_VAIN_MAX = 3
const SYNCS_WITHOUT_MAX = 1_024
/** What those bring who are waited for. */
const BYTES_MAX = 64 * 1024

/** Packets that share a sync. */
export interface Gathered {
  packets: number
  sizeBytes: number
}

export class SyncGathering {
  readonly #clock: Clock
  readonly #begin: () => void
  /** For the next sync. */
  #waiting: Gathered = { packets: 0, sizeBytes: 0 }
  /** It is asked for. */
  #isAsked = false
  #running = 0
  /** Whether it may wait when the one that is under way ends. */
  #mayWait = true
  #expected = 0
  /** When the last sync began, and ended. */
  #begunMs = 0
  #endedMs = 0
  /** Syncs in a row that have waited too long. */
  #inVain = 0
  /** Syncs that wait for nobody. */
  #syncsWithout = 0
  #stopTimer: (() => void) | undefined

  /** `begin` asks for a sync. When that begins `begun` is called, and then `ended` with what that gave. */
  constructor(clock: Clock, begin: () => void) {
    this.#clock = clock
    this.#begin = begin
  }

  /** One more packet waits, with values of so many bytes. */
  join(sizeBytes: number): void {
    this.#waiting.packets++
    this.#waiting.sizeBytes += sizeBytes
    if (this.#isAsked || (this.#running > 0 && this.#mayWait)) return
    if (this.#lacksSome() && this.#clock.monotonicMs() - this.#endedMs < WAIT_MS) this.#setTimer()
    else this.#ask()
  }

  /** All who have joined are covered by the sync that begins now. */
  begun(): Gathered {
    const covered = this.#waiting
    const nowMs = this.#clock.monotonicMs()
    if (this.#expected > 1) this.#learn(nowMs)
    this.#begunMs = nowMs
    this.#waiting = { packets: 0, sizeBytes: 0 }
    this.#isAsked = false
    this.#running++
    return covered
  }

  /** Those whom a sync covered are about to be answered. */
  ended(covered: Gathered): void {
    this.#running--
    const waiting = this.#waiting
    this.#mayWait = this.#syncsWithout === 0 && covered.sizeBytes + waiting.sizeBytes <= BYTES_MAX
    if (this.#syncsWithout > 0) this.#syncsWithout--
    const isNext = !this.#isAsked && this.#running === 0
    this.#expected = isNext && this.#mayWait ? covered.packets + waiting.packets : 0
    this.#endedMs = this.#clock.monotonicMs()
    if (!isNext || waiting.packets === 0) return
    if (this.#lacksSome()) this.#setTimer()
    else this.#ask()
  }

  #lacksSome(): boolean {
    return this.#waiting.packets < this.#expected
  }

  /** Of the wait that is over. */
  #learn(nowMs: number): void {
    const isGood =
      !this.#lacksSome() && nowMs - this.#endedMs <= (this.#endedMs - this.#begunMs) * SYNCS_WAITED_MAX
    this.#inVain = isGood ? 0 : this.#inVain + 1
    if (this.#inVain >= IN_VAIN_MAX) this.#syncsWithout = Math.min(2 ** this.#inVain, SYNCS_WITHOUT_MAX)
  }

  #setTimer(): void {
    this.#stopTimer ??= this.#clock.after(WAIT_MS, () => this.#ask())
  }

  #ask(): void {
    this.#stopTimer?.()
    this.#stopTimer = undefined
    this.#isAsked = true
    this.#begin()
  }
}
