/** `cairn backup`: all names of a store in one file, of one moment, while it runs. */
import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { backupMeta } from '../../meta/backup.ts'
import { openMetaSource } from '../../meta/open-meta-store.ts'
import { startByteProgress } from '../byte-progress.ts'
import { defineCommand } from '../command.ts'
import { metadataUrl } from '../offline-objects.ts'
import { UsageError } from '../usage-error.ts'

export const backup = defineCommand({
  name: 'backup',
  summary:
    'Write all names of a store to a file, also while it runs; the bytes of objects are in its volumes',
  usage: '<file>',
  settings: ['data', 'metadata'],
  async run(config, context) {
    const [file, ...more] = context.args
    if (file === undefined || more.length > 0) throw new UsageError('name one file, or - for standard output')
    const { clock, random, stdout } = context
    const source = await openMetaSource(metadataUrl(config), { clock, random })
    let bytes = 0
    const pieces = async function* () {
      for await (const piece of backupMeta(source, clock)) {
        bytes += piece.length
        yield piece
      }
    }
    const stop = startByteProgress({ context, label: 'backup', totalBytes: 0, doneBytes: () => bytes })
    const partial = `${file}.part`
    try {
      if (file === '-') await pipeline(Readable.from(pieces()), stdout, { end: false })
      else {
        await pipeline(Readable.from(pieces()), createWriteStream(partial, { mode: 0o600, flush: true }))
        await rename(partial, file)
      }
    } catch (error) {
      if (file !== '-') await rm(partial, { force: true })
      throw error
    } finally {
      stop()
      await source.close()
    }
    if (file !== '-') stdout.write(`${file}: ${bytes} bytes\n`)
    return 0
  },
})
