/**
 * The search for orphans while the store is in use: blobs that nothing names, and that are too old to be on their way to a name.
 * The search at every start (`orphans.ts`) finds the same ones; this is for who does not want to wait for that.
 */

import type { Clock } from '../base/clock.ts'
import { blobVolumeOf } from '../base/erasure-id.ts'
import { toStoreError } from '../base/errors.ts'
import { GARBAGE_DELAY_MS, SEARCHED_BLOBS_AT_ONCE } from '../base/limits.ts'
import type { Random } from '../base/random.ts'
import type { BlobStore } from '../blobs/blob-store.ts'
import type { MetaStore } from '../meta/meta-store.ts'
import { BlobTable, type SizedBlob } from './content/blob-table.ts'
import { BLOB_ENTRY_BYTES, blobAt } from './content/entries.ts'
import { scanNames } from './content/name-scan.ts'
import { leaveAll } from './orphans.ts'

export interface OldOrphansOptions {
  meta: MetaStore
  blobs: BlobStore
  clock: Clock
  random: Random
  /** The store's own volumes; nothing else in them is ever kept. */
  collection: string
  /** Blobs that were appended later may still get their names. */
  appendedBeforeMs: number
  /** Nothing is removed. */
  isDryRun: boolean
  onProgress?: (counts: OldOrphans) => void
  /** Default SEARCHED_BLOBS_AT_ONCE. */
  blobsAtOnce?: number
}

export interface OldOrphans {
  searched: number
  orphans: number
  bytes: number
}

/** Orphans become garbage. Throws `unavailable` when a volume server does not answer, and what reading throws. */
export async function removeOldOrphans(options: OldOrphansOptions): Promise<OldOrphans> {
  const { blobs, collection, appendedBeforeMs, onProgress, blobsAtOnce = SEARCHED_BLOBS_AT_ONCE } = options
  const counts: OldOrphans = { searched: 0, orphans: 0, bytes: 0 }
  const volumes = (await blobs.volumes())
    .filter((volume) => volume.collection === collection)
    .sort((a, b) => a.volumeId - b.volumeId)
  let table = new BlobTable()
  for (const [at, { volumeId }] of volumes.entries()) {
    for await (const batch of blobs.list(volumeId, 0)) {
      for (const { id, sizeBytes, appendedMs } of batch)
        if (id.cookie !== undefined && appendedMs < appendedBeforeMs)
          table.add({ ...id, cookie: id.cookie }, sizeBytes)
    }
    // Volumes that hold shards of the same blobs are looked at together.
    const next = volumes[at + 1]
    const isWithNext = next !== undefined && blobVolumeOf(next.volumeId) === blobVolumeOf(volumeId)
    if (isWithNext || (next !== undefined && table.count < blobsAtOnce)) continue
    await removeUnnamed(table, options, counts)
    table = new BlobTable()
    onProgress?.(counts)
  }
  return counts
}

async function removeUnnamed(
  table: BlobTable,
  options: OldOrphansOptions,
  counts: OldOrphans,
): Promise<void> {
  const { blobs, clock, isDryRun } = options
  counts.searched += table.count
  await scanNames(options, {
    blobs(named) {
      for (let at = 0; at < named.length / BLOB_ENTRY_BYTES; at++) {
        const blob = blobAt(named, at)
        table.name(blob, blob.sizeBytes)
      }
    },
  })
  const orphans: SizedBlob[] = []
  for (const blob of table.unnamed()) if (await isThere(blobs, blob)) orphans.push(blob)
  counts.orphans += orphans.length
  counts.bytes += orphans.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  if (!isDryRun) await leaveAll(options, orphans, clock.nowMs() + GARBAGE_DELAY_MS)
}

/** The collector may have removed it since it was listed, together with its name. */
async function isThere(blobs: BlobStore, blob: SizedBlob): Promise<boolean> {
  try {
    await blobs.read(blob)
    return true
  } catch (error) {
    return toStoreError(error).code !== 'not_found'
  }
}
