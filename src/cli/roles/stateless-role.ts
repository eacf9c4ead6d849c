/** Starts doors of names in a process without volumes: the names are in PostgreSQL, the bytes on the cluster's volume servers. */
import type { PortCaller } from '../../base/port-calls.ts'
import { randomUuid } from '../../blobs/heartbeat.ts'
import { isPostgresUrl } from '../../meta/open-meta-store.ts'
import { assertPortFree } from '../../net/http-server.ts'
import type { Context } from '../command.ts'
import type { Config } from '../config.ts'
import type { OBJECT_SETTINGS, SERVING_SETTINGS } from '../server-settings.ts'
import { UsageError } from '../usage-error.ts'
import { untilAborted } from './directories.ts'
import { type DoorConfig, httpSettings, reachableAt, readDoorSecrets } from './doors.ts'
import { ObjectThreads, openDoors, readObjectsRole } from './objects-role.ts'
import type { ObjectDoor, ObjectThreadData } from './thread-data.ts'
import { Threads } from './threads.ts'

export type StatelessConfig = DoorConfig &
  Config<
    'ip' | 'port' | 'master' | 'bus' | (typeof SERVING_SETTINGS)[number] | (typeof OBJECT_SETTINGS)[number]
  >

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
  const doors = new Map([[door, listen]])
  const role = readObjectsRole(config, { directory: machine.configDir, doors }, context)
  await assertPortFree(listen.host, listen.port)
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
    log.info({ [door]: reachableAt(open.get(door)!) }, 'ready')
    await untilAborted(signal)
    await Promise.all(servers.map((server) => server.call('closeObjects')))
    await objects.stop()
    await Promise.all(servers.map((server) => server.call('stop')))
  } finally {
    await threads.end()
  }
}
