/**
 * Puts the files of a volume that cannot be opened out of the way, so that another one can take its place: for volumes whose content
 * can be had from others. Nothing is removed; who wants them back renames them.
 */
import type { Disk } from './disk.ts'
import { EXTENSION } from './volume-paths.ts'

const SUFFIX = '.aside'

/** Replaces files that were set aside before. `.dat` goes first: what is left of a crash then is no volume. Throws the disk's error. */
export function setVolumeAside(disk: Disk, directory: string, base: string): void {
  for (const extension of Object.values(EXTENSION)) {
    const path = `${directory}/${base}${extension}`
    if (disk.stat(path) === undefined) continue
    disk.renameSync(path, path + SUFFIX)
    if (extension === EXTENSION.dat) disk.syncDirectorySync(directory)
  }
  disk.syncDirectorySync(directory)
}
