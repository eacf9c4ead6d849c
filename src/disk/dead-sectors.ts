/**
 * Reading once around what the disk cannot read: a dead sector costs what is in it, not the file. Who reads a file again and again
 * remembers its `DeadPlaces`.
 */
import { toStoreError } from '../base/errors.ts'
import type { Disk } from './disk.ts'

/** The smallest part of a file that is read by itself. */
export const PIECE_BYTES = 4096

/** What disks and file systems answer for a place that is lost. */
const DEAD_CODES = new Set(['EIO', 'ENODATA', 'EILSEQ', 'EBADMSG', 'EUCLEAN'])

/** Whether a read failed for what it was to read. */
export function isUnreadable(error: unknown): boolean {
  return DEAD_CODES.has((error as NodeJS.ErrnoException | undefined)?.code ?? '')
}

/**
 * Fills `into` from a place of a file, piece by piece where the disk cannot read all of it. Pieces that it cannot read are zeros, and
 * told of. Returns the count of bytes, fewer only at the end of the file. Throws all other errors of the disk.
 */
export function readAround(
  disk: Disk,
  file: { handle: number; position: number },
  into: Buffer,
  onUnreadable: (fromBytes: number, toBytes: number) => void,
): number {
  const { handle, position } = file
  try {
    return disk.readSync(handle, into, 0, into.length, position)
  } catch (error) {
    if (!isUnreadable(error)) throw error
  }
  for (let at = 0; at < into.length; ) {
    const wanted = Math.min(into.length - at, PIECE_BYTES - ((position + at) % PIECE_BYTES))
    try {
      const count = disk.readSync(handle, into, at, wanted, position + at)
      if (count < wanted) return at + count
    } catch (error) {
      if (!isUnreadable(error)) throw error
      into.fill(0, at, at + wanted)
      onUnreadable(position + at, position + at + wanted)
    }
    at += wanted
  }
  return into.length
}

/** How many bytes there are at a place; none where the disk does not give them. */
export function readIfReadable(disk: Disk, file: { handle: number; position: number }, into: Buffer): number {
  try {
    return disk.readSync(file.handle, into, 0, into.length, file.position)
  } catch (error) {
    if (toStoreError(error).code === 'io_error') return 0
    throw error
  }
}

/** As `readFileWhole`, for a file that can be made anew: one that is there and cannot be read is empty, and so damaged. */
export function readSideFile(disk: Disk, path: string): Buffer | undefined {
  const stat = disk.stat(path)
  if (stat === undefined) return undefined
  const handle = disk.open(path, 'r')
  try {
    const bytes = Buffer.alloc(stat.sizeBytes)
    return bytes.subarray(0, disk.readSync(handle, bytes, 0, bytes.length, 0))
  } catch (error) {
    if (!isUnreadable(error)) throw error
    return Buffer.alloc(0)
  } finally {
    disk.close(handle)
  }
}
