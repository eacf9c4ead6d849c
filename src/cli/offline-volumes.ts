/** What the actions on volumes without a server have in common: the directory and its lock, the filters, output, progress. */
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { StoreError, toStoreError } from '../base/errors.ts'
import { DirectoryLock } from '../disk/directory-lock.ts'
import { OfflineStore } from '../disk/offline-store.ts'
import { realDisk } from '../disk/real-disk.ts'
import { listVolumes, placePath, type VolumePlace } from '../disk/volume-facts.ts'
import { parseDatName } from '../disk/volume-paths.ts'
import { startByteProgress } from './byte-progress.ts'
import type { Context } from './command.ts'
import type { Config, SettingKey } from './config.ts'
import { UsageError } from './usage-error.ts'

export const OFFLINE_SETTINGS = ['volumeId', 'collection', 'json'] as const satisfies readonly SettingKey[]
export type OfflineConfig = Config<(typeof OFFLINE_SETTINGS)[number]>

/** A process that is just ending gets so long. */
const LOCK_TRY_MS = 1_000
/** Others, such as the progress line and signals, get their turn this often. */
const TURN_MS = 20

export interface OfflineDirectory {
  path: string
  volumes: VolumePlace[]
  release(): void
}

/** The directory and the volumes asked for, ours until `release`. Throws `in_use` while a server runs. */
export function openOffline(
  given: string,
  config: OfflineConfig,
  use: 'reading' | 'changing',
): OfflineDirectory {
  const path = existingDirectory(given)
  // Not even a lock is left in a directory that is none of a store.
  const isStore =
    DirectoryLock.isKnownIn(path) || realDisk.list(path).some((name) => parseDatName(name) !== undefined)
  const lock = isStore ? takeDirectory(path, use) : undefined
  try {
    const filter = { volumeIds: config.volumeId.map(Number), collection: config.collection }
    const volumes = listVolumes(realDisk, path, filter)
    const missing = filter.volumeIds.filter((id) => !volumes.some(({ volumeId }) => volumeId === id))
    if (missing.length > 0)
      throw new StoreError('volume_not_found', `${path} has no volume ${missing.join(', ')}`)
    return { path, volumes, release: () => lock?.release() }
  } catch (error) {
    lock?.release()
    throw toStoreError(error)
  }
}

/** What repairs and compacts the volumes of the directory. */
export function offlineStore(
  { path: directory }: OfflineDirectory,
  { indexMemoryBytes: indexBytesMax }: { indexMemoryBytes: number },
  { clock, random }: Context,
): OfflineStore {
  return new OfflineStore({ disk: realDisk, clock, random, directory, indexBytesMax })
}

/** The absolute path. Throws `UsageError` when it is no directory. */
export function existingDirectory(given: string): string {
  const path = resolve(given)
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new UsageError(`${given} is not a directory`)
  return path
}

/** Throws `in_use` while a server or another command has it. */
export function takeDirectory(path: string, use: 'reading' | 'changing'): DirectoryLock | undefined {
  try {
    return use === 'changing'
      ? DirectoryLock.take(path, LOCK_TRY_MS)
      : DirectoryLock.takeForReading(path, LOCK_TRY_MS)
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'in_use') throw error
    throw new StoreError('in_use', `a server or another command uses ${path}: stop it first`, {
      cause: error,
    })
  }
}

export function datBytes(volumes: readonly VolumePlace[]): number {
  return volumes.reduce((sum, place) => sum + (realDisk.stat(placePath(place, '.dat'))?.sizeBytes ?? 0), 0)
}

export interface Work {
  /** Says how much of the present volume is done. Gives others their turn. Throws when the user wants to stop. */
  pause(doneBytes: number): Promise<void>
  /** The present volume, of so many bytes, is done. */
  next(bytes: number): void
}

/** Runs work over `totalBytes`, with a line that says how far it is. */
export async function withProgress<T>(
  context: Context,
  options: { label: string; totalBytes: number },
  run: (work: Work) => Promise<T>,
): Promise<T> {
  let [before, done] = [0, 0]
  const stop = startByteProgress({ ...options, context, doneBytes: () => before + done })
  let lastTurnMs = context.clock.monotonicMs()
  const work: Work = {
    async pause(doneBytes) {
      done = doneBytes
      const nowMs = context.clock.monotonicMs()
      if (nowMs - lastTurnMs < TURN_MS) return
      lastTurnMs = nowMs
      await new Promise<void>((resolveTurn) => context.clock.soon(resolveTurn))
      if (context.signal.aborted) throw new StoreError('unavailable', 'stopped')
    },
    next(bytes) {
      before += bytes
      done = 0
    },
  }
  try {
    return await run(work)
  } finally {
    stop()
  }
}

/** Results on stdout: sentences for people, or with `--json` one object a line. */
export class Report {
  readonly #context: Context
  readonly #json: boolean

  constructor(context: Context, json: boolean) {
    this.#context = context
    this.#json = json
  }

  /** `fields` for programs, `text` for people. */
  line(fields: object, text: string): void {
    this.#context.stdout.write(`${this.#json ? JSON.stringify(fields) : text}\n`)
  }
}

export function nameOfVolume(place: { volumeId: number; collection: string }): string {
  return place.collection === ''
    ? `volume ${place.volumeId}`
    : `volume ${place.volumeId} of ${place.collection}`
}
