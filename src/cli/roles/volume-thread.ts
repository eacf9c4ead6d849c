/** One of the threads that serve the volume door. All of them listen on one port and see the same volumes. */
import { workerData } from 'node:worker_threads'
import { systemClock } from '../../base/clock.ts'
import { createLog } from '../../base/log.ts'
import { offerCalls } from '../../base/port-calls.ts'
import { systemRandom } from '../../base/random.ts'
import { ClusterAuth } from '../../blobs/cluster-auth.ts'
import { ClusterClient } from '../../blobs/cluster-client.ts'
import { ClusterDoorPort } from '../../blobs/volume-admin-door.ts'
import { VolumeCounters } from '../../blobs/volume-counters.ts'
import { VolumeLocator } from '../../blobs/volume-locator.ts'
import { VolumeServer } from '../../blobs/volume-server.ts'
import { realDisk } from '../../disk/real-disk.ts'
import type { ScrubStatus } from '../../disk/scrub.ts'
import { createThreadContext } from '../../disk/thread-context.ts'
import { VolumeAdminPort } from '../../disk/volume-admin-port.ts'
import { VolumeSet } from '../../disk/volume-set.ts'
import { BasicAuth } from '../../net/basic-auth.ts'
import { BodyBudget } from '../../net/body.ts'
import { HttpClient } from '../../net/http-client.ts'
import { descriptorWriter } from '../log-writer.ts'
import type { MetricsPage } from './metrics.ts'
import type { VolumeControl, VolumeThreadData } from './thread-data.ts'
import { VERSION } from './version.ts'

const STDERR = 2
const data = workerData as VolumeThreadData
const { secrets } = data
const [clock, random] = [systemClock, systemRandom]
const volumes = new VolumeSet(createThreadContext(data.shared, realDisk, clock))
volumes.watch()
const keeper = new VolumeAdminPort(data.keeper)
/** Slow readers of files that live elsewhere must not keep others waiting for a connection. */
const PROXIED_READS_MAX = 1_000
const http = new HttpClient({ ca: secrets.tls?.cert, connectionsPerHostMax: PROXIED_READS_MAX })
const scheme = secrets.tls === undefined ? 'http' : 'https'
const clusterAuth = new ClusterAuth({ secret: Buffer.from(secrets.clusterSecret), clock, random })
const { masters, nodeId } = data
const locator = new VolumeLocator({
  client: new ClusterClient({ http, auth: clusterAuth, scheme }),
  masters,
  nodeId,
  clock,
})

const server = new VolumeServer({
  volumes,
  admin: keeper,
  clusterAuth,
  clusterDoor: new ClusterDoorPort(keeper.caller),
  nodeId,
  clock,
  random,
  log: createLog({ ...data.log, write: descriptorWriter(STDERR) }).with({ role: 'volume' }),
  version: VERSION,
  counters: new VolumeCounters(data.counters, data.thread),
  bodyBudget: new BodyBudget(data.budget, data.bodyBytesInFlightMax),
  sync: data.sync,
  gzip: data.gzip,
  fixJpegOrientation: data.fixJpegOrientation,
  heavyJobs: data.heavyJobs,
  fileSizeBytesMax: data.fileSizeBytesMax,
  http,
  find: locator.find,
  readMode: data.readMode,
  scrubbed: () => keeper.caller.call<ScrubStatus>('scrubbed'),
  metrics: () => keeper.caller.call<MetricsPage>('metrics'),
  basicAuth: secrets.basicAuthText === undefined ? undefined : new BasicAuth(secrets.basicAuthText),
  jwt: secrets.jwt,
  tls: secrets.tls,
  logsRequests: data.log.level === 'debug',
  settings: data.settings,
})

const control: VolumeControl = {
  listen: ({ host, port }) => server.listen({ host, port, reusePort: true }),
  async stop() {
    await server.close()
    volumes.close()
  },
}
offerCalls(data.control, { ...control })
