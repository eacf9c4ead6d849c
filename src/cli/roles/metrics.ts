/** Metrics for Prometheus: what the roles count, as prom-client writes it. */
import { Counter, Gauge, Registry } from 'prom-client'
import type { RepairStatus } from '../../blobs/shard-repairer.ts'
import type { VolumeCounters } from '../../blobs/volume-counters.ts'
import type { ScrubStatus } from '../../disk/scrub.ts'
import type { StoreStatus } from '../../disk/volume-admin.ts'
import { MemcachedMetrics } from './memcached-metrics.ts'
import { ObjectMetrics } from './object-metrics.ts'
import { collectProcessMetrics } from './process-metrics.ts'
import { RepairMetrics } from './repair-metrics.ts'
import type { KeeperThreadData, MetricsPage } from './thread-data.ts'

interface WatchedBus {
  readonly isOpen: boolean
}

function addBus(registry: Registry, bus: WatchedBus): void {
  new Gauge({
    name: 'cairn_bus_connected',
    help: 'Whether the bus can be reached now: 1 or 0.',
    registers: [registry],
    collect() {
      this.set(bus.isOpen ? 1 : 0)
    },
  })
}

export class MasterMetrics {
  readonly #registry = new Registry()
  readonly #replies: Counter<'path' | 'status'>

  constructor() {
    collectProcessMetrics(this.#registry)
    this.#replies = new Counter({
      name: 'cairn_master_replies_total',
      help: 'Replies of the master, by path and status.',
      labelNames: ['path', 'status'],
      registers: [this.#registry],
    })
  }

