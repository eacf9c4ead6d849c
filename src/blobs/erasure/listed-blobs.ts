/** What volumes list, as blobs: the needles of an erasure volume are shards, whose heads say how long the blobs are. */
import { groupVolumeOf, isErasure, layoutOf, shardIndexOf } from '../../base/erasure-id.ts'
import type { ListedNeedle } from '../../disk/volume-listing.ts'
import type { ListedBlob } from '../blob-store.ts'
import { readShardHead } from './packed-shard.ts'

/** Of one volume. What is no shard, where shards should be, is left out. */
export function listedBlobs(needles: readonly ListedNeedle[]): ListedBlob[] {
  const volumeId = needles[0]?.id.volumeId
  if (volumeId === undefined || !isErasure(volumeId))
    return needles.map(({ id, sizeBytes, appendedMs }) => ({ id, sizeBytes, appendedMs }))
  const layout = layoutOf(volumeId)
  const index = shardIndexOf(volumeId)
  const found: ListedBlob[] = []
  for (const { id, dataHead, appendedMs } of needles) {
    try {
      const { blobBytes } = readShardHead(layout, dataHead, index)
      found.push({ id: { ...id, volumeId: groupVolumeOf(volumeId) }, sizeBytes: blobBytes, appendedMs })
    } catch {
      // Another shard of the blob names it.
    }
  }
  return found
}
