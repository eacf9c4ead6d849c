/** One of the threads that serve sfss on servers of memcached's protocol. */
import { workerData } from 'node:worker_threads'
import { systemClock } from '../../base/clock.ts'
import { MEMCACHED_CLIENT_BYTES_MAX, MEMCACHED_TIMEOUT_MS } from '../../base/limits.ts'
import { createLog } from '../../base/log.ts'
import { offerCalls } from '../../base/port-calls.ts'
import { systemRandom } from '../../base/random.ts'
import { BasicAuth } from '../../net/basic-auth.ts'
import { BodyBudget } from '../../net/body.ts'
import { MemcachedClient } from '../../net/memcached-client.ts'
import { CopiedFiles } from '../../protocols/sfss/copied-files.ts'
import { NodeCounters } from '../../protocols/sfss/node-counters.ts'
import { SfssServer } from '../../protocols/sfss/server.ts'
import { SfssCounters } from '../../protocols/sfss/sfss-counters.ts'
import { descriptorWriter } from '../log-writer.ts'
import type { SfssControl, SfssThreadData } from './thread-data.ts'
import { VERSION } from './version.ts'

const STDERR = 2
const data = workerData as SfssThreadData
const { secrets, settings, thread, copies, fileSizeBytesMax, versions } = data
const [clock, random] = [systemClock, systemRandom]
const log = createLog({ ...data.log, write: descriptorWriter(STDERR) }).with({ role: 'sfss' })
const nodes = data.nodes.map(({ host, port }, at) => ({
  client: new MemcachedClient({
    ...{ host, port, clock, random },
    timeoutMs: MEMCACHED_TIMEOUT_MS,
    // Not its own limit: others may have stored larger files, which are read and removed here as well.
    valueBytesMax: MEMCACHED_CLIENT_BYTES_MAX,
  }),
  counters: new NodeCounters(data.nodeCounters, thread * data.nodes.length + at),
}))
const files = new CopiedFiles({ nodes, copies, versions, clock, random, log })
const server = new SfssServer({
  ...{ files, clock, random, log, settings, fileSizeBytesMax },
  counters: new SfssCounters(data.counters, thread),
  version: VERSION,
  bodyBudget: new BodyBudget(data.budget, data.bodyBytesInFlightMax),
  basicAuth: secrets.basicAuthText === undefined ? undefined : new BasicAuth(secrets.basicAuthText),
  tls: secrets.tls,
  logsRequests: data.log.level === 'debug',
})

const control: SfssControl = {
  listen: (_door, at) => server.listen({ ...at, reusePort: true }),
  async stop() {
    await server.close()
    files.close()
    for (const { client } of nodes) client.close()
  },
}
offerCalls(data.control, { ...control })
