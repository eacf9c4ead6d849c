/**
 * The thread that looks after objects: it removes the bytes of what was deleted or replaced, looks for those that a crash left
 * without a name, and carries out the lifecycle rules of buckets.
 */
import { workerData } from 'node:worker_threads'
import { systemClock } from '../../base/clock.ts'
import { createLog } from '../../base/log.ts'
import { offerCalls } from '../../base/port-calls.ts'
import { systemRandom } from '../../base/random.ts'
import { descriptorWriter } from '../log-writer.ts'
import type { UpkeepControl, UpkeepThreadData } from './thread-data.ts'
import { Upkeep } from './upkeep.ts'

const STDERR = 2
const data = workerData as UpkeepThreadData
const log = createLog({ ...data.log, write: descriptorWriter(STDERR) }).with({ role: 'upkeep' })
const upkeep = new Upkeep(data, { log, clock: systemClock, random: systemRandom })

const control: UpkeepControl = {
  prepare: () => upkeep.prepare(),
  start: async () => upkeep.start(),
  stop: () => upkeep.stop(),
}
offerCalls(data.control, { ...control })
offerCalls(data.counts, { counts: () => upkeep.counts() })
