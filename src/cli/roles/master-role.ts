/** Starts a master in this thread. */

import { FILE_SIZE_BYTES_MAX_DEFAULT } from '../../base/limits.ts'
import { ClusterAuth } from '../../blobs/cluster-auth.ts'
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

export async function startMaster(role: MasterRole, { clock, random, log }: Context): Promise<Running> {
  const { config, secrets, directory, listen } = role
  await assertPortFree(listen.host, listen.port)
  const budget = new BodyBudget(new SharedArrayBuffer(4), SUBMITS_IN_FLIGHT * FILE_SIZE_BYTES_MAX_DEFAULT)
  const metrics = new MasterMetrics()
  const server = new MasterServer({
    nodeId: loadNodeId(realDisk, [directory], random),
    state: FileMasterState.open({ disk: realDisk, directory, random }),
    auth: new ClusterAuth({ secret: Buffer.from(secrets.clusterSecret), clock, random }),
    http: new HttpClient({ ca: secrets.tls?.cert }),
    clock,
    random,
    log: log.with({ role: 'master' }),
    bodyBudget: budget,
    scheme: secrets.tls === undefined ? 'http' : 'https',
    tls: secrets.tls,
    basicAuth: secrets.basicAuthText === undefined ? undefined : new BasicAuth(secrets.basicAuthText),
    signingKey: secrets.jwt.writeKey,
    readSigningKey: secrets.jwt.readKey,
    heartbeatPeriodMs: config.heartbeatMs,
    garbageThreshold: config.garbageThreshold,
    version: VERSION,
    settings: httpSettings(config),
    metrics: () => metrics.page(),
    onReply: (path, status) => metrics.noteReply(path, status),
  })
  const url = role.publicUrl || (listen.port === 0 ? undefined : reachableAt(listen))
  const port = await server.listen({ ...listen, url })
  log.info({ role: 'master', address: `${listen.host}:${port}` }, 'master is listening')
  return { address: { host: listen.host, port }, stop: () => server.close() }
}
