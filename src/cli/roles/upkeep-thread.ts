/** The thread that removes what objects no longer need: the bytes of what was deleted or replaced. */
import { workerData } from 'node:worker_threads'
import { systemClock } from '../../base/clock.ts'
import { createLog } from '../../base/log.ts'
import { offerCalls } from '../../base/port-calls.ts'
import { systemRandom } from '../../base/random.ts'
import { NO_VOLUMES } from '../../blobs/local-volumes.ts'
import { realDisk } from '../../disk/real-disk.ts'
import { createThreadContext } from '../../disk/thread-context.ts'
import { VolumeSet } from '../../disk/volume-set.ts'
import { GarbageCollector } from '../../objects/collector.ts'
import { descriptorWriter } from '../log-writer.ts'
import { clusterParts } from './cluster-parts.ts'
import { openBlobs, openMetadata } from './object-parts.ts'
import type { CollectorControl, CollectorThreadData } from './thread-data.ts'

const STDERR = 2
const data = workerData as CollectorThreadData
const { shared, sync, garbageDelayMs: delayMs } = data
const parts = { clock: systemClock, random: systemRandom }
const log = createLog({ ...data.log, write: descriptorWriter(STDERR) }).with({ role: 'collector' })
const volumes =
  shared === undefined ? undefined : new VolumeSet(createThreadContext(shared, realDisk, systemClock))
volumes?.watch()
const cluster = clusterParts({ ...data, ...parts })
const blobs = openBlobs({ cluster, volumes: volumes ?? NO_VOLUMES, sync, ...parts })
let stop = async () => {}

const control: CollectorControl = {
  async start() {
    const meta = await openMetadata(data.metadata, parts)
    const collector = new GarbageCollector({ meta, blobs, log, delayMs, clock: systemClock })
    collector.start()
    offerCalls(data.counts, {
      counts: async () => ({ ...collector.counts, waiting: await collector.waiting() }),
    })
    stop = async () => {
      await collector.stop()
      await meta.close()
    }
  },
  async stop() {
    await stop()
    blobs.close()
    volumes?.close()
  },
}
offerCalls(data.control, { ...control })
