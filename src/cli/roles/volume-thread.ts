/**
 * One of the threads that serve: the volume door, and with an object layer the doors of names. All of them listen on the
 * same ports and see the same volumes.
 */
import { workerData } from 'node:worker_threads'
import { systemClock } from '../../base/clock.ts'
import { createLog } from '../../base/log.ts'
import { offerCalls } from '../../base/port-calls.ts'
import { systemRandom } from '../../base/random.ts'
import { assignFromMasters } from '../../blobs/id-lease.ts'
import type { RepairStatus } from '../../blobs/shard-repairer.ts'
import { ClusterDoorPort } from '../../blobs/volume-admin-door.ts'
import { VolumeCounters } from '../../blobs/volume-counters.ts'
import { VolumeServer } from '../../blobs/volume-server.ts'
import type { ScrubStatus } from '../../disk/scrub.ts'
import { VolumeAdminPort } from '../../disk/volume-admin-port.ts'
import { BasicAuth } from '../../net/basic-auth.ts'
import { BodyBudget } from '../../net/body.ts'
import type { MemcachedServer } from '../../protocols/memcached/server.ts'
import { descriptorWriter } from '../log-writer.ts'
import { clusterParts } from './cluster-parts.ts'
import { threadContext, volumeView } from './layout.ts'
import { openMemcached } from './memcached-door.ts'
import { ObjectLayer } from './object-layer.ts'
import type { MetricsPage, ServingControl, VolumeThreadData } from './thread-data.ts'
import { VERSION } from './version.ts'

const STDERR = 2
const data = workerData as VolumeThreadData
const { secrets, nodeId } = data
const [clock, random] = [systemClock, systemRandom]
const log = createLog({ ...data.log, write: descriptorWriter(STDERR) })
const volumeLog = log.with({ role: 'volume' })
const volumes = volumeView(threadContext(data.shared, { clock, log: volumeLog }), data.shared)
volumes.watch()
const keeper = new VolumeAdminPort(data.keeper)
const cluster = clusterParts({ ...data, clock, random, log })
const logsRequests = data.log.level === 'debug'
const bodyBudget = new BodyBudget(data.budget, data.bodyBytesInFlightMax)

const server = new VolumeServer({
  volumes,
  admin: keeper,
  clusterAuth: cluster.auth,
  clusterDoor: new ClusterDoorPort(keeper.caller),
  nodeId,
  clock,
  random,
  log: volumeLog,
  version: VERSION,
  counters: new VolumeCounters(data.counters, data.thread),
  bodyBudget,
  sync: data.sync,
  gzip: data.gzip,
  fixJpegOrientation: data.fixJpegOrientation,
  heavyJobs: data.heavyJobs,
  fileSizeBytesMax: data.fileSizeBytesMax,
  http: cluster.http,
  find: cluster.find,
  readMode: data.readMode,
  scrubbed: () => keeper.caller.call<ScrubStatus>('scrubbed'),
  repaired: () => keeper.caller.call<RepairStatus>('repaired'),
  metrics: () => keeper.caller.call<MetricsPage>('metrics'),
  basicAuth: secrets.basicAuthText === undefined ? undefined : new BasicAuth(secrets.basicAuthText),
  jwt: secrets.jwt,
  tls: secrets.tls,
  logsRequests,
  settings: data.settings,
})
let objects: ObjectLayer | undefined
let memcached: MemcachedServer | undefined

const control: ServingControl = {
  async openObjects() {
    if (data.objects === undefined) return
    const { sync, settings, thread } = data
    const parts = { cluster, volumes, sync, settings, secrets, thread, bodyBudget, logsRequests }
    objects = await ObjectLayer.open(data.objects, { ...parts, log, clock, random })
  },
  listen(door, at) {
    const options = { ...at, reusePort: true }
    return door === 'volume' ? server.listen(options) : objects!.listen(door, options)
  },
  async setIdentities(file) {
    objects?.setIdentities(file)
  },
  async setEncryptionKeys(text) {
    objects?.setEncryptionKeys(text)
  },
  async listenMemcached(memcachedData, at) {
    const assign = assignFromMasters(cluster)
    const parts = { assign, volumes, sync: data.sync, bodyBudget, clock, log }
    memcached = await openMemcached(memcachedData, parts)
    return await memcached.listen(at)
  },
  async closeObjects() {
    await Promise.all([objects?.close(), memcached?.close()])
  },
  async stop() {
    await server.close()
    volumes.close()
    await cluster.close()
  },
}
offerCalls(data.control, { ...control })
