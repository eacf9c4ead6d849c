/** Starts a master in this thread. */

import { StoreError, toStoreError } from '../../base/errors.ts'
import {
  BUS_PERIODS_MISSED_MAX,
  FILE_SIZE_BYTES_MAX_DEFAULT,
  HEARTBEAT_PERIODS_MISSED_MAX,
} from '../../base/limits.ts'
import { ClusterAuth } from '../../blobs/cluster-auth.ts'
import { ClusterBus, type ClusterBusOptions } from '../../blobs/cluster-bus.ts'
import { loadNodeId } from '../../blobs/heartbeat.ts'
import { MasterServer } from '../../blobs/master-server.ts'
import { FileMasterState } from '../../blobs/master-state.ts'
import { realDisk } from '../../disk/real-disk.ts'
import { BasicAuth } from '../../net/basic-auth.ts'
import { BodyBudget } from '../../net/body.ts'
import { HttpClient } from '../../net/http-client.ts'
import { assertPortFree } from '../../net/http-server.ts'
import type { Context } from '../command.ts'
import type { Config } from '../config.ts'
import type { MASTER_SETTINGS } from '../server-settings.ts'
import { type DoorConfig, type DoorSecrets, type HostPort, httpSettings, reachableAt } from './doors.ts'
import { MasterMetrics } from './metrics.ts'
import { VERSION } from './version.ts'

/** Forwarded uploads that a master holds at a time, in files of the largest size. */
const SUBMITS_IN_FLIGHT = 4

export interface Running {
  /** Where it listens. */
  address: HostPort
  stop(): Promise<void>
}

export interface MasterRole {
  config: DoorConfig & Config<(typeof MASTER_SETTINGS)[number]>
  secrets: DoorSecrets
  /** Where the master keeps what must last; made if it is missing. */
  directory: string
  listen: HostPort
  publicUrl: string
}

/** Throws `in_use` when another process has the port, or is the master on the bus. */
export async function startMaster(role: MasterRole, context: Context): Promise<Running> {
  const { config, secrets, directory, listen } = role
  const { clock, random } = context
  const log = context.log.with({ role: 'master' })
  await assertPortFree(listen.host, listen.port)
  const nodeId = loadNodeId(realDisk, [directory], random)
  const auth = new ClusterAuth({ secret: Buffer.from(secrets.clusterSecret), clock, random })
  const bus =
    config.bus === '' ? undefined : await openBus({ url: config.bus, auth, nodeId, clock, random, log })
  const budget = new BodyBudget(new SharedArrayBuffer(4), SUBMITS_IN_FLIGHT * FILE_SIZE_BYTES_MAX_DEFAULT)
  const metrics = new MasterMetrics()
  if (bus !== undefined) metrics.watchBus(bus)
  const server = new MasterServer({
    nodeId,
    state: FileMasterState.open({ disk: realDisk, directory, random }),
    auth,
    http: new HttpClient({ ca: secrets.tls?.cert }),
    clock,
    random,
    log,
    bodyBudget: budget,
    scheme: secrets.tls === undefined ? 'http' : 'https',
    tls: secrets.tls,
    basicAuth: secrets.basicAuthText === undefined ? undefined : new BasicAuth(secrets.basicAuthText),
    signingKey: secrets.jwt.writeKey,
    readSigningKey: secrets.jwt.readKey,
    heartbeatPeriodMs:
      bus === undefined
        ? config.heartbeatMs
        : (config.busHeartbeatMs * BUS_PERIODS_MISSED_MAX) / HEARTBEAT_PERIODS_MISSED_MAX,
    ...(bus && { isDeaf: () => !bus.isOpen }),
    garbageThreshold: config.garbageThreshold,
    repairAfterMs: config.repairAfterMs,
    version: VERSION,
    settings: httpSettings(config),
    metrics: () => metrics.page(),
    onReply: (path, status) => metrics.noteReply(path, status),
  })
  const url = role.publicUrl || (listen.port === 0 ? undefined : reachableAt(listen))
  const port = await server.listen({ ...listen, url })
  bus?.onOpen(() => bus.callRoll())
  bus?.start({
    master: { url: () => server.url, takeHeartbeat: (heartbeat) => server.master.takeHeartbeat(heartbeat) },
  })
  log.info({ address: `${listen.host}:${port}` }, 'master is listening')
  const stop = async () => {
    await bus?.close()
    await server.close()
  }
  return { address: { host: listen.host, port }, stop }
}

/** A second master would give out ids that the first one gave out too, so it does not start. */
async function openBus(options: ClusterBusOptions): Promise<ClusterBus> {
  const asking = new ClusterBus(options)
  asking.start()
  try {
    const [other] = await asking.find()
    throw new StoreError('in_use', `the master at ${other} answers on the bus already`)
  } catch (error) {
    if (toStoreError(error).code !== 'unavailable') throw error
  } finally {
    await asking.close()
  }
  return new ClusterBus(options)
}
