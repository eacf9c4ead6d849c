/** `cairn volume export`: the living files of volumes as a tar, or as a list. Only verified bytes leave. */

import { once } from 'node:events'
import { createWriteStream, renameSync, rmSync } from 'node:fs'
import { extname } from 'node:path'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { toStoreError } from '../../base/errors.ts'
import { realDisk } from '../../disk/real-disk.ts'
import { type ExportedFile, exportVolume } from '../../disk/volume-export.ts'
import { type Context, defineCommand } from '../command.ts'
import {
  datBytes,
  nameOfVolume,
  OFFLINE_SETTINGS,
  type OfflineDirectory,
  openOffline,
  withProgress,
} from '../offline-volumes.ts'
import { harmlessPath, TarWriter } from '../tar-writer.ts'
import { UsageError } from '../usage-error.ts'

const LIST_HEAD = 'key\tname\tsize\tgzip\tmime\tmodified\tttl\tdeleted\tstart\tstop\n'

interface Selection {
  /** Seconds since 1970: older files are left out; those without a time are not. */
  newerS: number
  limit: number
}

interface ExportSummary {
  files: number
  bytes: number
  damaged: number
  failedVolumes: number
}

/** Where the files go. */
interface Target {
  take(file: ExportedFile): Promise<void>
  /** The work is done; `whole` tells whether it went well. */
  close(whole: boolean): Promise<void>
}

async function exportAll(
  work: { directory: OfflineDirectory; target: Target; selection: Selection; indexBytesMax: number },
  context: Context,
): Promise<ExportSummary> {
  const { directory, target, selection, indexBytesMax } = work
  const summary: ExportSummary = { files: 0, bytes: 0, damaged: 0, failedVolumes: 0 }
  const isFull = () => selection.limit > 0 && summary.files >= selection.limit
  let whole = false
  try {
    await withProgress(
      context,
      { label: 'exporting', totalBytes: datBytes(directory.volumes) },
      async (progress) => {
        for (const place of directory.volumes) {
          if (isFull()) break
          await exportVolume(place, {
            disk: realDisk,
            clock: context.clock,
            random: context.random,
            indexBytesMax,
            onFile: async (file) => {
              const isOld = file.lastModifiedS > 0 && file.lastModifiedS < selection.newerS
              if (isOld || isFull()) return
              await target.take(file)
              summary.files++
              summary.bytes += file.sizeBytes
            },
            onDamage: (fid, reason) => {
              summary.damaged++
              context.stderr.write(`cairn: ${fid}: ${reason}\n`)
            },
            pause: async (doneBytes) => {
              await progress.pause(doneBytes)
              return !isFull()
            },
          }).catch((error) => {
            const { code, message } = toStoreError(error)
            if (!['corrupt', 'unsupported', 'index_full'].includes(code)) throw error
            summary.failedVolumes++
            context.stderr.write(`cairn: ${nameOfVolume(place)}: ${message}\n`)
          })
          progress.next(datBytes([place]))
        }
      },
    )
    whole = true
  } finally {
    await target.close(whole)
  }
  return summary
}

function listTarget({ stdout }: Context, json: boolean): Target {
  if (!json) stdout.write(LIST_HEAD)
  return {
    async take(file) {
      const { data: _, ...fields } = file
      const line = json ? JSON.stringify(fields) : listLine(file)
      if (!stdout.write(`${line}\n`)) await once(stdout, 'drain')
    },
    async close() {},
  }
}

function listLine(file: ExportedFile): string {
  const modified = file.lastModifiedS === 0 ? '' : timeText(file.lastModifiedS)
  const { fid, name, sizeBytes, gzipped, mime, ttl, startBytes, endBytes } = file
  const words = [fid, name, sizeBytes, gzipped, mime, modified, ttl, false, startBytes, endBytes]
  return words.map((word) => String(word).replace(/\p{Cc}/gu, '_')).join('\t')
}

/** A file appears under its name when it is whole; standard output is not ours to undo. */
function tarTarget({ stdout }: Context, { path, format }: { path: string; format: string }): Target {
  const partial = `${path}.part`
  const output: Writable = path === '-' ? stdout : createWriteStream(partial, { flush: true })
  // Errors come back from each write.
  output.on('error', () => undefined)
  const tar = new TarWriter(output)
  return {
    async take(file) {
      const { sizeBytes, lastModifiedS: modifiedS } = file
      await tar.file({ name: tarName(file, format), sizeBytes, modifiedS }, file.data())
    },
    async close(whole) {
      if (whole) await tar.end()
      if (path === '-') return
      output.end()
      if (!whole) return rmSync(partial, { force: true })
      await finished(output)
      renameSync(partial, path)
    },
  }
}

/** `{{.Id}}` and the like, as SeaweedFS's `weed export` has them. */
const FIELDS: Readonly<Record<string, (file: ExportedFile) => string>> = {
  Id: ({ id }) => id,
  Name: ({ name }) => name,
  Mime: ({ mime }) => mime,
  Key: ({ fid }) => fid,
  Ext: ({ name }) => extname(name),
}
const FIELD_PATTERN = /\{\{\s*\.(\w+)\s*\}\}/g

function checkFormat(format: string): void {
  for (const [text, field] of format.matchAll(FIELD_PATTERN)) {
    if (FIELDS[field as string] === undefined)
      throw new UsageError(`--name-format: there is no ${text}, only ${Object.keys(FIELDS).join(', ')}`)
  }
}

/** What is stored compressed leaves compressed, and says so by its name. */
function tarName(file: ExportedFile, format: string): string {
  const name = format.replaceAll(FIELD_PATTERN, (_, field: string) => FIELDS[field]?.(file) ?? '')
  return harmlessPath(file.gzipped && !name.endsWith('.gz') ? `${name}.gz` : name)
}

/** Local time, as SeaweedFS takes it; 0 for none. Throws `UsageError`. */
function parseTime(text: string): number {
  if (text === '') return 0
  const ms = Date.parse(text)
  if (Number.isNaN(ms)) throw new UsageError(`--newer must be a time like 2006-01-02T15:04:05, not ${text}`)
  return ms / 1000
}

function timeText(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 19)
}

export const exportFiles = defineCommand({
  name: 'export',
  summary: 'List the files of the volumes in a directory, or with --output write them to a tar',
  usage: '<dir>',
  settings: ['output', 'nameFormat', 'newer', 'limit', ...OFFLINE_SETTINGS, 'indexMemoryBytes'],
  async run(config, context) {
    const selection = { newerS: parseTime(config.newer), limit: config.limit }
    checkFormat(config.nameFormat)
    const directory = openOffline(context.args[0] as string, config, 'reading')
    try {
      const target =
        config.output === ''
          ? listTarget(context, config.json)
          : tarTarget(context, { path: config.output, format: config.nameFormat })
      const summary = await exportAll(
        { directory, target, selection, indexBytesMax: config.indexMemoryBytes },
        context,
      )
      const { files, bytes, damaged, failedVolumes } = summary
      const left = damaged === 0 ? '' : `, ${damaged} damaged files left out`
      const failed = failedVolumes === 0 ? '' : `, ${failedVolumes} volumes not read`
      const text = config.json
        ? JSON.stringify({ summary })
        : `${files} files, ${bytes} bytes${left}${failed}`
      context.stderr.write(`${text}\n`)
      return damaged + failedVolumes === 0 ? 0 : 1
    } finally {
      directory.release()
    }
  },
})
