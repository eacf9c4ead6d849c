/**
 * Starts sfss in a process of its own: on servers of memcached's protocol, with threads that serve and the monitor of those
 * servers; or on a store that is its alone.
 */
import type { PortCaller } from '../../base/port-calls.ts'
import { assertPortFree } from '../../net/http-server.ts'
import { jsonOutcome } from '../../net/reply.ts'
import { NodeCounters } from '../../protocols/sfss/node-counters.ts'
import { SfssCounters } from '../../protocols/sfss/sfss-counters.ts'
import { VersionClock } from '../../protocols/sfss/version-clock.ts'
import type { Context } from '../command.ts'
import type { Config } from '../config.ts'
import type { SERVING_SETTINGS, SFSS_DOOR_SETTINGS } from '../server-settings.ts'
import { UsageError } from '../usage-error.ts'
import { untilAborted } from './directories.ts'
import {
  type DoorConfig,
  type HostPort,
  httpSettings,
  parseHostPort,
  reachableAt,
  readDoorFiles,
} from './doors.ts'
import { openMonitor } from './monitor.ts'
import { SfssMonitor } from './sfss-monitor.ts'
import { StorageWatch } from './storage-watch.ts'
import { runStore, type StoreRole } from './store-role.ts'
import type { SfssThreadData } from './thread-data.ts'
import { listenOnAll, Threads } from './threads.ts'
import { VERSION } from './version.ts'

export type SfssConfig = DoorConfig &
  Config<(typeof SERVING_SETTINGS)[number] | (typeof SFSS_DOOR_SETTINGS)[number] | 'sfssFileLimitBytes'>

export type SfssAloneConfig = StoreRole['config'] &
  Config<'host' | 'port' | 'monitor' | 'masterPort' | 'volumePort'>

const COPIES_DEFAULT = 3
const LOOPBACK = '127.0.0.1'
const SCHEME = 'memcached://'

/** Serves until the process is told to end. Throws `UsageError`, `in_use`, `io_error`, `corrupt`. */
export function runSfssAlone(config: SfssAloneConfig, context: Context): Promise<void> {
  const { host, port, monitor, masterPort, volumePort } = config
  const role: StoreRole = {
    config,
    master: { host: LOOPBACK, port: masterPort },
    volume: { host: LOOPBACK, port: volumePort },
    publicUrl: '',
    doors: new Map([['sfss', { host, port }]]),
  }
  return runStore(role, context, async ({ metrics, doors }) => {
    if (monitor === '') return { told: {}, async close() {} }
    const sfss = reachableAt(doors.get('sfss')!)
    const about = async () => jsonOutcome(200, { version: VERSION, doors: { sfss } })
    const { address, close } = await openMonitor({ metrics, about }, parseHostPort(monitor), context)
    return { told: { monitor: reachableAt(address) }, close }
  })
}

/** Serves until the process is told to end. Throws `UsageError`, `in_use`. */
export async function runSfssOnNodes(config: SfssConfig, context: Context): Promise<void> {
  const { log, signal } = context
  const listen = { host: config.host, port: config.port }
  const nodes = nodesOf(config.storage)
  const copies = copiesOf(config.copies, nodes.length)
  await assertPortFree(listen.host, listen.port)
  const threads = new Threads(context)
  let watch: StorageWatch | undefined
  try {
    const shared = {
      counters: SfssCounters.share(config.workers),
      nodeCounters: NodeCounters.share(config.workers, nodes.length),
      versions: new SharedArrayBuffer(VersionClock.BYTES),
    }
    const servers = startThreads(threads, { config, secrets: readDoorFiles(config), nodes, copies, shared })
    const port = await listenOnAll(servers, 'sfss', listen)
    watch = new StorageWatch(nodes, context)
    const monitor =
      config.monitor === ''
        ? undefined
        : await SfssMonitor.open(
            { watch, nodes, copies, ...shared, at: parseHostPort(config.monitor) },
            context,
          )
    const at = monitor && { monitor: reachableAt(monitor.address) }
    log.info({ sfss: reachableAt({ ...listen, port }), ...at, storage: config.storage, copies }, 'ready')
    await untilAborted(signal)
    await Promise.all(servers.map((server) => server.call('stop')))
    await monitor?.close()
  } finally {
    watch?.close()
    await threads.end()
  }
}

function startThreads(
  threads: Threads,
  parts: {
    config: SfssConfig
    secrets: SfssThreadData['secrets']
    nodes: HostPort[]
    copies: number
    shared: Pick<SfssThreadData, 'counters' | 'nodeCounters' | 'versions'>
  },
): PortCaller[] {
  const { config, secrets, nodes, copies, shared } = parts
  const budget = new SharedArrayBuffer(4)
  return Array.from({ length: config.workers }, (_, thread) =>
    threads.start(new URL('./sfss-thread.ts', import.meta.url), (control) => {
      const data: SfssThreadData = {
        ...{ control, thread, budget, secrets, nodes, copies, ...shared },
        log: { level: config.logLevel, format: config.logFormat },
        bodyBytesInFlightMax: config.bodyInFlightBytes,
        settings: httpSettings(config),
        fileSizeBytesMax: config.sfssFileLimitBytes,
      }
      return { data, ports: [] }
    }),
  )
}

function nodesOf(storage: string): HostPort[] {
  const texts = storage.slice(SCHEME.length).split(',')
  if (new Set(texts).size < texts.length) throw new UsageError('--storage names a server twice')
  const nodes = texts.map(parseHostPort)
  if (nodes.some(({ port }) => port === 0)) throw new UsageError('--storage: nobody listens on port 0')
  return nodes
}

function copiesOf(wanted: number, nodes: number): number {
  if (wanted > nodes)
    throw new UsageError(`--copies ${wanted} needs as many servers; --storage names ${nodes}`)
  return wanted === 0 ? Math.min(COPIES_DEFAULT, nodes) : wanted
}
