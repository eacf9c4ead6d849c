/** `cairn volume compact`: takes the room of deleted files back, without a server. */
import { toStoreError } from '../../base/errors.ts'
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

export const compact = defineCommand({
  name: 'compact',
  summary: 'Take back the room of deleted files in the volumes of a directory',
  usage: '<dir>',
  settings: [...OFFLINE_SETTINGS, 'indexMemoryBytes'],
  async run(config, context) {
    const directory = openOffline(context.args[0] as string, config, 'changing')
    try {
      const report = new Report(context, config.json)
      const store = offlineStore(directory, config, context)
      const summary = { volumes: 0, compacted: 0, failed: 0, bytesBefore: 0, bytesAfter: 0, damagedCopied: 0 }
      const options = { label: 'compacting', totalBytes: datBytes(directory.volumes) }
      await withProgress(context, options, async (work) => {
        for (const place of directory.volumes) {
          const name = nameOfVolume(place)
          summary.volumes++
          try {
            const { compacted, ...figures } = await store.compact(place, (doneBytes) => work.pause(doneBytes))
            const { bytesBefore, bytesAfter, damagedCopied } = figures
            work.next(bytesBefore)
            if (compacted) summary.compacted++
            summary.bytesBefore += bytesBefore
            summary.bytesAfter += bytesAfter
            summary.damagedCopied += damagedCopied
            const damaged = damagedCopied === 0 ? '' : `, ${damagedCopied} damaged records kept`
            const text = compacted ? `${bytesBefore} bytes, now ${bytesAfter}${damaged}` : 'no garbage'
            report.line({ volume: place.volumeId, compacted, ...figures }, `${name}: ${text}`)
          } catch (error) {
            const { code, message } = toStoreError(error)
            if (code === 'unavailable') throw error
            summary.failed++
            report.line({ volume: place.volumeId, error: { code, message } }, `${name}: ${message} (${code})`)
          }
        }
      })
      const freed = summary.bytesBefore - summary.bytesAfter
      const failed = summary.failed === 0 ? '' : `, ${summary.failed} failed`
      report.line(
        { summary },
        `${summary.compacted} of ${summary.volumes} volumes compacted, ${freed >= 0 ? `${freed} bytes freed` : `${-freed} bytes of checksums added`}${failed}`,
      )
      return summary.failed + summary.damagedCopied === 0 ? 0 : 1
    } finally {
      directory.release()
    }
  },
})
