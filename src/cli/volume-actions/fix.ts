/** `cairn volume fix`: makes the indexes of volumes anew from their records, and heals what a crash left. */
import { toStoreError } from '../../base/errors.ts'
import type { OpenReport } from '../../disk/open-volume.ts'
import { realDisk } from '../../disk/real-disk.ts'
import { checkVolume } from '../../disk/volume-check.ts'
import { defineCommand } from '../command.ts'
import {
  datBytes,
  nameOfVolume,
  OFFLINE_SETTINGS,
  offlineStore,
  openOffline,
  Report,
  withProgress,
} from '../offline-volumes.ts'
import { findingText } from './check.ts'

export const fix = defineCommand({
  name: 'fix',
  summary: 'Make the indexes of volumes anew from their records, and heal what a crash left',
  usage: '<dir>',
  settings: [...OFFLINE_SETTINGS, 'indexMemoryBytes'],
  async run(config, context) {
    const directory = openOffline(context.args[0] as string, config, 'changing')
    try {
      const report = new Report(context, config.json)
      const store = offlineStore(directory, config, context)
      const summary = { volumes: 0, healed: 0, unreadable: 0, findings: 0 }
      const options = { label: 'fixing', totalBytes: datBytes(directory.volumes) }
      await withProgress(context, options, async (work) => {
        for (const place of directory.volumes) {
          const name = nameOfVolume(place)
          await work.pause(0)
          summary.volumes++
          try {
            const { opened, rebuilt } = store.fix(place)
            const done = whatWasDone(opened, rebuilt)
            if (done.length > 0) summary.healed++
            report.line(
              { volume: place.volumeId, opened, rebuilt },
              `${name}: ${done.join(', ') || 'nothing to heal'}`,
            )
          } catch (error) {
            const { code, message } = toStoreError(error)
            summary.unreadable++
            report.line({ volume: place.volumeId, error: { code, message } }, `${name}: ${message} (${code})`)
            continue
          }
          const after = await checkVolume(realDisk, place, {
            onFinding: (finding) => report.line({ finding }, `left: ${findingText(finding)}`),
            pause: (doneBytes) => work.pause(doneBytes),
          })
          work.next(after.datBytes)
          summary.findings += after.findings
        }
      })
      const left = summary.findings === 0 ? '' : `, ${summary.findings} findings left that no index can mend`
      const unreadable = summary.unreadable === 0 ? '' : `, ${summary.unreadable} could not be opened`
      report.line({ summary }, `${summary.volumes} volumes, ${summary.healed} healed${unreadable}${left}`)
      return summary.unreadable + summary.findings === 0 ? 0 : 1
    } finally {
      directory.release()
    }
  },
})

/** Both openings together, in words. */
function whatWasDone(opened: OpenReport, rebuilt: OpenReport): string[] {
  const both = (key: 'bytesTruncated' | 'holesFilled' | 'indexBlocksRebuilt') => opened[key] + rebuilt[key]
  const done: string[] = []
  if (opened.foreign) done.push('taken over from SeaweedFS')
  if (both('bytesTruncated') > 0) done.push(`cut ${both('bytesTruncated')} bytes of a torn tail`)
  if (both('holesFilled') > 0) done.push(`covered ${both('holesFilled')} holes`)
  if (both('indexBlocksRebuilt') > 0) done.push(`made ${both('indexBlocksRebuilt')} index blocks anew`)
  if (opened.fullScan && !opened.foreign) done.push('made the index anew')
  if (opened.recordsRecovered > 0) done.push(`found ${opened.recordsRecovered} records that the index lacked`)
  if (rebuilt.recordsDamaged > 0) done.push(`kept ${rebuilt.recordsDamaged} damaged records`)
  if (opened.doubt !== undefined) done.push(`left as it is, for ${opened.doubt}`)
  if (opened.suspect)
    done.push('it takes no writes until it is compacted, which keeps what can be understood')
  return done
}
