/** Append times: nanoseconds since 1970 as two unsigned halves, never twice the same in a volume. */
import type { Clock } from '../base/clock.ts'
import { type VolumeSlot, WORD } from './volume-table.ts'

export interface AppendTime {
  high: number
  low: number
}

/** Milliseconds as nanoseconds in two halves. */
function appendTimeOfMs(ms: number): AppendTime {
  const ns = BigInt(ms) * 1_000_000n
  return { high: Number(ns >> 32n), low: Number(ns & 0xffffffffn) }
}

export function appendTimeToMs(time: AppendTime): number {
  return (time.high * 2 ** 32 + time.low) / 1e6
}

export function isLater(aHigh: number, aLow: number, bHigh: number, bLow: number): boolean {
  return aHigh > bHigh || (aHigh === bHigh && aLow > bLow)
}

/** So many nanoseconds later, fewer than 2^32. */
export function laterTime({ high, low }: AppendTime, ns: number): AppendTime {
  const sum = low + ns
  return sum < 2 ** 32 ? { high, low: sum } : { high: high + 1, low: sum - 2 ** 32 }
}

/** A hybrid logical clock: the wall clock where it moved on, else the last time plus one. */
export class AppendClock {
  readonly #clock: Clock
  #ms = -1
  #now: AppendTime = { high: 0, low: 0 }

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The time of the next record of this volume; call it, and use it, under the volume's lock. */
  next(slot: VolumeSlot): AppendTime {
    return this.nextMany(slot, 1)
  }

  /** Of the first of as many records; those of the others are one `laterTime` than another. */
  nextMany(slot: VolumeSlot, count: number): AppendTime {
    const ms = this.#clock.nowMs()
    if (ms !== this.#ms) {
      this.#ms = ms
      this.#now = appendTimeOfMs(ms)
    }
    const before = { high: slot.get(WORD.appendNsHigh), low: slot.get(WORD.appendNsLow) }
    const { high, low } = this.#now
    const first = isLater(high, low, before.high, before.low) ? this.#now : laterTime(before, 1)
    const last = laterTime(first, count - 1)
    slot.set(WORD.appendNsHigh, last.high)
    slot.set(WORD.appendNsLow, last.low)
    return first
  }
}
