/** Starts doors of names in a process without volumes: the names are in PostgreSQL, the bytes on the cluster's volume servers. */
import { Registry } from 'prom-client'
import type { PortCaller } from '../../base/port-calls.ts'
import { randomUuid } from '../../blobs/heartbeat.ts'
import { isPostgresUrl } from '../../meta/open-meta-store.ts'
import { assertPortFree } from '../../net/http-server.ts'
import { jsonOutcome } from '../../net/reply.ts'
import type { Context } from '../command.ts'
import type { Config } from '../config.ts'
import type { OBJECT_SETTINGS, SERVING_SETTINGS } from '../server-settings.ts'
import { UsageError } from '../usage-error.ts'
import { untilAborted } from './directories.ts'
import {
  type DoorConfig,
  type HostPort,
  httpSettings,
  parseHostPort,
  reachableAt,
  readDoorSecrets,
} from './doors.ts'
import { type Monitor, openMonitor } from './monitor.ts'
import { ObjectMetrics } from './object-metrics.ts'
import { ObjectThreads, openDoors, readObjectsRole } from './objects-role.ts'
import { collectProcessMetrics } from './process-metrics.ts'
import type { ObjectDoor, ObjectMetricsData, ObjectThreadData } from './thread-data.ts'
import { Threads } from './threads.ts'
import { VERSION } from './version.ts'

export type StatelessConfig = DoorConfig &
  Config<
    | 'ip'
    | 'port'
    | 'monitor'
    | 'master'
    | 'bus'
    | (typeof SERVING_SETTINGS)[number]
    | (typeof OBJECT_SETTINGS)[number]
  > &
  Partial<Config<'website'>>

/** Serves one door until the process is told to end. Throws `UsageError`, `in_use`, `unavailable`, `unauthorized`. */
export async function runStateless(
  door: ObjectDoor,
  config: StatelessConfig,
  context: Context,
): Promise<void> {
  if (!isPostgresUrl(config.metadata)) {
    throw new UsageError(
      `cairn ${door} needs --metadata postgres://…: SQLite is for one process, which is cairn server`,
    )
  }
  const { machine, random, log, signal } = context
  const secrets = readDoorSecrets(config, random, machine.configDir)
  const listen = { host: config.ip, port: config.port }
  const doors = new Map<ObjectDoor, HostPort>([[door, listen]])
  if (config.website) doors.set('website', parseHostPort(config.website))
  const role = readObjectsRole(config, { directory: machine.configDir, doors }, context)
  for (const { host, port } of doors.values()) await assertPortFree(host, port)
  const threads = new Threads(context)
  try {
    const common = {
      log: { level: config.logLevel, format: config.logFormat },
      secrets,
      nodeId: randomUuid(random),
      masters: config.bus === '' ? [...config.master] : [],
      bus: config.bus,
      budget: new SharedArrayBuffer(4),
      bodyBytesInFlightMax: config.bodyInFlightBytes,
      sync: config.sync,
      settings: httpSettings(config),
    }
    const parts = { ...common, shared: undefined }
    const objects = new ObjectThreads(threads, role, { count: config.workers, parts })
    const servers: PortCaller[] = Array.from({ length: config.workers }, (_, thread) =>
      threads.start(new URL('./object-thread.ts', import.meta.url), (control) => {
        const layer = objects.dataOf(thread)
        const data: ObjectThreadData = { ...common, control, thread, objects: layer.data }
        return { data, ports: layer.ports }
      }),
    )
    await objects.prepare()
    const open = await openDoors(servers, role, context)
    await objects.start()
    const monitor = await monitorOf(config.monitor, { metrics: objects.metrics, doors: open }, context)
    const at = [...open].map(([name, address]) => [name, reachableAt(address)])
    const monitored = monitor && { monitor: reachableAt(monitor.address) }
    log.info({ ...Object.fromEntries(at), ...monitored }, 'ready')
    await untilAborted(signal)
    await monitor?.close()
    await Promise.all(servers.map((server) => server.call('closeObjects')))
    await objects.stop()
    await Promise.all(servers.map((server) => server.call('stop')))
  } finally {
    await threads.end()
  }
}

async function monitorOf(
  address: string,
  { metrics, doors }: { metrics: ObjectMetricsData; doors: ReadonlyMap<ObjectDoor, HostPort> },
  context: Context,
): Promise<Monitor | undefined> {
  if (address === '') return undefined
  const registry = new Registry()
  collectProcessMetrics(registry)
  const counted = new ObjectMetrics(registry, metrics)
  const at = Object.fromEntries([...doors].map(([door, where]) => [door, reachableAt(where)]))
  const options = {
    async metrics() {
      await counted.fill()
      return { contentType: registry.contentType, text: await registry.metrics() }
    },
    about: async () => jsonOutcome(200, { version: VERSION, doors: at }),
  }
  return await openMonitor(options, parseHostPort(address), context)
}
