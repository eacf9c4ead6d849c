/** Data directories: made where they are missing, and owned by one process at a time. */
import { existsSync, mkdirSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { StoreError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import { DirectoryLock } from '../../disk/directory-lock.ts'
import { realDisk } from '../../disk/real-disk.ts'

export interface OwnedDirectories {
  paths: string[]
  release(): void
}

/** For so long nobody is told that a directory is waited for: a process that ends is usually gone by then. */
const QUIET_WAIT_MS = 300

/** Throws `in_use` when another process has one of them and keeps it, `io_error` when one cannot be made. */
export function ownDirectories(given: readonly string[], log: Log): OwnedDirectories {
  const paths = given.map((path) => resolve(path))
  const locks: DirectoryLock[] = []
  const release = () => {
    for (const lock of locks.splice(0)) lock.release()
  }
  try {
    for (const path of paths) {
      makeDirectory(path)
      locks.push(takeLock(path, log))
    }
  } catch (error) {
    release()
    throw error
  }
  return { paths, release }
}

function takeLock(directory: string, log: Log): DirectoryLock {
  try {
    return DirectoryLock.take(directory, QUIET_WAIT_MS)
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'in_use') throw error
    log.info({ directory }, 'another process uses the data directory: waiting for its end')
    return DirectoryLock.take(directory)
  }
}

/** Below the data directories, so many for the volumes of erasure groups: as many as the largest layout has shards. */
export const SHARD_DIRECTORIES = 6

/**
 * Directories that take the place of disks for erasure groups where fewer than six are given. Those that are missing are made
 * when they are wanted, on the given ones in turn; those that are there are used, however many are given now.
 */
export function shardDirectories(given: readonly string[], options: { make: boolean }): string[] {
  const names = Array.from({ length: SHARD_DIRECTORIES }, (_, at) => `shards${at + 1}`)
  if (options.make && given.length < SHARD_DIRECTORIES) {
    for (const [at, name] of names.entries()) {
      if (given.some((path) => existsSync(join(path, name)))) continue
      makeDirectory(join(resolve(given[at % given.length]!), name))
    }
  }
  return given
    .flatMap((path) => names.map((name) => join(resolve(path), name)))
    .filter((path) => existsSync(path))
}

/** With those above it, to stay after a power loss. Throws `io_error`. */
export function makeDirectory(path: string): void {
  try {
    makeMissing(path)
  } catch (error) {
    throw new StoreError('io_error', `cannot make the directory ${path}: ${(error as Error).message}`)
  }
}

/** One by one: below /proc, where none can be made, Node's own call for all of them never ends. */
function makeMissing(path: string): void {
  if (isDirectory(path)) return
  makeMissing(dirname(path))
  try {
    mkdirSync(path, { mode: 0o750 })
  } catch (error) {
    // Somebody else may have made it meanwhile.
    if (!isDirectory(path)) throw error
  }
  // A power loss must not take a new directory away, with all that was acknowledged in it.
  realDisk.syncDirectorySync(dirname(path))
}

const isDirectory = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true

/** Resolves at the first signal to end. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolvePromise) => {
    if (signal.aborted) resolvePromise()
    else signal.addEventListener('abort', () => resolvePromise(), { once: true })
  })
}
