/** Metrics of the process itself: memory, processor, event loop, collector. */
import { collectDefaultMetrics, type Registry } from 'prom-client'

/** How often the lag of the event loop is looked at. The library's own 10 ms wake an idle thread a hundred times a second. */
const EVENT_LOOP_LOOK_MS = 100

export function collectProcessMetrics(register: Registry): void {
  collectDefaultMetrics({ register, eventLoopMonitoringPrecision: EVENT_LOOP_LOOK_MS })
}
