/** Frees commits' carried blobs once their volumes are on disk; after a crash, brings back those that the volumes have lost. */
import { type CarriedBlob, unpackCarriedBlobs } from '../../base/carried-blob.ts'
import type { Clock } from '../../base/clock.ts'
import { CARRIED_SYNC_MS } from '../../base/limits.ts'
import type { Log } from '../../base/log.ts'
import type { CarriedBlobs } from './carried-blobs.ts'

export interface CarriedVolumes {
  /** Brings what was written by now to disk, beside other work, where the volume is still here. Rejects with `io_error`. */
  syncCarried(volumeId: number): Promise<void>
  /** Writes the blob again unless it is there, or was removed since: true. Rejects where that cannot be told, or done. */
  restore(blob: CarriedBlob): Promise<boolean>
}

const KEPT = 'small files stay in the metadata: their volumes cannot be synced'

export class CarriedSyncs {
  readonly #blobs: CarriedBlobs
  readonly #volumes: CarriedVolumes
  readonly #clock: Clock
  readonly #log: Log
  /** Of rows that were committed since the last sync began, and the first of these rows. */
  #unsynced = new Set<number>()
  #firstRow: number
  #cancel = () => {}
  #running: Promise<void> | undefined

  constructor(parts: { blobs: CarriedBlobs; volumes: CarriedVolumes; clock: Clock; log: Log }) {
    this.#blobs = parts.blobs
    this.#volumes = parts.volumes
    this.#clock = parts.clock
    this.#log = parts.log
    this.#firstRow = parts.blobs.lastRow + 1
  }

  /** A commit carries blobs of this volume. */
  note(volumeId: number): void {
    if (this.#unsynced.size === 0) this.#cancel = this.#clock.after(CARRIED_SYNC_MS, () => void this.sync())
    this.#unsynced.add(volumeId)
  }

  /** Brings the volumes of all that was committed by now to disk. What cannot be stays in the rows, for the next start. */
  async sync(): Promise<void> {
    this.#cancel()
    while (this.#running !== undefined) await this.#running
    if (this.#unsynced.size === 0) return
    this.#running = this.#sync().finally(() => {
      this.#running = undefined
    })
    await this.#running
  }

  async #sync(): Promise<void> {
    const volumes = this.#unsynced
    const first = this.#firstRow
    const last = this.#blobs.lastRow
    this.#unsynced = new Set()
    this.#firstRow = last + 1
    try {
      await Promise.all([...volumes].map((volumeId) => this.#volumes.syncCarried(volumeId)))
      this.#blobs.drop(first, last)
    } catch (error) {
      this.#log.error({ error }, KEPT)
    }
  }

  /** After a crash, before anybody reads: all blobs of rows that are left are brought to their volumes, and these to disk. */
  async restore(): Promise<void> {
    const last = this.#firstRow - 1
    const volumes = new Set<number>()
    const rows: number[] = []
    let keptRows = 0
    let writtenBlobs = 0
    for (let found = this.#blobs.next(1); found !== undefined && found.row <= last; ) {
      const { row, packed } = found
      try {
        for (const blob of unpackCarriedBlobs(packed)) {
          if (await this.#volumes.restore(blob)) writtenBlobs++
          volumes.add(blob.volumeId)
        }
        rows.push(row)
      } catch (error) {
        keptRows++
        this.#log.error({ error }, 'small files stay in the metadata: they cannot be brought to their volume')
      }
      found = this.#blobs.next(row + 1)
    }
    try {
      await Promise.all([...volumes].map((volumeId) => this.#volumes.syncCarried(volumeId)))
      if (keptRows === 0 && rows.length > 0) this.#blobs.drop(1, last)
      else for (const row of rows) this.#blobs.drop(row, row)
    } catch (error) {
      this.#log.error({ error }, KEPT)
    }
    if (writtenBlobs > 0)
      this.#log.info({ blobs: writtenBlobs }, 'volumes had lost small files: brought back')
  }
}
