/** Starts a volume server: one keeper thread, and the threads that serve the door. */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads'
import { PortCaller } from '../../base/port-calls.ts'
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
import type { CommonThreadData, KeeperThreadData, VolumeThreadData } from './thread-data.ts'

export interface VolumeRole {
  config: DoorConfig & Config<(typeof VOLUME_SETTINGS)[number]>
  secrets: DoorSecrets
  /** Existing directories, locked by the caller. */
  directories: string[]
  listen: HostPort
  publicUrl: string
  masters: string[]
}

export async function startVolumeServer(role: VolumeRole, context: Context): Promise<Running> {
  const { config, listen } = role
  await assertPortFree(listen.host, listen.port)
  const threads = new VolumeThreads(role, context)
  await threads.keeper.call('open')
  let { port } = listen
  for (const thread of threads.servers)
    port = await thread.call<number>('listen', { host: listen.host, port })
  const url = reachableAt({ host: listen.host, port })
  context.log.info(
    { role: 'volume', address: `${listen.host}:${port}`, threads: config.workers },
    'volume server is listening',
  )
  await threads.keeper.call('announce', { url, publicUrl: role.publicUrl || url })
  return { address: { host: listen.host, port }, stop: () => threads.stop() }
}

class VolumeThreads {
  readonly keeper: PortCaller
  readonly servers: PortCaller[]
  readonly #workers: Worker[] = []
  readonly #context: Context
  #stopping = false

  constructor(role: VolumeRole, context: Context) {
    this.#context = context
    const { config, secrets } = role
    const shared = createSharedVolumes({
      directories: role.directories,
      indexBytesMax: config.indexMemoryBytes,
    })
    const common = {
      shared,
      counters: VolumeCounters.share(config.workers),
      log: { level: config.logLevel, format: config.logFormat },
      secrets,
      nodeId: loadNodeId(realDisk, role.directories, context.random),
      masters: role.masters,
    }
    const channels = Array.from({ length: config.workers }, () => new MessageChannel())
    this.keeper = this.#startKeeper(
      role,
      common,
      channels.map((channel) => channel.port1),
    )
    const budget = new SharedArrayBuffer(4)
    const heavyJobs = new SharedArrayBuffer(4)
    this.servers = channels.map(({ port2 }, thread) =>
      this.#start(new URL('./volume-thread.ts', import.meta.url), (control) => {
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
        }
        return { data, ports: [port2] }
      }),
    )
  }

  #startKeeper(
    role: VolumeRole,
    common: Omit<CommonThreadData, 'control'>,
    callers: MessagePort[],
  ): PortCaller {
    const { config } = role
    return this.#start(new URL('./keeper-thread.ts', import.meta.url), (control) => {
      const data: KeeperThreadData = {
        ...common,
        control,
        callers,
        volumeSizeLimitBytes: config.volumeSizeLimitBytes,
        volumesPerDirectoryMax: config.maxVolumes,
        garbageThreshold: config.garbageThreshold,
        ballastBytes: config.ballastBytes,
        scrubRateBytes: config.scrubRateBytes,
        scrubPeriodMs: config.scrubPeriodMs,
        heartbeatMs: config.heartbeatMs,
        dataCenter: config.dataCenter,
        rack: config.rack,
      }
      return { data, ports: callers }
    })
  }

  #start(url: URL, dataFor: (control: MessagePort) => { data: object; ports: MessagePort[] }): PortCaller {
    const { port1, port2 } = new MessageChannel()
    const { data, ports } = dataFor(port2)
    const worker = new Worker(url, {
      workerData: data,
      transferList: [port2, ...ports],
      trackUnmanagedFds: false,
    })
    worker.on('error', (error) => this.#died(error))
    worker.on('exit', () => this.#died(new Error('a thread ended')))
    this.#workers.push(worker)
    return new PortCaller(port1)
  }

  /** A thread that dies may have held a lock or half an append: the process goes with it, and the next start recovers. */
  #died(error: unknown): void {
    if (this.#stopping) return
    this.#context.log.error({ error }, 'a thread died: the process ends')
    process.exit(1)
  }

  async stop(): Promise<void> {
    await this.keeper.call('leave')
    await Promise.all(this.servers.map((server) => server.call('stop')))
    await this.keeper.call('stop')
    this.#stopping = true
    await Promise.all(this.#workers.map((worker) => worker.terminate()))
  }
}
