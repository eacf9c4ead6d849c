/**
 * `cairn volume adopt`: takes the volumes of a SeaweedFS server, or of another Cairn, into a data directory. The source stays
 * as it is. A running server takes them over while it serves; else they are put in place at once.
 */
import { chownSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { StoreError, toStoreError } from '../../base/errors.ts'
import {
  copiedBytes,
  placeStaged,
  STAGING_FOLDER,
  stageCopy,
  volumeInDirectory,
} from '../../disk/copy-volume.ts'
import { removeVolumeFiles } from '../../disk/create-volume.ts'
import type { DirectoryLock } from '../../disk/directory-lock.ts'
import { realDisk } from '../../disk/real-disk.ts'
import {
  ADOPT_FOLDER,
  readAdoption,
  readRefusal,
  removeArrived,
  writeAdoption,
} from '../../disk/volume-adoption.ts'
import { placePath, type VolumePlace } from '../../disk/volume-facts.ts'
import { volumeBaseName } from '../../disk/volume-paths.ts'
import { type Context, defineCommand } from '../command.ts'
import {
  existingDirectory,
  nameOfVolume,
  OFFLINE_SETTINGS,
  openOffline,
  Report,
  takeDirectory,
  type Work,
  withProgress,
} from '../offline-volumes.ts'
import { UsageError } from '../usage-error.ts'
import { findingText } from './check.ts'

const POLL_MS = 200
/** A running server notices a volume within a second or two. */
const NOTICE_MS_MAX = 30_000

export const adopt = defineCommand({
  name: 'adopt',
  summary: 'Take the volumes of a SeaweedFS directory into a data directory, whose server may be running',
  usage: '<dir>',
  settings: ['data', ...OFFLINE_SETTINGS],
  async run(config, context) {
    const directories = config.data.map(existingDirectory)
    const source = openOffline(context.args[0] as string, config, 'reading')
    try {
      if (directories.includes(source.path))
        throw new UsageError('the data directory must be another directory')
      const locks = lockAll(directories)
      try {
        const report = new Report(context, config.json)
        const job = new AdoptJob({ context, report, directories, running: locks === undefined })
        const totalBytes = source.volumes.reduce((sum, place) => sum + copiedBytes(realDisk, place), 0)
        await withProgress(context, { label: 'adopting', totalBytes }, (work) =>
          job.run(source.volumes, work),
        )
        return job.finish()
      } finally {
        for (const lock of locks ?? []) lock.release()
      }
    } finally {
      source.release()
    }
  },
})

/** Undefined when a server has the directories: it does the last steps then. */
function lockAll(directories: readonly string[]): DirectoryLock[] | undefined {
  const locks: DirectoryLock[] = []
  try {
    for (const directory of directories) locks.push(takeDirectory(directory, 'changing') as DirectoryLock)
    return locks
  } catch (error) {
    for (const lock of locks) lock.release()
    if (error instanceof StoreError && error.code === 'in_use') return undefined
    throw error
  }
}

interface AdoptOptions {
  context: Context
  report: Report
  directories: string[]
  running: boolean
}

class AdoptJob {
  readonly #options: AdoptOptions
  readonly #target: string
  readonly #summary = { volumes: 0, adopted: 0, readOnly: 0, failed: 0 }

  /** Volumes that the server has not answered for yet, and when the last one was handed or seen to be taken. */
  #handed: VolumePlace[] = []
  #handedAtMs = 0
  readonly #said = new Set<VolumePlace>()

  constructor(options: AdoptOptions) {
    this.#options = options
    this.#target = options.directories[0] as string
  }

  async run(volumes: readonly VolumePlace[], work: Work): Promise<void> {
    for (const place of volumes) {
      this.#summary.volumes++
      try {
        await this.#adopt(place, work)
      } catch (error) {
        const { code, message } = toStoreError(error)
        if (code === 'unavailable') throw error
        this.#say(place, 'failed', `${message} (${code})`)
      }
      work.next(copiedBytes(realDisk, place))
    }
    await this.#settle()
  }

  async #adopt(place: VolumePlace, work: Work): Promise<void> {
    for (const directory of this.#options.directories) {
      if (volumeInDirectory(realDisk, directory, place.volumeId) !== undefined)
        throw new StoreError('volume_exists', `${directory} has a volume ${place.volumeId}`)
    }
    const { staged, report } = await stageCopy(realDisk, place, this.#target, {
      pause: (doneBytes) => work.pause(doneBytes),
      onFinding: (finding) => this.#options.report.line({ finding }, findingText(finding)),
    })
    giveToOwner(this.#target, staged)
    if (this.#options.running) return this.#handToServer(place, staged)
    const arrived = { ...place, directory: this.#target }
    removeVolumeFiles(realDisk, this.#target, volumeBaseName(place.collection, place.volumeId))
    // With damage, the server opens it read only, and says at its start what is damaged.
    if (report.findings > 0) writeAdoption(realDisk, arrived, { state: 'verifying', damaged: 0, reason: '' })
    placeStaged(realDisk, staged, this.#target)
    if (report.findings > 0) this.#say(place, 'readOnly', 'adopted with damage: read only')
    else this.#say(place, 'adopted', `adopted, ${report.liveFiles} files`)
  }

  /** Into the folder that the server looks into; `#outcome` tells what it makes of it. */
  #handToServer(place: VolumePlace, staged: VolumePlace): void {
    const folder = `${this.#target}/${ADOPT_FOLDER}`
    mkdirSync(folder, { recursive: true, mode: 0o770 })
    giveToOwner(this.#target, { ...staged, directory: folder })
    realDisk.syncDirectorySync(this.#target)
    removeArrived(realDisk, { ...place, directory: folder })
    placeStaged(realDisk, staged, folder)
    this.#handed.push(place)
    this.#handedAtMs = this.#options.context.clock.monotonicMs()
  }

  /** Waits for the server's word on all that it was handed. */
  async #settle(): Promise<void> {
    const { clock, signal } = this.#options.context
    while (this.#handed.length > 0) {
      await clock.sleep(POLL_MS)
      if (signal.aborted) throw new StoreError('unavailable', 'stopped; the server goes on by itself')
      for (const place of this.#handed) {
        try {
          const outcome = this.#outcome(place)
          if (outcome !== undefined) this.#say(place, outcome.state, outcome.text)
        } catch (error) {
          const { code, message } = toStoreError(error)
          this.#say(place, 'failed', `${message} (${code})`)
        }
      }
      this.#handed = this.#handed.filter((place) => !this.#said.has(place))
    }
  }

  /** Undefined while the server is at it. */
  #outcome(place: VolumePlace): { state: 'adopted' | 'readOnly'; text: string } | undefined {
    const folder = `${this.#target}/${ADOPT_FOLDER}`
    const inFolder = { ...place, directory: folder }
    const arrived = { ...place, directory: this.#target }
    const refusal = readRefusal(realDisk, inFolder)
    if (refusal !== undefined) {
      removeArrived(realDisk, inFolder)
      throw new StoreError('conflict', `the server refused it: ${refusal}`)
    }
    if (realDisk.stat(placePath(arrived, '.dat')) === undefined) {
      if (this.#options.context.clock.monotonicMs() - this.#handedAtMs < NOTICE_MS_MAX) return undefined
      removeArrived(realDisk, inFolder)
      throw new StoreError('timeout', `no server looks into ${folder}`)
    }
    this.#handedAtMs = this.#options.context.clock.monotonicMs()
    const state = readAdoption(realDisk, arrived)
    if (state === undefined) return { state: 'adopted', text: 'adopted and verified' }
    if (state.state === 'damaged') return { state: 'readOnly', text: `adopted: ${state.reason}` }
    if (state.state === 'failed') throw new StoreError('corrupt', state.reason)
    return undefined
  }

  #say(place: VolumePlace, state: 'adopted' | 'readOnly' | 'failed', text: string): void {
    this.#summary[state]++
    this.#said.add(place)
    this.#options.report.line({ volume: place.volumeId, state, text }, `${nameOfVolume(place)}: ${text}`)
  }

  /** Exit code. */
  finish(): number {
    const { volumes, adopted, readOnly, failed } = this.#summary
    const rest =
      readOnly + failed === 0 ? '' : `, ${readOnly} read only for their damage, ${failed} not adopted`
    const text = `${volumes} volumes: ${adopted} adopted${rest}`
    this.#options.report.line({ summary: this.#summary }, text)
    return readOnly + failed === 0 ? 0 : 1
  }
}

/** What an administrator puts in place must belong to the user that the server runs as. */
function giveToOwner(target: string, staged: VolumePlace): void {
  const { uid, gid } = statSync(target)
  if (process.getuid?.() !== 0 || uid === 0) return
  const names = [staged.directory, `${target}/${STAGING_FOLDER}`]
  for (const directory of names) chownSync(directory, uid, gid)
  for (const name of readdirSync(staged.directory)) chownSync(`${staged.directory}/${name}`, uid, gid)
}
