/**
 * One owner for each data directory, by an exclusive SQLite lock: the system frees it however the process ends, and other
 * programs of the store can test it.
 */
import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { StoreError } from '../base/errors.ts'

const NAME = 'cairn.lock'
const TRY_MS_MAX = 10_000
/** SQLITE_BUSY and SQLITE_LOCKED. */
const HELD: ReadonlySet<number> = new Set([5, 6])

export class DirectoryLock {
  readonly #database: DatabaseSync

  private constructor(database: DatabaseSync) {
    this.#database = database
  }

  /**
   * Takes the lock of an existing directory. A process that is just ending gets `tryMs` to do so.
   * Throws `in_use` when another process holds it, `io_error` when the directory cannot be written.
   */
  static take(directory: string, tryMs = TRY_MS_MAX): DirectoryLock {
    let database: DatabaseSync | undefined
    try {
      database = new DatabaseSync(`${directory}/${NAME}`, { timeout: tryMs })
      database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE')
      return new DirectoryLock(database)
    } catch (error) {
      database?.close()
      throw lockFailure(error, directory)
    }
  }

  /**
   * Keeps owners away from a directory that is only read, and changes nothing in it: undefined where no program of the store
   * ever was. Throws `in_use` when a process owns the directory, `io_error`.
   */
  static takeForReading(directory: string, tryMs = TRY_MS_MAX): DirectoryLock | undefined {
    const path = `${directory}/${NAME}`
    if (!existsSync(path)) return undefined
    let database: DatabaseSync | undefined
    try {
      database = new DatabaseSync(path, { timeout: tryMs, readOnly: true })
      database.exec('BEGIN; SELECT count(*) FROM sqlite_master')
      return new DirectoryLock(database)
    } catch (error) {
      database?.close()
      throw lockFailure(error, directory)
    }
  }

  /** Whether a program of the store ever owned the directory. */
  static isKnownIn(directory: string): boolean {
    return existsSync(`${directory}/${NAME}`)
  }

  release(): void {
    this.#database.close()
  }
}

function lockFailure(cause: unknown, directory: string): StoreError {
  const { errcode, message } = cause as Error & { errcode?: number }
  return HELD.has((errcode ?? 0) & 0xff)
    ? new StoreError('in_use', `another process uses the data directory ${directory}`, { cause })
    : new StoreError('io_error', `cannot lock the data directory ${directory}: ${message}`, { cause })
}
