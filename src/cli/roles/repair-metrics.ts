/** Metrics of the repair of erasure groups. */
import { Counter, Gauge, type Registry } from 'prom-client'
import type { RepairStatus } from '../../blobs/shard-repairer.ts'

const COUNTERS = {
  compared: ['keys_compared', 'Keys of erasure groups that were compared'],
  comparisons: ['comparisons', 'Comparisons of all keys of an erasure group'],
  rebuilt: ['shards_rebuilt', 'Shards that were made anew'],
  rebuiltBytes: ['bytes_rebuilt', 'Bytes of shards that were made anew'],
  removed: ['shards_removed', 'Shards of objects that were deleted elsewhere'],
  dead: ['dead_shards_removed', 'Shards of writes and deletes that failed half way'],
  failed: ['shards_failed', 'Attempts to make a shard anew that failed'],
} as const

const GAUGES = {
  groups: ['groups', 'Erasure groups with volumes here.'],
  filling: ['filling', 'Volumes here that take the place of lost ones and do not have everything yet.'],
  waiting: ['shards_waiting', 'Shards that are known to be missing or damaged here.'],
  lost: ['objects_lost', 'Objects of erasure groups with too few shards left.'],
} as const

type CounterName = keyof typeof COUNTERS
type GaugeName = keyof typeof GAUGES

export class RepairMetrics {
  readonly #counters: [CounterName, Counter][]
  readonly #gauges: [GaugeName, Gauge][]

  constructor(registry: Registry) {
    const registers = [registry]
    this.#counters = Object.entries(COUNTERS).map(([what, [name, help]]) => [
      what as CounterName,
      new Counter({ name: `cairn_repair_${name}_total`, help: `${help}, since the start.`, registers }),
    ])
    this.#gauges = Object.entries(GAUGES).map(([what, [name, help]]) => [
      what as GaugeName,
      new Gauge({ name: `cairn_repair_${name}`, help, registers }),
    ])
  }

  fill(status: RepairStatus): void {
    for (const [what, counter] of this.#counters) {
      counter.reset()
      counter.inc(status[what])
    }
    for (const [what, gauge] of this.#gauges) gauge.set(status[what])
  }
}
