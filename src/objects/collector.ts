/**
 * Removes what is due in the table of garbage: first the blobs, then the rows that name them, so that whatever ends half way
 * is done again. Nothing else removes an object's blobs. Blobs in volumes that nobody has had for long are forgotten; should such a
 * volume come back, the search for orphans finds them.
 */
import type { Clock } from '../base/clock.ts'
import { StoreError, toStoreError } from '../base/errors.ts'
import {
  GARBAGE_AWAY_RETRY_MS,
  GARBAGE_DELAY_MS,
  GARBAGE_PERIOD_MS,
  GARBAGE_RETRY_MS,
  GARBAGE_ROWS_AT_ONCE,
} from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { BlobId, BlobStore } from '../blobs/blob-store.ts'
import type { MetaStore } from '../meta/meta-store.ts'
import type { AnyScript } from '../meta/run-steps.ts'
import { AwayVolumes, byVolume, isVolumeAway } from './content/away-volumes.ts'
import { unpackBlobs } from './content/entries.ts'
import {
  countGarbage,
  dissolveContent,
  dropGarbage,
  dueGarbage,
  type GarbageKey,
  type GarbageRow,
  postponeGarbage,
} from './content/garbage-scripts.ts'
import { forgetSwept } from './content/sweep-scripts.ts'

/** Scripts that write, for the thread that runs them. */
export const GARBAGE_SCRIPTS: readonly AnyScript[] = [dropGarbage, dissolveContent, postponeGarbage]

const WAITING_COUNTED_MAX = 100_000

export interface CollectorOptions {
  meta: MetaStore
  blobs: BlobStore
  clock: Clock
  log: Log
  /** How long garbage is kept, for readers that began before. Default GARBAGE_DELAY_MS, by which rows say when they are due. */
  delayMs?: number
}

/** Since the start. */
export interface CollectorCounts {
  removedBlobs: number
  removedContents: number
  /** Rows whose blobs could not be removed, each time. */
  postponed: number
}

export class GarbageCollector {
  readonly counts: CollectorCounts = { removedBlobs: 0, removedContents: 0, postponed: 0 }
  readonly #options: CollectorOptions
  readonly #away = new AwayVolumes()
  #running: Promise<void> | undefined
  #stopTimer: (() => void) | undefined
  #isStopped = false

  constructor(options: CollectorOptions) {
    this.#options = options
  }

  /** Collects each `periodMs` until it is stopped. */
  start(periodMs = GARBAGE_PERIOD_MS): void {
    this.#stopTimer = this.#options.clock.every(periodMs, () => void this.#collectQuietly())
  }

  /** Ends after the step that is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#stopTimer?.()
    await this.#running?.catch(() => {})
  }

  /** Rows of garbage, due or not, up to 100,000. */
  async waiting(): Promise<number> {
    return await this.#options.meta.read(countGarbage, { limit: WAITING_COUNTED_MAX })
  }

  /** Removes all that is due by now. Calls at the same time share one run. */
  collect(): Promise<void> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #collectQuietly(): Promise<void> {
    try {
      await this.collect()
    } catch (error) {
      const { code, message } = toStoreError(error)
      this.#options.log.warn({ code, reason: message }, 'garbage is not collected now')
    }
  }

  async #run(): Promise<void> {
    const { meta, clock, delayMs = GARBAGE_DELAY_MS } = this.#options
    while (!this.#isStopped) {
      const nowMs = clock.nowMs() + GARBAGE_DELAY_MS - delayMs
      const rows = await meta.read(dueGarbage, { nowMs, limit: GARBAGE_ROWS_AT_ONCE })
      if (rows.length === 0) return
      await this.#removeBlobs(rows.filter((row) => row.blobs !== null || row.content_id === null))
      for (const row of rows) {
        if (this.#isStopped) return
        if (row.content_id !== null) await this.#removeContent(row, row.content_id)
      }
    }
  }

  /** All at once; where that fails, one row after the other, so that one volume that is away does not stop the rest. */
  async #removeBlobs(rows: readonly GarbageRow[]): Promise<void> {
    if (rows.length === 0) return
    const ids = rows.flatMap((row) => (row.blobs === null ? [] : unpackBlobs(row.blobs)))
    try {
      await this.#remove(ids)
    } catch (error) {
      if (rows.length === 1) return await this.#postpone(rows[0]!, error)
      for (const row of rows) await this.#removeBlobs([row])
      return
    }
    // A row that names a content too is dropped with it.
    const done = rows.filter((row) => row.content_id === null)
    await this.#options.meta.write(dropGarbage, { rows: done.map(keyOf) })
    this.counts.removedBlobs += ids.length
  }

  /** Throws where a blob is still there, or its volume may come back. */
  async #remove(ids: readonly BlobId[]): Promise<void> {
    const { blobs, clock, meta, log } = this.#options
    const nowMs = clock.nowMs()
    const volumes = byVolume(ids)
    const isAnyAway = [...volumes.keys()].some((volumeId) => this.#away.isAway(volumeId, nowMs))
    if (volumes.size > 1 && !isAnyAway) {
      try {
        await blobs.remove(ids)
        for (const volumeId of volumes.keys()) this.#away.isBack(volumeId)
        return
      } catch (error) {
        if (!isVolumeAway(error)) throw error
      }
    }
    const lost: number[] = []
    let failure: unknown
    for (const [volumeId, some] of volumes) {
      try {
        if (this.#away.isAway(volumeId, nowMs)) throw away(volumeId)
        await blobs.remove(some)
        this.#away.isBack(volumeId)
      } catch (error) {
        if (isVolumeAway(error) && !this.#away.isAway(volumeId, nowMs)) {
          const { wasAway } = this.#away.note(volumeId, nowMs)
          if (!wasAway) log.warn({ volumeId }, 'garbage is in a volume that no server has')
        }
        if (this.#away.isLost(volumeId, nowMs)) lost.push(volumeId)
        else failure ??= error
      }
    }
    if (failure !== undefined) throw failure
    if (lost.length > 0) await meta.write(forgetSwept, { volumeIds: lost })
  }

  async #removeContent(row: GarbageRow, contentId: Buffer): Promise<void> {
    const { meta, clock } = this.#options
    const step = { row: keyOf(row), contentId, nowMs: clock.nowMs() }
    let emptied: number[] = []
    while (!this.#isStopped) {
      const { pages, isDone } = await meta.write(dissolveContent, { ...step, emptied })
      if (isDone) {
        this.counts.removedContents++
        return
      }
      emptied = pages.map(({ page }) => page)
      const ids: BlobId[] = pages.flatMap(({ blobs }) => unpackBlobs(Buffer.from(blobs)))
      try {
        await this.#remove(ids)
      } catch (error) {
        return await this.#postpone(row, error)
      }
      this.counts.removedBlobs += ids.length
    }
  }

  async #postpone(row: GarbageRow, cause: unknown): Promise<void> {
    const { meta, clock, log } = this.#options
    const isAway = isVolumeAway(cause)
    if (!isAway) {
      const { code, message } = toStoreError(cause)
      log.warn({ code, reason: message }, 'blobs could not be removed; tried again later')
    }
    const untilMs = clock.nowMs() + (isAway ? GARBAGE_AWAY_RETRY_MS : GARBAGE_RETRY_MS)
    await meta.write(postponeGarbage, { row: keyOf(row), untilMs })
    this.counts.postponed++
  }
}

const keyOf = (row: GarbageRow): GarbageKey => ({ dueMs: row.due_ms, nonce: row.nonce })

const away = (volumeId: number) => new StoreError('volume_not_found', `no server has volume ${volumeId}`)
