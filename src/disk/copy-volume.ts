/**
 * Copies the files of a volume that nobody writes to into another directory, where they appear only when they are whole,
 * verified and on disk. They come together in a folder of their own first; what an earlier try left there is compared and
 * completed, not trusted. The source is only read.
 */
import { utimesSync } from 'node:fs'
import { StoreError } from '../base/errors.ts'
import type { Disk } from './disk.ts'
import { type CheckReport, checkVolume, type Finding } from './volume-check.ts'
import { placePath, refuseWideOffsets, type VolumePlace } from './volume-facts.ts'
import { EXTENSION, parseDatName, volumeBaseName } from './volume-paths.ts'

/** Below the target directory: volumes on their way. */
export const STAGING_FOLDER = 'arriving'
/** In the order in which they get their names: with `.dat` it is a volume. */
const COPIED = [EXTENSION.idx, EXTENSION.sums, EXTENSION.cairn, EXTENSION.dat]
const PIECE_BYTES = 4 * 1024 * 1024
const RESERVE_BYTES = 64 * 1024 * 1024

export interface CopyOptions {
  /** Called with the bytes of this volume that are copied or compared; ends the copy when it throws. */
  pause: (doneBytes: number) => Promise<void>
  onFinding: (finding: Finding) => void
}

/** Bytes of all files that are copied. */
export function copiedBytes(disk: Disk, place: VolumePlace): number {
  return COPIED.reduce((sum, extension) => sum + (disk.stat(placePath(place, extension))?.sizeBytes ?? 0), 0)
}

/** The volume of that number in a directory, whatever its collection. */
export function volumeInDirectory(disk: Disk, directory: string, volumeId: number): VolumePlace | undefined {
  for (const name of disk.list(directory)) {
    const parsed = parseDatName(name)
    if (parsed?.volumeId === volumeId) return { directory, ...parsed }
  }
  return undefined
}

/**
 * Brings the volume into `<target>/arriving`, synced and verified. Resolves to the place there and to what the check of the
 * copy found: damage that the source has. Throws `conflict` when the source changed meanwhile, `disk_full`, `unsupported`,
 * `io_error`.
 */
export async function stageCopy(
  disk: Disk,
  source: VolumePlace,
  target: string,
  options: CopyOptions,
): Promise<{ staged: VolumePlace; report: CheckReport }> {
  refuseWideOffsets(disk, source)
  const staged = { ...source, directory: `${target}/${STAGING_FOLDER}` }
  disk.mkdirSync(staged.directory)
  disk.syncDirectorySync(target)
  const { freeBytes } = disk.space(target)
  const missingBytes = copiedBytes(disk, source) - copiedBytes(disk, staged)
  if (freeBytes - RESERVE_BYTES < missingBytes)
    throw new StoreError('disk_full', `${missingBytes} bytes more are needed, ${freeBytes} are free`)
  const before = stampsOf(disk, source)
  let doneBytes = 0
  for (const extension of COPIED) {
    const [from, to] = [placePath(source, extension), placePath(staged, extension)]
    if (disk.stat(from) === undefined) disk.removeSync(to)
    else
      await copyFile(disk, { from, to }, async (bytes) => {
        doneBytes += bytes
        await options.pause(doneBytes)
      })
  }
  disk.syncDirectorySync(staged.directory)
  const report = await checkVolume(disk, staged, {
    onFinding: options.onFinding,
    pause: () => options.pause(doneBytes),
  })
  if (stampsOf(disk, source) !== before)
    throw new StoreError('conflict', 'it changed while it was copied: stop writes to it first')
  if (report.findings > 0 && !(await isSameVolume(disk, source, staged, () => options.pause(doneBytes))))
    throw new StoreError('io_error', 'the copy is not what was written')
  keepTimes(disk, source, staged)
  return { staged, report }
}

/** Sizes and times of the files, to see whether they change. */
function stampsOf(disk: Disk, place: VolumePlace): string {
  const stats = COPIED.map((extension) => disk.stat(placePath(place, extension)))
  return stats.map((stat) => `${stat?.sizeBytes} ${stat?.modifiedMs}`).join(', ')
}

/** The age of a volume with TTL is that of its `.dat`. */
function keepTimes(disk: Disk, source: VolumePlace, staged: VolumePlace): void {
  const modified = (disk.stat(placePath(source, EXTENSION.dat))?.modifiedMs ?? 0) / 1000
  utimesSync(placePath(staged, EXTENSION.dat), modified, modified)
}

/** Makes `to` the same as `from`, and syncs it. Pieces that are there already are compared and stay. */
async function copyFile(
  disk: Disk,
  { from, to }: { from: string; to: string },
  onBytes: (bytes: number) => Promise<void>,
): Promise<void> {
  const source = disk.open(from, 'r')
  let target = -1
  try {
    target = disk.open(to, disk.stat(to) === undefined ? 'wx+' : 'r+')
    const sizeBytes = disk.sizeSync(source)
    if (disk.sizeSync(target) > sizeBytes) disk.truncateSync(target, sizeBytes)
    const [wanted, present] = [Buffer.allocUnsafeSlow(PIECE_BYTES), Buffer.allocUnsafeSlow(PIECE_BYTES)]
    for (let at = 0; at < sizeBytes; at += PIECE_BYTES) {
      const count = await disk.read(source, wanted, 0, PIECE_BYTES, at)
      const there = await disk.read(target, present, 0, count, at)
      const piece = wanted.subarray(0, count)
      if (!piece.equals(present.subarray(0, there))) await disk.write(target, piece, 0, count, at)
      await onBytes(count)
    }
    await disk.fdatasync(target)
  } finally {
    disk.close(source)
    if (target !== -1) disk.close(target)
  }
}

/** True when the files that make a volume are the same in both places. */
export async function isSameVolume(
  disk: Disk,
  a: VolumePlace,
  b: VolumePlace,
  pause: (doneBytes: number) => Promise<void>,
): Promise<boolean> {
  const [path, other] = [placePath(a, EXTENSION.dat), placePath(b, EXTENSION.dat)]
  const sizeBytes = disk.stat(path)?.sizeBytes
  if (a.collection !== b.collection || sizeBytes === undefined || disk.stat(other)?.sizeBytes !== sizeBytes)
    return false
  const handles = [disk.open(path, 'r'), disk.open(other, 'r')] as const
  try {
    const [first, second] = [Buffer.allocUnsafeSlow(PIECE_BYTES), Buffer.allocUnsafeSlow(PIECE_BYTES)]
    for (let at = 0; at < sizeBytes; at += PIECE_BYTES) {
      const count = await disk.read(handles[0], first, 0, PIECE_BYTES, at)
      await disk.read(handles[1], second, 0, PIECE_BYTES, at)
      if (!first.subarray(0, count).equals(second.subarray(0, count))) return false
      await pause(at + count)
    }
    return true
  } finally {
    for (const handle of handles) disk.close(handle)
  }
}

/**
 * Gives staged files their names in `directory`, `.dat` last and durable. May be called again after a crash in it.
 * The caller knows that no volume of that number is there.
 */
export function placeStaged(disk: Disk, staged: VolumePlace, directory: string): void {
  const base = volumeBaseName(staged.collection, staged.volumeId)
  for (const extension of COPIED) {
    const from = placePath(staged, extension)
    if (extension === EXTENSION.dat) disk.syncDirectorySync(directory)
    if (disk.stat(from) !== undefined) disk.renameSync(from, `${directory}/${base}${extension}`)
  }
  disk.syncDirectorySync(directory)
  disk.syncDirectorySync(staged.directory)
}
