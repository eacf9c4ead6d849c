/** `cairn upload`: stores local files; large ones in chunks, so that they can be resumed. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { CairnClient } from '../../client/cairn-client.ts'
import { startByteProgress } from '../byte-progress.ts'
import { CLIENT_SETTINGS, makeClient, transferOutput } from '../client-settings.ts'
import { type Context, defineCommand } from '../command.ts'
import { SmallFiles } from '../small-files.ts'
import { type LocalFile, listFiles, transferAll, type UploadPlan, uploadFile } from '../transfer.ts'
import { UsageError } from '../usage-error.ts'

const MIB = 1024 * 1024
/** Ids taken from the master at a time, when many files go up. */
const ASSIGN_BATCH = 64
/** Up to so many files are looked at beforehand, to show progress in bytes when large ones are among them. */
const MEASURED_FILES_MAX = 1_000

export const upload = defineCommand({
  name: 'upload',
  summary: 'Store files, and print where each is as a line of JSON',
  usage: '[file...]',
  settings: ['recursive', 'collection', 'replication', 'ttl', 'maxMb', ...CLIENT_SETTINGS],
  async run(config, context) {
    const output = transferOutput(context)
    if (context.args.length === 0 && config.recursive.length === 0) {
      throw new UsageError('name files, or a directory with -r')
    }
    const files = await listFiles(context.args, config.recursive)
    const { collection, replication, ttl } = config
    let doneBytes = 0
    const isMany = files.length > ASSIGN_BATCH
    const client = makeClient(config, context, isMany ? ASSIGN_BATCH : 1)
    const small = isMany && !config.https ? smallFiles(client, config, context) : undefined
    const plan: UploadPlan = {
      options: {
        ...(collection === '' ? {} : { collection }),
        ...(replication === '' ? {} : { replication }),
        ...(ttl === '' ? {} : { ttl }),
      },
      large: {
        chunkBytes: config.maxMb * MIB,
        notes: {
          directory: join(context.machine.cacheDir, 'uploads'),
          target: JSON.stringify([config.master, collection, replication]),
        },
        onBytes: (count) => {
          doneBytes += count
        },
        signal: context.signal,
      },
      small,
    }
    const showProgress = byteProgress(files, plan, () => doneBytes, context)
    try {
      const failed = await transferAll(
        files,
        {
          label: 'uploading',
          parallel: config.parallel,
          nameOf: (file) => file.path,
          work: (file) => uploadFile(client, file, plan, output),
          signal: context.signal,
          ...(showProgress === undefined ? {} : { showProgress }),
        },
        output,
      )
      if (context.signal.aborted) context.stderr.write('cairn: interrupted; the same command goes on\n')
      return failed > 0 ? 1 : 0
    } finally {
      small?.close()
      client.close()
    }
  },
})

function smallFiles(
  client: CairnClient,
  config: { timeoutMs: number; basicAuth: string },
  { clock }: Context,
): SmallFiles {
  const { timeoutMs, basicAuth } = config
  const authorization = basicAuth === '' ? undefined : `Basic ${Buffer.from(basicAuth).toString('base64')}`
  return new SmallFiles({ client, clock, timeoutMs, authorization })
}

/** A bar of bytes, when a large file is among a bearable number of files. */
function byteProgress(
  files: readonly LocalFile[],
  plan: UploadPlan,
  doneBytes: () => number,
  context: Context,
): (() => () => void) | undefined {
  if (files.length > MEASURED_FILES_MAX) return undefined
  const sizes = files.map(({ path }) => statSync(path, { throwIfNoEntry: false })?.size ?? 0)
  if (!sizes.some((size) => size > plan.large.chunkBytes)) return undefined
  const totalBytes = sizes.reduce((sum, size) => sum + size, 0)
  return () => startByteProgress({ context, label: 'uploading', totalBytes, doneBytes })
}
