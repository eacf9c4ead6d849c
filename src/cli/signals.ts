/** SIGINT and SIGTERM: the first asks for a graceful end, a later one ends the process at once. */
import type { Clock } from '../base/clock.ts'

/** npm passes on the signal that the terminal has sent to every process already: within this time both are one. */
const SAME_SIGNAL_MS = 500

/** A signal that aborts at the first SIGINT or SIGTERM; `endNow` is called for one that comes later. */
export function stopOnSignals(clock: Clock, endNow: () => void): AbortSignal {
  const stop = new AbortController()
  let firstMs: number | undefined
  const onSignal = (name: NodeJS.Signals) => {
    if (firstMs === undefined) {
      firstMs = clock.monotonicMs()
      stop.abort(name)
    } else if (clock.monotonicMs() - firstMs >= SAME_SIGNAL_MS) {
      endNow()
    }
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return stop.signal
}