  watchBus(bus: WatchedBus): void {
    addBus(this.#registry, bus)
  }

  noteReply(path: string, status: number): void {
    this.#replies.inc({ path, status: String(status) })
  }

  async page(): Promise<MetricsPage> {
    return { contentType: this.#registry.contentType, text: await this.#registry.metrics() }
  }
}

/** Of all threads of a volume server: they count in shared memory, and the keeper knows its volumes. */
export class VolumeMetrics {
  readonly #registry = new Registry()
  readonly #counters: VolumeCounters
  readonly #requests: Counter<'kind'>
  readonly #replies: Counter<'class'>
  readonly #bytes: Counter<'direction'>
  readonly #volumes: Gauge<'collection' | 'state'>
  readonly #stored: Gauge<'collection' | 'what'>
  readonly #disk: Gauge<'directory' | 'what'>
  readonly #index: Gauge
  readonly #damage: Gauge
  readonly #scrub: Record<'records' | 'bytes' | 'damaged' | 'cycles', Counter>
  readonly #scrubPosition: Gauge
  readonly #repair: RepairMetrics

  readonly #objects: ObjectMetrics | undefined
  readonly #memcached: MemcachedMetrics | undefined

  /** `beside`: what else runs on the volumes. */
  constructor(counters: VolumeCounters, beside: Pick<KeeperThreadData, 'objects' | 'memcached'>) {
    const { objects, memcached } = beside
    this.#counters = counters
    const registers = [this.#registry]
    collectProcessMetrics(this.#registry)
    this.#objects = objects && new ObjectMetrics(this.#registry, objects)
    this.#memcached = memcached && new MemcachedMetrics(this.#registry, memcached)
    this.#requests = new Counter({
      name: 'cairn_volume_requests_total',
      help: 'Requests, by kind.',
      labelNames: ['kind'],
      registers,
    })
    this.#replies = new Counter({
      name: 'cairn_volume_replies_total',
      help: 'Replies, by class of status.',
      labelNames: ['class'],
      registers,
    })
    this.#bytes = new Counter({
      name: 'cairn_volume_body_bytes_total',
      help: 'Bytes of bodies.',
      labelNames: ['direction'],
      registers,
    })
    this.#volumes = new Gauge({
      name: 'cairn_volumes',
      help: 'Volumes, by collection and state.',
      labelNames: ['collection', 'state'],
      registers,
    })
    this.#stored = new Gauge({
      name: 'cairn_volume_stored',
      help: 'Bytes and files of the volumes, garbage included and apart.',
      labelNames: ['collection', 'what'],
      registers,
    })
    this.#disk = new Gauge({
      name: 'cairn_disk_bytes',
      help: 'Space of the data directories.',
      labelNames: ['directory', 'what'],
      registers,
    })
    this.#index = new Gauge({ name: 'cairn_index_bytes', help: 'Memory of the needle indexes.', registers })
    this.#damage = new Gauge({
      name: 'cairn_damaged_records_found',
      help: 'Damaged records that reads met since the start.',
      registers,
    })
    const scrubbed = (what: string, help: string) =>
      new Counter({ name: `cairn_scrub_${what}_total`, help: `${help}, since the start.`, registers })
    this.#scrub = {
      records: scrubbed('records', 'Records that the scrub read'),
      bytes: scrubbed('bytes', 'Bytes of records that the scrub read'),
      damaged: scrubbed('damaged', 'Damaged records and files that the scrub found'),
      cycles: scrubbed('cycles', 'Cycles that the scrub ended'),
    }
    this.#repair = new RepairMetrics(this.#registry)
    this.#scrubPosition = new Gauge({
      name: 'cairn_scrub_position',
      help: 'How much of its present cycle the scrub has done, 0 to 1.',
      registers,
    })
  }

  watchBus(bus: WatchedBus): void {
    addBus(this.#registry, bus)
  }

  async page(
    status: StoreStatus,
    { indexBytes, scrub, repair }: { indexBytes: number; scrub: ScrubStatus; repair: RepairStatus },
  ): Promise<MetricsPage> {
    await this.#objects?.fill()
    this.#memcached?.fill()
    this.#fillCounters()
    this.#fillVolumes(status)
    this.#fillScrub(scrub)
    this.#repair.fill(repair)
    this.#index.set(indexBytes)
    return { contentType: this.#registry.contentType, text: await this.#registry.metrics() }
  }

  #fillCounters(): void {
    const totals = this.#counters.totals()
    for (const counter of [this.#requests, this.#replies, this.#bytes]) counter.reset()
    this.#requests.inc({ kind: 'read' }, totals.reads)
    this.#requests.inc({ kind: 'write' }, totals.writes)
    this.#requests.inc({ kind: 'delete' }, totals.deletes)
    this.#requests.inc({ kind: 'other' }, totals.otherRequests)
    this.#replies.inc({ class: '2xx' }, totals.status2xx)
    this.#replies.inc({ class: '3xx' }, totals.status3xx)
    this.#replies.inc({ class: '4xx' }, totals.status4xx)
    this.#replies.inc({ class: '5xx' }, totals.status5xx)
    this.#bytes.inc({ direction: 'received' }, totals.bytesReceived)
    this.#bytes.inc({ direction: 'sent' }, totals.bytesSent)
  }

  #fillScrub(status: ScrubStatus): void {
    for (const what of ['records', 'bytes', 'damaged', 'cycles'] as const) {
      this.#scrub[what].reset()
      this.#scrub[what].inc(status[what])
    }
    this.#scrubPosition.set(status.position)
  }

  #fillVolumes(status: StoreStatus): void {
    for (const gauge of [this.#volumes, this.#stored, this.#disk, this.#damage]) gauge.reset()
    for (const volume of status.volumes) {
      const { collection } = volume
      const state = volume.failed
        ? 'failed'
        : volume.readOnly
          ? 'read_only'
          : volume.full
            ? 'full'
            : 'writable'
      this.#volumes.inc({ collection, state })
      this.#stored.inc({ collection, what: 'bytes' }, volume.sizeBytes)
      this.#stored.inc({ collection, what: 'garbage_bytes' }, volume.deletedBytes)
      this.#stored.inc({ collection, what: 'files' }, volume.fileCount - volume.deleteCount)
      this.#damage.inc(volume.damageFound)
    }
    for (const directory of status.directories) {
      this.#disk.set({ directory: directory.path, what: 'total' }, directory.totalBytes)
      this.#disk.set({ directory: directory.path, what: 'free' }, directory.freeBytes)
    }
  }
}
