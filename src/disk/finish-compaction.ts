/**
 * What a crash in a compaction left behind. The rename of the new `.dat` is the step that decides: before it, the new files
 * are thrown away; after it, the new index and sidecar, which carry the same revision, take their places.
 */
import { type Disk, readFileWhole } from './disk.ts'
import { decodeSums } from './index-sums.ts'
import { EXTENSION } from './volume-paths.ts'

export function finishCompaction(
  disk: Disk,
  directory: string,
  base: string,
  compactionRevision: number,
): void {
  const path = (extension: string) => `${directory}/${base}${extension}`
  const exists = (extension: string) => disk.stat(path(extension)) !== undefined
  const leftovers = [EXTENSION.compactedDat, EXTENSION.compactedIdx, EXTENSION.compactedSums]
  if (!leftovers.some(exists)) return
  const sums = readFileWhole(disk, path(EXTENSION.compactedSums))
  const revision = sums === undefined ? undefined : decodeSums(sums)?.compactionRevision
  if (!exists(EXTENSION.compactedDat) && revision === compactionRevision) {
    if (exists(EXTENSION.compactedIdx)) disk.renameSync(path(EXTENSION.compactedIdx), path(EXTENSION.idx))
    disk.syncDirectorySync(directory)
    disk.renameSync(path(EXTENSION.compactedSums), path(EXTENSION.sums))
  }
  for (const extension of leftovers) if (exists(extension)) disk.removeSync(path(extension))
  disk.syncDirectorySync(directory)
}
