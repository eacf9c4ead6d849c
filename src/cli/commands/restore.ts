/** `cairn restore`: the names of a backup into metadata that is empty, of either engine. */
import { createReadStream, existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { restoreMeta } from '../../meta/backup.ts'
import { isPostgresUrl } from '../../meta/open-meta-store.ts'
import { startByteProgress } from '../byte-progress.ts'
import { defineCommand } from '../command.ts'
import { metadataUrl } from '../offline-objects.ts'
import { makeDirectory, ownDirectories } from '../roles/directories.ts'
import { keyFilePath } from '../roles/encryption-keys.ts'
import { UsageError } from '../usage-error.ts'

export const restore = defineCommand({
  name: 'restore',
  summary:
    'Load the names of a backup into a store without names that is not running, of SQLite or PostgreSQL',
  usage: '<file>',
  settings: ['data', 'metadata', 'encryptionKeys'],
  async run(config, context) {
    const [file, ...more] = context.args
    if (file === undefined || more.length > 0) throw new UsageError('name one file, or - for standard input')
    if (file !== '-' && !existsSync(file)) throw new UsageError(`there is no file ${file}`)
    const { clock, random } = context
    const url = metadataUrl(config)
    const owned = isPostgresUrl(url) ? undefined : ownDirectories(config.data, context.log)
    let bytes = 0
    const counted = async function* () {
      for await (const piece of file === '-' ? context.stdin : createReadStream(file)) {
        bytes += piece.length
        yield piece as Buffer
      }
    }
    const stop = startByteProgress({ context, label: 'restoring', totalBytes: 0, doneBytes: () => bytes })
    try {
      if (owned !== undefined) makeDirectory(url)
      const { rows, createdMs } = await restoreMeta(url, counted(), { clock, random })
      context.stdout.write(`${rows} rows, as they were at ${new Date(createdMs).toISOString()}\n`)
      const keys = keyFilePath({ given: config.encryptionKeys, directory: config.data[0]! })
      const areKeysHere = owned !== undefined || config.encryptionKeys !== ''
      if (areKeysHere && !existsSync(keys))
        context.stdout.write(
          `${resolve(keys)} is not there: if objects are encrypted, put the copy of it there before the server starts\n`,
        )
    } finally {
      stop()
      owned?.release()
    }
    return 0
  },
})
