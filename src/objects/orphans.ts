/**
 * The search for orphans: blobs of a process that died between writing them and naming them. What was appended since the
 * last search and before this process began is compared with all that rows name in one consistent state; the rest becomes garbage.
 */
import type { Clock } from '../base/clock.ts'
import { StoreError, toStoreError } from '../base/errors.ts'
import {
  CONTENT_PAGE_ENTRIES,
  GARBAGE_DELAY_MS,
  ORPHAN_GRACE_MS,
  SEARCHED_BLOBS_AT_ONCE,
  WRITER_SEEN_PERIOD_MS,
} from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import type { BlobStore, BlobVolume } from '../blobs/blob-store.ts'
import type { MetaStore } from '../meta/meta-store.ts'
import type { AnyScript } from '../meta/run-steps.ts'
import { BlobTable, type SizedBlob } from './content/blob-table.ts'
import { BLOB_ENTRY_BYTES, blobAt, packBlobs } from './content/entries.ts'
import { leaveBlobs } from './content/garbage-scripts.ts'
import { scanNames } from './content/name-scan.ts'
import {
  forgetSwept,
  oldestWrite,
  readSwept,
  removeWriter,
  seeWriter,
  writeSwept,
} from './content/sweep-scripts.ts'
import { newContentId } from './content-writer.ts'

/** Scripts that write, for the thread that runs them. */
export const ORPHAN_SCRIPTS: readonly AnyScript[] = [writeSwept, forgetSwept, seeWriter, removeWriter]

export interface OrphanSearchOptions {
  meta: MetaStore
  blobs: BlobStore
  clock: Clock
  random: Random
  log: Log
  /** The store's own volumes; nothing else in them is ever kept. */
  collection: string
  /** Default SEARCHED_BLOBS_AT_ONCE. */
  blobsAtOnce?: number
  /** What this process has seen of its own writes. */
  load?: { readonly mayHaveOrphans: boolean }
}

export interface OrphanCounts {
  searched: number
  orphans: number
}

export class OrphanSearch {
  readonly #options: OrphanSearchOptions
  #startMs = 0
  #volumes: BlobVolume[] = []
  #isStopped = false
  #isOver = false
  #isIncomplete = false
  #wake = () => {}

  constructor(options: OrphanSearchOptions) {
    this.#options = options
  }

  /** Remembers what there is now: call it before this process writes. Throws `unavailable` when a volume server does not answer. */
  async begin(): Promise<void> {
    this.#startMs = this.#options.clock.nowMs()
    this.#volumes = await this.#ownVolumes()
  }

