/** What is done for objects in the background, and in which order: see `upkeep-thread.ts`. */
import type { Clock } from '../../base/clock.ts'
import { StoreError } from '../../base/errors.ts'
import { LIFECYCLE_PERIOD_MS } from '../../base/limits.ts'
import type { Log } from '../../base/log.ts'
import type { Random } from '../../base/random.ts'
import type { BlobStore } from '../../blobs/blob-store.ts'
import type { MetaStore } from '../../meta/meta-store.ts'
import { GarbageCollector } from '../../objects/collector.ts'
import { inlineHashPool } from '../../objects/digests.ts'
import { Lifecycle } from '../../objects/lifecycle.ts'
import { UploadLoad } from '../../objects/upload-load.ts'
import { CleanUp } from './clean-up.ts'
import { type ClusterParts, clusterParts } from './cluster-parts.ts'
import { objectParts, openBlobs, openMetadata, openVolumes } from './object-parts.ts'
import type { UpkeepCounts, UpkeepThreadData } from './thread-data.ts'

interface Services {
  log: Log
  clock: Clock
  random: Random
}

/** What works on the metadata, once they are open. */
interface Open {
  meta: MetaStore
  collector: GarbageCollector
  cleanUp: CleanUp
  lifecycle: Lifecycle
}

export class Upkeep {
  readonly #data: UpkeepThreadData
  readonly #services: Services
  readonly #volumes: ReturnType<typeof openVolumes>
  readonly #cluster: ClusterParts
  readonly #blobs: BlobStore
  #open: Open | undefined
  #stopTimer: (() => void) | undefined

  constructor(data: UpkeepThreadData, services: Services) {
    this.#data = data
    this.#services = services
    this.#volumes = openVolumes(data.shared, services)
    this.#cluster = clusterParts({ ...data, ...services })
    const { view: volumes } = this.#volumes
    this.#blobs = openBlobs({ cluster: this.#cluster, volumes, sync: data.sync, ...services })
  }

  /** The metadata are open, the cluster can be reached, and nobody writes yet. Throws as `CleanUp.prepare` does. */
  async prepare(): Promise<void> {
    const services = this.#services
    const meta = await openMetadata(this.#data.metadata, services)
    const parts = { meta, blobs: this.#blobs, ...services }
    const load = new UploadLoad(this.#data.uploadLoad)
    const { redundancy } = this.#data
    const cleanUp = new CleanUp({ ...parts, load })
    const collector = new GarbageCollector({ ...parts, delayMs: this.#data.garbageDelayMs })
    const { objects } = objectParts({ ...parts, load, redundancy, hashPool: inlineHashPool })
    const lifecycle = new Lifecycle({ ...services, objects, dayMs: this.#data.lifecycleDayMs })
    this.#open = { meta, cleanUp, collector, lifecycle }
    await cleanUp.prepare()
  }

  start(): void {
    const { collector, cleanUp, lifecycle } = this.#opened()
    collector.start()
    cleanUp.start()
    const periodMs = Math.min(LIFECYCLE_PERIOD_MS, this.#data.lifecycleDayMs)
    this.#stopTimer = this.#services.clock.every(periodMs, () => void lifecycle.pass())
  }

  /** After the last write of others. */
  async stop(): Promise<void> {
    this.#stopTimer?.()
    if (this.#open !== undefined) {
      const { meta, collector, cleanUp, lifecycle } = this.#open
      await Promise.all([collector.stop(), lifecycle.stop()])
      await cleanUp.stop()
      await meta.close()
    }
    this.#blobs.close()
    this.#volumes.close()
    await this.#cluster.close()
  }

  async counts(): Promise<UpkeepCounts> {
    const { collector, cleanUp, lifecycle } = this.#opened()
    const waiting = await collector.waiting()
    return { ...collector.counts, waiting, orphans: cleanUp.orphans, lifecycle: lifecycle.counts }
  }

  #opened(): Open {
    if (this.#open === undefined) throw new StoreError('unavailable', 'the server still starts')
    return this.#open
  }
}
