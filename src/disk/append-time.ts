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
    const ms = this.#clock.nowMs()
    if (ms !== this.#ms) {
      this.#ms = ms
      this.#now = appendTimeOfMs(ms)
    }
    let { high, low } = this.#now
    const [lastHigh, lastLow] = [slot.get(WORD.appendNsHigh), slot.get(WORD.appendNsLow)]
    if (!isLater(high, low, lastHigh, lastLow)) {
      high = lastLow === 0xffffffff ? lastHigh + 1 : lastHigh
      low = lastLow === 0xffffffff ? 0 : lastLow + 1
    }
    slot.set(WORD.appendNsHigh, high)
    slot.set(WORD.appendNsLow, low)
    return { high, low }
  }
}
