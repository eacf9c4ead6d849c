/**
 * The file operations that the engine uses, as an interface: the machine's own files, or a simulated disk
 * that loses, tears and reorders what was not synced (`test/sim/sim-disk.ts`). All positions and lengths are bytes.
 * Failures throw (or reject with) the operating system's error, `code` set: ENOENT, ENOSPC, EIO, …
 */

export interface FileStat {
  sizeBytes: number
  modifiedMs: number
  isDirectory: boolean
}

export interface DiskSpace {
  totalBytes: number
  /** Free for an ordinary user. */
  freeBytes: number
  /** The same for all paths on one disk; undefined where that is not known. */
  disk?: number
}

/** `r` reads, `r+` reads and writes an existing file, `wx+` makes a new one and fails if it exists, `w+` makes or empties. */
export type OpenMode = 'r' | 'r+' | 'wx+' | 'w+'

export interface Disk {
  /** A file handle: a number that every thread of the process may use. */
  open(path: string, mode: OpenMode): number
  close(handle: number): void
  /**
   * The same without keeping the thread, for a file that may have no name any more: its room is given back then, which takes 0.2 s for 1 GiB.
   * Nobody is told of a failure.
   */
  closeSoon(handle: number): void
  /** Reads at most `length` bytes; fewer only at the end of the file. Returns the count. */
  readSync(handle: number, into: Buffer, intoOffset: number, length: number, position: number): number
  read(handle: number, into: Buffer, intoOffset: number, length: number, position: number): Promise<number>
  /** Writes all `length` bytes, or throws. A throw may leave a part written. */
  writeSync(handle: number, from: Buffer, fromOffset: number, length: number, position: number): void
  write(handle: number, from: Buffer, fromOffset: number, length: number, position: number): Promise<void>
  /** Makes the file's data, and the size needed to read it, durable. */
  fdatasync(handle: number): Promise<void>
  fdatasyncSync(handle: number): void
  truncateSync(handle: number, sizeBytes: number): void
  /** Size of an open file. */
  sizeSync(handle: number): number
  stat(path: string): FileStat | undefined
  /** Makes a directory's entries durable. Needed after a file in it was made, renamed or removed. */
  syncDirectorySync(path: string): void
  mkdirSync(path: string): void
  list(path: string): string[]
  renameSync(from: string, to: string): void
  removeSync(path: string): void
  space(path: string): DiskSpace
}

/** Reads a whole small file, or undefined when it is not there. */
export function readFileWhole(disk: Disk, path: string): Buffer | undefined {
  const stat = disk.stat(path)
  if (stat === undefined) return undefined
  const handle = disk.open(path, 'r')
  try {
    const bytes = Buffer.alloc(stat.sizeBytes)
    const count = disk.readSync(handle, bytes, 0, bytes.length, 0)
    return bytes.subarray(0, count)
  } finally {
    disk.close(handle)
  }
}

/** Replaces a small file as one step that survives a power loss: the old content or the new, never a mixture. */
export function replaceFileDurably(disk: Disk, directory: string, name: string, content: Buffer): void {
  const [path, temporary] = [`${directory}/${name}`, `${directory}/${name}.tmp`]
  const handle = disk.open(temporary, 'w+')
  try {
    disk.writeSync(handle, content, 0, content.length, 0)
    disk.fdatasyncSync(handle)
  } finally {
    disk.close(handle)
  }
  disk.renameSync(temporary, path)
  disk.syncDirectorySync(directory)
}
