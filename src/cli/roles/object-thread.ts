/** One of the threads of a process without volumes that serves names: its object layer reaches volumes over the network. */
import { workerData } from 'node:worker_threads'
import { systemClock } from '../../base/clock.ts'
import { createLog } from '../../base/log.ts'
import { offerCalls } from '../../base/port-calls.ts'
import { systemRandom } from '../../base/random.ts'
import { NO_VOLUMES } from '../../blobs/local-volumes.ts'
import { BodyBudget } from '../../net/body.ts'
import { descriptorWriter } from '../log-writer.ts'
import { clusterParts } from './cluster-parts.ts'
import { ObjectLayer } from './object-layer.ts'
import type { ObjectControl, ObjectThreadData } from './thread-data.ts'

const STDERR = 2
const data = workerData as ObjectThreadData
const { sync, settings, secrets, thread } = data
const [clock, random] = [systemClock, systemRandom]
const log = createLog({ ...data.log, write: descriptorWriter(STDERR) })
const cluster = clusterParts({ ...data, clock, random, log })
const logsRequests = data.log.level === 'debug'
const bodyBudget = new BodyBudget(data.budget, data.bodyBytesInFlightMax)
let objects: ObjectLayer | undefined

const control: ObjectControl = {
  async openObjects() {
    const parts = { cluster, volumes: NO_VOLUMES, sync, settings, secrets, thread, bodyBudget, logsRequests }
    objects = await ObjectLayer.open(data.objects, { ...parts, log, clock, random })
  },
  listen: (door, at) => objects!.listen(door, { ...at, reusePort: true }),
  async setIdentities(file) {
    objects?.setIdentities(file)
  },
  async setEncryptionKeys(text) {
    objects?.setEncryptionKeys(text)
  },
  async closeObjects() {
    await objects?.close()
  },
  async stop() {
    await cluster.close()
  },
}
offerCalls(data.control, { ...control })