  async #ownVolumes(): Promise<BlobVolume[]> {
    const { blobs, collection } = this.#options
    return (await blobs.volumes()).filter((volume) => volume.collection === collection)
  }

  /** Waits until no other process can have writes under way that are older than `begin`, then searches. Undefined: stopped. */
  async run(): Promise<OrphanCounts | undefined> {
    while (!(await this.#mayBegin())) {
      await new Promise<void>((resolve) => {
        const cancel = this.#options.clock.after(WRITER_SEEN_PERIOD_MS, resolve)
        this.#wake = () => {
          cancel()
          resolve()
        }
      })
      if (this.#isStopped) return undefined
    }
    return await this.search()
  }

  /** Ends the waiting, and the search, which the next start begins again. */
  stop(): void {
    this.#isStopped = true
    this.#wake()
  }

  async #mayBegin(): Promise<boolean> {
    const { meta, clock } = this.#options
    if (!meta.capabilities.sharedBetweenProcesses) return true
    const nowMs = clock.nowMs()
    const oldestMs = (await meta.read(oldestWrite, { deadBeforeMs: nowMs - ORPHAN_GRACE_MS })) ?? nowMs
    return oldestMs - ORPHAN_GRACE_MS >= this.#startMs
  }

  /** The search itself, of what was there at `begin`. */
  async search(): Promise<OrphanCounts> {
    const { meta, blobs, log } = this.#options
    const counts = { searched: 0, orphans: 0 }
    const before = new Map((await meta.read(readSwept, null)).map((swept) => [swept.volumeId, swept]))
    const isSwept = ({ volumeId, entries, revision }: BlobVolume) => {
      const swept = before.get(volumeId)
      return swept?.revision === revision && swept.entries >= entries
    }
    let table = new BlobTable()
    let inTable: BlobVolume[] = []
    const flush = async () => {
      await this.#compare(table, inTable, counts)
      table = new BlobTable()
    }
    const left = this.#volumes.filter((volume) => !isSwept(volume))
    for (const [at, volume] of left.entries()) {
      if (this.#isStopped) return counts
      const { volumeId, entries, revision } = volume
      const swept = before.get(volumeId)
      inTable.push(volume)
      try {
        for await (const batch of blobs.list(
          volumeId,
          swept?.revision === revision ? swept.entries : 0,
          entries,
        )) {
          for (const { id, sizeBytes } of batch)
            if (id.cookie !== undefined) table.add({ ...id, cookie: id.cookie }, sizeBytes)
          if (table.count >= (this.#options.blobsAtOnce ?? SEARCHED_BLOBS_AT_ONCE)) await flush()
        }
        if (table.count > 0 && at < left.length - 1) continue
        await flush()
        await meta.write(writeSwept, { volumes: inTable })
      } catch (error) {
        if (this.#isStopped) return counts
        // Compacted, moved or unreachable meanwhile: the search after the next start does it again.
        const { code, message } = toStoreError(error)
        log.warn({ volumeId, code, reason: message }, 'volumes are not searched for orphans now')
        this.#isIncomplete = true
        table = new BlobTable()
      }
      inTable = []
    }
    this.#isOver = true
    return counts
  }

  /** Throws `conflict` when a volume was compacted, and its entries are others now. */
  async #compare(table: BlobTable, volumes: readonly BlobVolume[], counts: OrphanCounts): Promise<void> {
    if (table.count === 0) return
    const now = new Map((await this.#ownVolumes()).map((volume) => [volume.volumeId, volume.revision]))
    if (volumes.some(({ volumeId, revision }) => now.get(volumeId) !== revision))
      throw new StoreError('conflict', 'a volume was compacted or moved meanwhile')
    counts.searched += table.count
    await scanNames(this.#options, {
      isStopped: () => this.#isStopped,
      blobs(blobs) {
        for (let at = 0; at < blobs.length / BLOB_ENTRY_BYTES; at++) {
          const blob = blobAt(blobs, at)
          table.name(blob, blob.sizeBytes)
        }
      },
    })
    const dueMs = this.#options.clock.nowMs() + GARBAGE_DELAY_MS
    counts.orphans += await leaveAll(this.#options, table.unnamed(), dueMs)
  }

  /**
   * After the last write of a process that ends as it should: then nothing is left to be searched. It does nothing where others
   * write too, the search had not come to its end, or a write of this process may have left something.
   */
  async markSwept(): Promise<void> {
    const { meta, load } = this.#options
    if (meta.capabilities.sharedBetweenProcesses || load?.mayHaveOrphans) return
    if (!this.#isOver || this.#isIncomplete) return
    await meta.write(writeSwept, { volumes: await this.#ownVolumes() })
  }
}

/** Blobs that nothing names become garbage; gives their number. */
export async function leaveAll(
  { meta, random }: { meta: MetaStore; random: Random },
  blobs: Iterable<SizedBlob>,
  dueMs: number,
): Promise<number> {
  let count = 0
  let group: SizedBlob[] = []
  const leave = async () => {
    if (group.length === 0) return
    await meta.write(leaveBlobs, { blobs: packBlobs(group), nonce: newContentId(random), dueMs })
    count += group.length
    group = []
  }
  for (const blob of blobs) {
    group.push(blob)
    if (group.length === CONTENT_PAGE_ENTRIES) await leave()
  }
  await leave()
  return count
}
