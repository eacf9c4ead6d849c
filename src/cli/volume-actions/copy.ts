/** `cairn volume copy`: volumes into another directory, verified there; what an earlier try left is completed. */
import { resolve } from 'node:path'
import { toStoreError } from '../../base/errors.ts'
import {
  copiedBytes,
  isSameVolume,
  placeStaged,
  stageCopy,
  volumeInDirectory,
} from '../../disk/copy-volume.ts'
import { removeVolumeFiles } from '../../disk/create-volume.ts'
import { realDisk } from '../../disk/real-disk.ts'
import type { VolumePlace } from '../../disk/volume-facts.ts'
import { volumeBaseName } from '../../disk/volume-paths.ts'
import { defineCommand } from '../command.ts'
import {
  nameOfVolume,
  OFFLINE_SETTINGS,
  type OfflineDirectory,
  openOffline,
  Report,
  takeDirectory,
  type Work,
  withProgress,
} from '../offline-volumes.ts'
import { makeDirectory } from '../roles/directories.ts'
import { UsageError } from '../usage-error.ts'
import { findingText } from './check.ts'

export const copy = defineCommand({
  name: 'copy',
  summary: 'Copy the volumes of a directory into another one, verified; a copy that was cut off goes on',
  usage: '<dir> <target>',
  settings: OFFLINE_SETTINGS,
  async run(config, context) {
    const [given, targetGiven] = context.args as [string, string]
    const target = resolve(targetGiven)
    if (resolve(given) === target) throw new UsageError('the target must be another directory')
    const directory = openOffline(given, config, 'reading')
    try {
      makeDirectory(target)
      const lock = takeDirectory(target, 'changing')
      try {
        const job = new CopyJob(target, new Report(context, config.json))
        await withProgress(context, { label: 'copying', totalBytes: totalBytes(directory) }, (work) =>
          job.run(directory.volumes, work),
        )
        return job.finish()
      } finally {
        lock?.release()
      }
    } finally {
      directory.release()
    }
  },
})

function totalBytes(directory: OfflineDirectory): number {
  return directory.volumes.reduce((sum, place) => sum + copiedBytes(realDisk, place), 0)
}

class CopyJob {
  readonly #target: string
  readonly #report: Report
  readonly #summary = { volumes: 0, copied: 0, thereAlready: 0, failed: 0, findings: 0 }

  constructor(target: string, report: Report) {
    this.#target = target
    this.#report = report
  }

  async run(volumes: readonly VolumePlace[], work: Work): Promise<void> {
    for (const place of volumes) {
      const bytes = copiedBytes(realDisk, place)
      this.#summary.volumes++
      try {
        await this.#copy(place, work)
      } catch (error) {
        const { code, message } = toStoreError(error)
        if (code === 'unavailable') throw error
        this.#say(place, 'failed', `${message} (${code})`)
      }
      work.next(bytes)
    }
  }

  async #copy(place: VolumePlace, work: Work): Promise<void> {
    const pause = (doneBytes: number) => work.pause(doneBytes)
    const present = volumeInDirectory(realDisk, this.#target, place.volumeId)
    if (present !== undefined) {
      const same = await isSameVolume(realDisk, place, present, pause)
      if (same) this.#say(place, 'thereAlready', 'there already')
      else this.#say(place, 'failed', `${this.#target} has another volume of that number`)
      return
    }
    const { staged, report } = await stageCopy(realDisk, place, this.#target, {
      pause,
      onFinding: (finding) => this.#report.line({ finding }, findingText(finding)),
    })
    removeVolumeFiles(realDisk, this.#target, volumeBaseName(place.collection, place.volumeId))
    placeStaged(realDisk, staged, this.#target)
    this.#summary.findings += report.findings
    const damage = report.findings === 0 ? '' : ` with ${report.findings} findings, as the source has them`
    this.#say(place, 'copied', `copied${damage}`)
  }

  #say(place: VolumePlace, state: 'copied' | 'thereAlready' | 'failed', text: string): void {
    this.#summary[state]++
    this.#report.line({ volume: place.volumeId, state, text }, `${nameOfVolume(place)}: ${text}`)
  }

  /** Exit code. */
  finish(): number {
    const { volumes, copied, thereAlready, failed, findings } = this.#summary
    const rest = failed === 0 ? '' : `, ${failed} failed`
    this.#report.line(
      { summary: this.#summary },
      `${volumes} volumes: ${copied} copied, ${thereAlready} there already${rest}`,
    )
    return failed + findings === 0 ? 0 : 1
  }
}
