/** `cairn backup`: all names of a store in one file, of one moment, while it runs. */
import { createWriteStream, existsSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { backupMeta } from '../../meta/backup.ts'
import { isPostgresUrl, openMetaSource } from '../../meta/open-meta-store.ts'
import { startByteProgress } from '../byte-progress.ts'
import { defineCommand } from '../command.ts'
import { metadataUrl } from '../offline-objects.ts'
import { keyFilePath } from '../roles/encryption-keys.ts'
import { UsageError } from '../usage-error.ts'

export const backup = defineCommand({
  name: 'backup',
  summary:
    'Write all names of a store to a file, also while it runs; without the bytes of objects and the encryption keys',
  usage: '<file>',
  settings: ['data', 'metadata', 'encryptionKeys'],
  async run(config, context) {
    const [file, ...more] = context.args
    if (file === undefined || more.length > 0) throw new UsageError('name one file, or - for standard output')
    const { clock, random, stdout, stderr } = context
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
    const note = noteOfKeys(config)
    if (note !== undefined) (file === '-' ? stderr : stdout).write(`${note}\n`)
    return 0
  },
})

/** Names without the keys are names of objects that nobody can read. */
function noteOfKeys(config: { data: readonly string[]; metadata: string; encryptionKeys: string }) {
  const path = keyFilePath({ given: config.encryptionKeys, directory: config.data[0]! })
  if (existsSync(path))
    return `not in it: ${resolve(path)}. Encrypted objects cannot be read without it: keep a copy elsewhere, apart from this one`
  if (!isPostgresUrl(metadataUrl(config))) return undefined
  return 'not in it: the encryption keys, where the servers have some (--encryption-keys): keep a copy elsewhere, apart from this one'
}
