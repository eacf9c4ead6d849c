/** The machine's own files, by `node:fs`. Handles are file descriptors, which all threads of a process share. */
import fs from 'node:fs'
import type { Disk } from './disk.ts'

/** An error with a code, for a write or read that stopped without one. */
function shortTransfer(what: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`EIO: ${what} stopped early`), { code: 'EIO' })
}

export const realDisk: Disk = {
  open: (path, mode) => fs.openSync(path, mode === 'wx+' ? 'wx+' : mode, 0o640),
  close: (handle) => fs.closeSync(handle),
  closeSoon: (handle) => fs.close(handle, () => {}),
  readSync(handle, into, intoOffset, length, position) {
    let done = fs.readSync(handle, into, intoOffset, length, position)
    while (done < length) {
      const count = fs.readSync(handle, into, intoOffset + done, length - done, position + done)
      if (count === 0) break
      done += count
    }
    return done
  },
  async read(handle, into, intoOffset, length, position) {
    let done = 0
    while (done < length) {
      const count = await readOnce(handle, into, intoOffset + done, length - done, position + done)
      if (count === 0) break
      done += count
    }
    return done
  },
  writeSync(handle, from, fromOffset, length, position) {
    let done = fs.writeSync(handle, from, fromOffset, length, position)
    while (done < length) {
      const count = fs.writeSync(handle, from, fromOffset + done, length - done, position + done)
      if (count === 0) throw shortTransfer('write')
      done += count
    }
  },
  async write(handle, from, fromOffset, length, position) {
    let done = 0
    while (done < length) {
      const count = await writeOnce(handle, from, fromOffset + done, length - done, position + done)
      if (count === 0) throw shortTransfer('write')
      done += count
    }
  },
  fdatasync: (handle) =>
    new Promise((resolve, reject) => {
      fs.fdatasync(handle, (error) => (error === null ? resolve() : reject(error)))
    }),
  fdatasyncSync: (handle) => fs.fdatasyncSync(handle),
  truncateSync: (handle, sizeBytes) => fs.ftruncateSync(handle, sizeBytes),
  sizeSync: (handle) => fs.fstatSync(handle).size,
  stat(path) {
    const stat = fs.statSync(path, { throwIfNoEntry: false })
    if (stat === undefined) return undefined
    return { sizeBytes: stat.size, modifiedMs: stat.mtimeMs, isDirectory: stat.isDirectory() }
  },
  syncDirectorySync(path) {
    const handle = fs.openSync(path, 'r')
    try {
      fs.fsyncSync(handle)
    } finally {
      fs.closeSync(handle)
    }
  },
  mkdirSync: (path) => void fs.mkdirSync(path, { recursive: true, mode: 0o750 }),
  list: (path) => fs.readdirSync(path),
  renameSync: (from, to) => fs.renameSync(from, to),
  removeSync: (path) => fs.rmSync(path, { force: true }),
  space(path) {
    const space = fs.statfsSync(path)
    const { dev: disk } = fs.statSync(path)
    return { totalBytes: space.blocks * space.bsize, freeBytes: space.bavail * space.bsize, disk }
  },
}

function readOnce(
  handle: number,
  into: Buffer,
  offset: number,
  length: number,
  position: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.read(handle, into, offset, length, position, (error, count) =>
      error ? reject(error) : resolve(count),
    )
  })
}

function writeOnce(
  handle: number,
  from: Buffer,
  offset: number,
  length: number,
  position: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.write(handle, from, offset, length, position, (error, count) =>
      error ? reject(error) : resolve(count),
    )
  })
}
