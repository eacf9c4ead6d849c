/** Starts the storage node alone: a keeper for its volumes, and one thread that speaks memcached's protocol. */
import { MessageChannel } from 'node:worker_threads'
import { loadNodeId } from '../../blobs/heartbeat.ts'
import { VolumeCounters } from '../../blobs/volume-counters.ts'
import { realDisk } from '../../disk/real-disk.ts'
import { createSharedVolumes } from '../../disk/thread-context.ts'
import { assertPortFree } from '../../net/http-server.ts'
import { jsonOutcome } from '../../net/reply.ts'
import { MemcachedCounters } from '../../protocols/memcached/memcached-counters.ts'
import type { Context } from '../command.ts'
import type { Config } from '../config.ts'
import type { MEMCACHED_SETTINGS } from '../server-settings.ts'
import { ownDirectories, untilAborted } from './directories.ts'
import { type HostPort, parseHostPort, reachableAt } from './doors.ts'
import { openMonitor } from './monitor.ts'
import type { KeeperThreadData, MemcachedThreadData, MetricsPage } from './thread-data.ts'
import { Threads } from './threads.ts'

export type MemcachedConfig = Config<(typeof MEMCACHED_SETTINGS)[number]>

const SECRET_BYTES = 32

/** Serves until the process is told to end. Throws `in_use`, `io_error`, `corrupt`. */
export async function runMemcached(config: MemcachedConfig, context: Context): Promise<void> {
  const { log, signal } = context
  const listen = { host: config.ip, port: config.port }
  const directories = ownDirectories(config.data, log)
  const threads = new Threads(context)
  try {
    await assertPortFree(listen.host, listen.port)
    const counters = MemcachedCounters.share()
    const { keeper, server } = startThreads(threads, { config, counters, paths: directories.paths }, context)
    await keeper.call('open')
    const port = await server.call<number>('listen', listen)
    const metrics = () => keeper.call<MetricsPage>('metrics')
    const monitor = await monitorOf(config, { counters, metrics }, context)
    const at = monitor && { monitor: reachableAt(monitor.address) }
    log.info({ memcached: reachableAt({ ...listen, port }), ...at, data: directories.paths }, 'ready')
    await untilAborted(signal)
    await monitor?.close()
    await server.call('stop')
    await keeper.call('stop')
  } finally {
    await threads.end()
    directories.release()
  }
}

async function monitorOf(
  { monitor }: MemcachedConfig,
  { counters, metrics }: { counters: SharedArrayBuffer; metrics: () => Promise<MetricsPage> },
  context: Context,
) {
  if (monitor === '') return undefined
  const at: HostPort = parseHostPort(monitor)
  const about = async () => jsonOutcome(200, new MemcachedCounters(counters).totals(), true)
  return await openMonitor({ metrics, about }, at, context)
}

function startThreads(
  threads: Threads,
  { config, counters, paths }: { config: MemcachedConfig; counters: SharedArrayBuffer; paths: string[] },
  { random }: Context,
) {
  const shared = createSharedVolumes({ directories: paths, indexBytesMax: config.indexMemoryBytes })
  const log = { level: config.logLevel, format: config.logFormat }
  const { port1, port2 } = new MessageChannel()
  const keeper = threads.startBehind(new URL('./keeper-thread.ts', import.meta.url), (control) => {
    const data: KeeperThreadData = {
      ...{ shared, log, control },
      callers: [port1],
      counters: VolumeCounters.share(1),
      objects: undefined,
      memcached: counters,
      // It reports to nobody, and nobody may ask it for anything over the network.
      secrets: {
        ...{ tls: undefined, basicAuthText: undefined, jwt: {} },
        clusterSecret: random.bytes(SECRET_BYTES).toString('hex'),
      },
      nodeId: loadNodeId(realDisk, paths, random),
      ...{ masters: [], bus: '', busHeartbeatMs: 0, heartbeatMs: 0, repairPeriodMs: 0 },
      ...{ dataCenter: '', rack: '' },
      volumeSizeLimitBytes: config.volumeSizeLimitBytes,
      volumesPerDirectoryMax: config.maxVolumes,
      garbageThreshold: config.garbageThreshold,
      ballastBytes: config.ballastBytes,
      scrubRateBytes: config.scrubRateBytes,
      scrubPeriodMs: config.scrubPeriodMs,
    }
    return { data, ports: [port1] }
  })
  const server = threads.start(new URL('./memcached-thread.ts', import.meta.url), (control) => {
    const data: MemcachedThreadData = {
      ...{ shared, log, control, keeper: port2, sync: config.sync },
      bodyBytesInFlightMax: config.bodyInFlightBytes,
      memcached: {
        counters,
        valueBytesMax: config.maxValueBytes,
        allowsFlush: config.flushAll,
        cacheBytesMax: config.memcachedCacheBytes,
        idleTimeoutMs: config.idleTimeoutMs,
      },
    }
    return { data, ports: [port2] }
  })
  return { keeper, server }
}
