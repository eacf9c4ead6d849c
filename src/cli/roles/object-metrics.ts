/** What the threads of the object layer count, as metrics for Prometheus. */
import { Counter, Gauge, type Registry } from 'prom-client'
import { PortCaller } from '../../base/port-calls.ts'
import { VolumeCounters } from '../../blobs/volume-counters.ts'
import { UploadLoad } from '../../objects/upload-load.ts'
import { HashstoreCounters } from '../../protocols/hashstore/hashstore-counters.ts'
import { S3Counters } from '../../protocols/s3/s3-counters.ts'
import { SfssCounters } from '../../protocols/sfss/sfss-counters.ts'
import type { ObjectMetricsData, UpkeepCounts } from './thread-data.ts'

export class ObjectMetrics {
  readonly #s3: S3Counters
  readonly #filer: VolumeCounters
  readonly #objects: VolumeCounters
  readonly #sfss: SfssCounters
  readonly #hashstore: HashstoreCounters
  readonly #load: UploadLoad
  readonly #upkeep: PortCaller
  readonly #requests: Counter<'door' | 'action'>
  readonly #errors: Counter<'door' | 'action' | 'class'>
  readonly #bytes: Counter<'door' | 'direction'>
  readonly #uploads: Gauge
  readonly #uploadBytes: Gauge
  readonly #garbage: Gauge
  readonly #collected: Counter<'what'>
  readonly #lifecycle: Counter<'what'>

  constructor(registry: Registry, data: ObjectMetricsData) {
    this.#s3 = new S3Counters(data.s3Counters, 0)
    this.#filer = new VolumeCounters(data.filerCounters, 0)
    this.#objects = new VolumeCounters(data.objectsCounters, 0)
    this.#sfss = new SfssCounters(data.sfssCounters, 0)
    this.#hashstore = new HashstoreCounters(data.hashstoreCounters, 0)
    this.#load = new UploadLoad(data.uploadLoad)
    this.#upkeep = new PortCaller(data.counts)
    const registers = [registry]
    this.#requests = new Counter({
      name: 'cairn_requests_total',
      help: 'Requests to the doors of names, by action.',
      labelNames: ['door', 'action'],
      registers,
    })
    this.#errors = new Counter({
      name: 'cairn_request_errors_total',
      help: 'Requests to the doors of names that failed, by action and class of status.',
      labelNames: ['door', 'action', 'class'],
      registers,
    })
    this.#bytes = new Counter({
      name: 'cairn_request_bytes_total',
      help: 'Bytes of requests and replies of the doors of names.',
      labelNames: ['door', 'direction'],
      registers,
    })
    this.#uploads = new Gauge({ name: 'cairn_uploads', help: 'Long bodies that are coming in.', registers })
    this.#uploadBytes = new Gauge({
      name: 'cairn_upload_buffer_bytes',
      help: 'Memory that long bodies hold until they are written.',
      registers,
    })
    this.#garbage = new Gauge({
      name: 'cairn_garbage_waiting',
      help: 'Deleted and replaced contents whose bytes are still there, up to 100,000.',
      registers,
    })
    this.#collected = new Counter({
      name: 'cairn_garbage_collected_total',
      help: 'What the collector removed since the start, what it could not remove yet, and orphans that were found.',
      labelNames: ['what'],
      registers,
    })
    this.#lifecycle = new Counter({
      name: 'cairn_lifecycle_total',
      help: 'What the lifecycle rules of buckets did since the start.',
      labelNames: ['what'],
      registers,
    })
  }

  /** Reads all of them anew. */
  async fill(): Promise<void> {
    for (const counter of [this.#requests, this.#errors, this.#bytes, this.#collected]) counter.reset()
    this.#fillS3()
    this.#fillFiles('filer', this.#filer)
    this.#fillFiles('objects', this.#objects)
    this.#fillSfss()
    this.#fillHashstore()
    this.#uploads.set(this.#load.uploads)
    this.#uploadBytes.set(this.#load.bytesInFlight)
    await this.#fillUpkeep()
  }

  #fillS3(): void {
    const door = 's3'
    for (const [action, counts] of this.#s3.totals()) {
      this.#requests.inc({ door, action }, counts.requests)
      this.#errors.inc({ door, action, class: '4xx' }, counts.clientErrors)
      this.#errors.inc({ door, action, class: '5xx' }, counts.serverErrors)
      this.#bytes.inc({ door, direction: 'received' }, counts.bytesReceived)
      this.#bytes.inc({ door, direction: 'sent' }, counts.bytesSent)
    }
  }

  #fillFiles(door: string, counters: VolumeCounters): void {
    const totals = counters.totals()
    this.#requests.inc({ door, action: 'read' }, totals.reads)
    this.#requests.inc({ door, action: 'write' }, totals.writes)
    this.#requests.inc({ door, action: 'delete' }, totals.deletes)
    this.#requests.inc({ door, action: 'other' }, totals.otherRequests)
    this.#errors.inc({ door, action: 'any', class: '4xx' }, totals.status4xx)
    this.#errors.inc({ door, action: 'any', class: '5xx' }, totals.status5xx)
    this.#bytes.inc({ door, direction: 'received' }, totals.bytesReceived)
    this.#bytes.inc({ door, direction: 'sent' }, totals.bytesSent)
  }

  #fillSfss(): void {
    const door = 'sfss'
    const totals = this.#sfss.totals()
    this.#requests.inc({ door, action: 'read' }, totals.cmd_get)
    this.#requests.inc({ door, action: 'write' }, totals.cmd_set)
    this.#requests.inc({ door, action: 'delete' }, totals.cmd_delete)
    this.#bytes.inc({ door, direction: 'received' }, totals.bytes_read)
    this.#bytes.inc({ door, direction: 'sent' }, totals.bytes_written)
  }

  #fillHashstore(): void {
    const door = 'hashstore'
    const totals = this.#hashstore.totals()
    this.#requests.inc({ door, action: 'read' }, totals.reads)
    this.#requests.inc({ door, action: 'write' }, totals.writes)
    this.#requests.inc({ door, action: 'delete' }, totals.deletes)
    this.#requests.inc({ door, action: 'other' }, totals.others)
    this.#errors.inc({ door, action: 'any', class: 'refused' }, totals.refused)
    this.#errors.inc({ door, action: 'any', class: 'cut' }, totals.cut)
    this.#bytes.inc({ door, direction: 'received' }, totals.bytesReceived)
    this.#bytes.inc({ door, direction: 'sent' }, totals.bytesSent)
  }

  async #fillUpkeep(): Promise<void> {
    const counts = await this.#upkeep.call<UpkeepCounts>('counts')
    this.#garbage.set(counts.waiting)
    this.#collected.inc({ what: 'blobs' }, counts.removedBlobs)
    this.#collected.inc({ what: 'contents' }, counts.removedContents)
    this.#collected.inc({ what: 'postponed' }, counts.postponed)
    this.#collected.inc({ what: 'orphans' }, counts.orphans.orphans)
    this.#lifecycle.reset()
    for (const [what, count] of Object.entries(counts.lifecycle)) this.#lifecycle.inc({ what }, count)
  }
}
