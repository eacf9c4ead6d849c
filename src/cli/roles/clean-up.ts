/** What processes that died have left: parts of uploads that ended, and blobs that no row names. Done once, behind the start. */
import type { Clock } from '../../base/clock.ts'
import { toStoreError } from '../../base/errors.ts'
import { UPKEEP_PREPARE_MS_MAX, UPKEEP_RETRY_MS } from '../../base/limits.ts'
import type { Log } from '../../base/log.ts'
import type { Random } from '../../base/random.ts'
import type { BlobStore } from '../../blobs/blob-store.ts'
import type { MetaStore } from '../../meta/meta-store.ts'
import { claimBlobs } from '../../objects/installation.ts'
import { type OrphanCounts, OrphanSearch } from '../../objects/orphans.ts'
import type { UploadLoad } from '../../objects/upload-load.ts'
import { clearEndedUploads } from '../../objects/uploads.ts'
import { OBJECTS_COLLECTION } from './object-parts.ts'

export interface CleanUpParts {
  meta: MetaStore
  blobs: BlobStore
  clock: Clock
  random: Random
  log: Log
  /** Says whether a write of this process may have left something. */
  load: UploadLoad
}

export class CleanUp {
  /** What was found since the start. */
  orphans: OrphanCounts = { searched: 0, orphans: 0 }
  readonly #parts: CleanUpParts
  readonly #search: OrphanSearch
  /** Resolves in any case, when it has ended. */
  #running: Promise<void> = Promise.resolve()
  #isPrepared = false

  constructor(parts: CleanUpParts) {
    this.#parts = parts
    this.#search = new OrphanSearch({ ...parts, collection: OBJECTS_COLLECTION })
  }

  /**
   * Before this process writes objects. Throws `conflict` when the blobs belong to other names than these. Where not all volumes
   * are known in time, the next start searches.
   */
  async prepare(): Promise<void> {
    const { clock, log } = this.#parts
    const deadlineMs = clock.monotonicMs() + UPKEEP_PREPARE_MS_MAX
    while (!this.#isPrepared) {
      try {
        await claimBlobs({ ...this.#parts, collection: OBJECTS_COLLECTION })
        await this.#search.begin()
        this.#isPrepared = true
      } catch (error) {
        const { code, message } = toStoreError(error)
        if (code !== 'unavailable' && code !== 'timeout' && code !== 'no_writable_volume') throw error
        if (clock.monotonicMs() + UPKEEP_RETRY_MS > deadlineMs) {
          log.warn({ code, reason: message }, 'no search for orphans: not all volumes are known')
          return
        }
        await clock.sleep(UPKEEP_RETRY_MS)
      }
    }
  }

  start(): void {
    this.#running = this.#run().catch((error: unknown) => {
      this.#parts.log.warn({ error }, 'what earlier processes left is not removed now')
    })
  }

  async #run(): Promise<void> {
    await clearEndedUploads(this.#parts)
    if (!this.#isPrepared) return
    const counts = await this.#search.run()
    if (counts === undefined) return
    this.orphans = counts
    if (counts.searched > 0) this.#parts.log.info({ ...counts }, 'searched for orphans')
  }

  /** After this process has written its last object. */
  async stop(): Promise<void> {
    this.#search.stop()
    await this.#running
    if (!this.#isPrepared) return
    try {
      await this.#search.markSwept()
    } catch (error) {
      this.#parts.log.debug({ error }, 'the next start searches for orphans')
    }
  }
}
