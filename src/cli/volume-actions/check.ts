/** `cairn volume check`: verifies every record and every index of the volumes in a directory, and changes nothing. */
import { realDisk } from '../../disk/real-disk.ts'
import { type CheckReport, checkVolume, type Finding } from '../../disk/volume-check.ts'
import { defineCommand } from '../command.ts'
import {
  datBytes,
  nameOfVolume,
  OFFLINE_SETTINGS,
  openOffline,
  Report,
  withProgress,
} from '../offline-volumes.ts'

export const check = defineCommand({
  name: 'check',
  summary:
    'Verify every record and index of the volumes in a directory, and change nothing; SeaweedFS volumes too',
  usage: '<dir>',
  settings: OFFLINE_SETTINGS,
  async run(config, context) {
    const directory = openOffline(context.args[0] as string, config, 'reading')
    try {
      const report = new Report(context, config.json)
      const checked: CheckReport[] = []
      const options = { label: 'checking', totalBytes: datBytes(directory.volumes) }
      await withProgress(context, options, async (work) => {
        for (const place of directory.volumes) {
          const result = await checkVolume(realDisk, place, {
            onFinding: (finding) => report.line({ finding }, findingText(finding)),
            pause: (doneBytes) => work.pause(doneBytes),
          })
          work.next(result.datBytes)
          checked.push(result)
          report.line({ volume: result }, resultText(result))
        }
      })
      const summary = summaryOf(checked)
      report.line({ summary }, summaryText(summary))
      return summary.findings === 0 ? 0 : 1
    } finally {
      directory.release()
    }
  },
})

/** `3.dat at 1024 (3,0163…): damaged record: its trailer does not match`. */
export function findingText(finding: Finding): string {
  const place = finding.offsetBytes === undefined ? '' : ` at ${finding.offsetBytes}`
  const fid = finding.fid === undefined ? '' : ` (${finding.fid})`
  return `${finding.volumeId}${finding.file}${place}${fid}: ${finding.what}`
}

function resultText(result: CheckReport): string {
  const origin = result.foreign ? ', written by SeaweedFS' : ''
  const verdict = result.findings === 0 ? 'good' : `${result.findings} findings`
  return `${nameOfVolume(result)}: ${verdict}; ${result.liveFiles} files, ${result.records} records, ${result.datBytes} bytes${origin}`
}

function summaryOf(checked: readonly CheckReport[]) {
  const sum = (pick: (report: CheckReport) => number) =>
    checked.reduce((total, report) => total + pick(report), 0)
  return {
    volumes: checked.length,
    damagedVolumes: checked.filter(({ findings }) => findings > 0).length,
    files: sum(({ liveFiles }) => liveFiles),
    records: sum(({ records }) => records),
    bytes: sum(({ datBytes: bytes }) => bytes),
    findings: sum(({ findings }) => findings),
  }
}

function summaryText(summary: ReturnType<typeof summaryOf>): string {
  const { volumes, damagedVolumes, files, records, findings } = summary
  if (findings === 0) return `${volumes} volumes, ${files} files, ${records} records: all good`
  return `${volumes} volumes, ${files} files, ${records} records: ${findings} findings in ${damagedVolumes} volumes`
}
