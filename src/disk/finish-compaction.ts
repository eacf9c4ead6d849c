/**
 * What a crash in a compaction left behind. The rename of the new `.dat` is the step that decides: before it, the new files
 * are thrown away; after it, the new index and sidecar, which carry the same revision, take their places. Where the new sidecar is
 * damaged, the records of `.dat` tell whose the new index is.
 */
import { readSideFile } from './dead-sectors.ts'
import type { Disk } from './disk.ts'
import { decodeSums } from './index-sums.ts'
import { EXTENSION } from './volume-paths.ts'

const LEFTOVERS = [EXTENSION.compactedDat, EXTENSION.compactedIdx, EXTENSION.compactedSums]

interface CompactedFiles {
  directory: string
  base: string
}

/** False when the new sidecar cannot say whether the compaction was decided: then `settleCompaction` does the rest. */
export function finishCompaction(disk: Disk, files: CompactedFiles, compactionRevision: number): boolean {
  const path = pathOf(files)
  const exists = (extension: string) => disk.stat(path(extension)) !== undefined
  if (!LEFTOVERS.some(exists)) return true
  const bytes = readSideFile(disk, path(EXTENSION.compactedSums))
  const sums = bytes === undefined ? undefined : decodeSums(bytes)
  if (!exists(EXTENSION.compactedDat)) {
    if (bytes !== undefined && sums === undefined) return false
    if (sums?.compactionRevision === compactionRevision) {
      if (exists(EXTENSION.compactedIdx)) disk.renameSync(path(EXTENSION.compactedIdx), path(EXTENSION.idx))
      disk.syncDirectorySync(files.directory)
      disk.renameSync(path(EXTENSION.compactedSums), path(EXTENSION.sums))
    }
  }
  removeLeftovers(disk, files)
  return true
}

/** `isDecided`: `.dat` is the new one, and `.cpx`, or `.idx` where that is gone, is its index, which no sidecar vouches for. */
export function settleCompaction(disk: Disk, files: CompactedFiles, isDecided: boolean): void {
  const path = pathOf(files)
  if (isDecided && disk.stat(path(EXTENSION.compactedIdx)) !== undefined) {
    disk.renameSync(path(EXTENSION.compactedIdx), path(EXTENSION.idx))
    disk.syncDirectorySync(files.directory)
  }
  removeLeftovers(disk, files)
}

function removeLeftovers(disk: Disk, files: CompactedFiles): void {
  const path = pathOf(files)
  for (const extension of LEFTOVERS)
    if (disk.stat(path(extension)) !== undefined) disk.removeSync(path(extension))
  disk.syncDirectorySync(files.directory)
}

function pathOf({ directory, base }: CompactedFiles): (extension: string) => string {
  return (extension) => `${directory}/${base}${extension}`
}
