/**
 * Starts a volume server: one keeper thread, and the threads that serve the door. With objects, those threads open the doors
 * of names too, and one thread writes the metadata.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import type { PortCaller } from '../../base/port-calls.ts'
import { loadNodeId } from '../../blobs/heartbeat.ts'
import { VolumeCounters } from '../../blobs/volume-counters.ts'
import { realDisk } from '../../disk/real-disk.ts'
import { createSharedVolumes } from '../../disk/thread-context.ts'
import { assertPortFree } from '../../net/http-server.ts'
import type { Context } from '../command.ts'
import type { Config } from '../config.ts'
import type { VOLUME_SETTINGS } from '../server-settings.ts'
import { type DoorConfig, type DoorSecrets, type HostPort, httpSettings, reachableAt } from './doors.ts'
import type { Running } from './master-role.ts'
import { type ObjectsRole, ObjectThreads, openDoors } from './objects-role.ts'
import type {
  KeeperThreadData,
  MemcachedData,
  MetricsPage,
  ObjectDoor,
  SharedThreadData,
  VolumeThreadData,
} from './thread-data.ts'
import { listenOnAll, Threads } from './threads.ts'

export interface VolumeRole {
  config: DoorConfig & Config<(typeof VOLUME_SETTINGS)[number]>
  secrets: DoorSecrets
  /** Existing directories, locked by the caller. */
  directories: string[]
  /** Below one of those, for volumes of erasure groups alone. */
  shardDirectories?: string[]
  listen: HostPort
  publicUrl: string
  /** `host:port`; none where the bus knows them. */
  masters: string[]
  /** Undefined: volumes alone. */
  objects?: ObjectsRole
  memcached?: { listen: HostPort; data: MemcachedData }
}

export interface RunningVolumes extends Running {
  /** Where the doors of names listen. */
  doors: ReadonlyMap<ObjectDoor | 'memcached', HostPort>
  metrics(): Promise<MetricsPage>
}

export async function startVolumeServer(role: VolumeRole, context: Context): Promise<RunningVolumes> {
  const { config, listen, objects, memcached } = role
  const addresses = [listen, ...(objects?.doors.values() ?? []), ...(memcached ? [memcached.listen] : [])]
  for (const { host, port } of addresses) await assertPortFree(host, port)
  const threads = new VolumeThreads(role, context)
  try {
    await threads.keeper.call('open')
    await threads.objects?.openMetadata()
    const port = await listenOnAll(threads.servers, 'volume', listen)
    const url = reachableAt({ host: listen.host, port })
    context.log.info(
      { role: 'volume', address: `${listen.host}:${port}`, threads: config.workers },
      'volume server is listening',
    )
    await threads.keeper.call('announce', { url, publicUrl: role.publicUrl || url })
    await threads.objects?.prepare()
    const doors: Map<ObjectDoor | 'memcached', HostPort> =
      objects === undefined ? new Map() : await openDoors(threads.servers, objects, context)
    if (memcached !== undefined) doors.set('memcached', await openMemcached(threads, memcached, context))
    await threads.objects?.start()
    const metrics = () => threads.keeper.call<MetricsPage>('metrics')
    return { address: { host: listen.host, port }, doors, metrics, stop: () => threads.stop() }
  } catch (error) {
    await threads.end()
    throw error
  }
}

/** On the first thread alone, which puts changes in order. */
async function openMemcached(
  { servers }: VolumeThreads,
  { listen, data }: NonNullable<VolumeRole['memcached']>,
  { log }: Context,
): Promise<HostPort> {
  const port = await servers[0]!.call<number>('listenMemcached', data, listen)
  const address = `${listen.host}:${port}`
  log.info({ role: 'memcached', address, threads: 1 }, 'memcached is listening')
  return { host: listen.host, port }
}

class VolumeThreads {
  readonly keeper: PortCaller
  readonly servers: PortCaller[]
  readonly objects: ObjectThreads | undefined
  readonly #threads: Threads

  constructor(role: VolumeRole, context: Context) {
    this.#threads = new Threads(context)
    const { config, secrets } = role
    const shared = createSharedVolumes({
      directories: [...role.directories, ...(role.shardDirectories ?? [])],
      indexBytesMax: config.indexMemoryBytes,
      shardFiles: config.layout === 'files',
    })
    const common = {
      shared,
      counters: VolumeCounters.share(config.workers),
      log: { level: config.logLevel, format: config.logFormat },
      secrets,
      nodeId: loadNodeId(realDisk, role.directories, context.random),
      masters: role.masters,
      bus: config.bus,
    }
    const behind = { count: config.workers, parts: { ...common, sync: config.sync } }
    const objects = role.objects && new ObjectThreads(this.#threads, role.objects, behind)
    this.objects = objects
    const channels = Array.from({ length: config.workers }, () => new MessageChannel())
    this.keeper = this.#startKeeper(
      role,
      common,
      channels.map((channel) => channel.port1),
    )
    const budget = new SharedArrayBuffer(4)
    const heavyJobs = new SharedArrayBuffer(4)
    this.servers = channels.map(({ port2 }, thread) =>
      this.#threads.start(new URL('./volume-thread.ts', import.meta.url), (control) => {
        const layer = objects?.dataOf(thread)
        const data: VolumeThreadData = {
          ...common,
          control,
          thread,
          keeper: port2,
          budget,
          bodyBytesInFlightMax: config.bodyInFlightBytes,
          fileSizeBytesMax: config.fileSizeLimitBytes,
          sync: config.sync,
          gzip: config.gzip,
          fixJpegOrientation: config.fixJpegOrientation,
          heavyJobs,
          readMode: config.readMode,
          settings: httpSettings(config),
          objects: layer?.data,
        }
        return { data, ports: [port2, ...(layer?.ports ?? [])] }
      }),
    )
  }

  #startKeeper(
    role: VolumeRole,
    common: Omit<SharedThreadData, 'control'>,
    callers: MessagePort[],
  ): PortCaller {
    const { config } = role
    const objects = this.objects?.metrics
    return this.#threads.startBehind(new URL('./keeper-thread.ts', import.meta.url), (control) => {
      const data: KeeperThreadData = {
        ...common,
        control,
        callers,
        objects,
        memcached: role.memcached?.data.counters,
        volumeSizeLimitBytes: config.volumeSizeLimitBytes,
        volumesPerDirectoryMax: config.maxVolumes,
        garbageThreshold: config.garbageThreshold,
        ballastBytes: config.ballastBytes,
        shardDirectories: role.shardDirectories ?? [],
        scrubRateBytes: config.scrubRateBytes,
        scrubPeriodMs: config.scrubPeriodMs,
        repairPeriodMs: config.repairPeriodMs,
        heartbeatMs: config.heartbeatMs,
        busHeartbeatMs: config.busHeartbeatMs,
        dataCenter: config.dataCenter,
        rack: config.rack,
      }
      return { data, ports: objects === undefined ? callers : [...callers, objects.counts] }
    })
  }

  /** The doors of names first, then what stands behind them, down to the volumes. */
  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.call('closeObjects')))
    await this.objects?.stop()
    await this.keeper.call('leave')
    await Promise.all(this.servers.map((server) => server.call('stop')))
    await this.keeper.call('stop')
    await this.end()
  }

  /** Ends the threads as they are. */
  end(): Promise<void> {
    return this.#threads.end()
  }
}
