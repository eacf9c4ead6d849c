/** How much a node does now, out of the sums that its heartbeats carry. */
import type { NodeRates } from '../cluster-overview.ts'
import type { VolumeCounter, VolumeTraffic } from '../volume-counters.ts'

const WINDOW_MS = 8_000
const SAMPLES_MAX = 64

export class TrafficWindow {
  readonly #samples: { atMs: number; totals: VolumeTraffic }[] = []

  /** `atMs`: monotonic, when the heartbeat came. */
  note(atMs: number, totals: VolumeTraffic): void {
    const last = this.#samples.at(-1)
    // A node that started again counts from 0.
    if (last !== undefined && totals.otherRequests < last.totals.otherRequests) this.#samples.length = 0
    this.#samples.push({ atMs, totals })
    while (this.#samples.length > 2 && atMs - this.#samples[1]!.atMs > WINDOW_MS) this.#samples.shift()
    if (this.#samples.length > SAMPLES_MAX) this.#samples.splice(1, 1)
  }

  /** Undefined until two heartbeats came. */
  rates(): NodeRates | undefined {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)]
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return undefined
    const seconds = (last.atMs - first.atMs) / 1000
    const rate = (name: VolumeCounter) => Math.max(0, last.totals[name] - first.totals[name]) / seconds
    return {
      readsPerS: rate('reads'),
      writesPerS: rate('writes'),
      deletesPerS: rate('deletes'),
      failuresPerS: rate('status5xx'),
      receivedBytesPerS: rate('bytesReceived'),
      sentBytesPerS: rate('bytesSent'),
    }
  }
}
