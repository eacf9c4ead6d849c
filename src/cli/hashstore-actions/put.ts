/** `cairn hashstore put`: stores files under the paths by which they are named, as the first client does. */
import type { HashstoreCluster } from '../../protocols/hashstore/cluster.ts'
import { type Context, defineCommand } from '../command.ts'
import { eachFile } from '../file-work.ts'
import { localFile, readBuffers } from '../hashstore-files.ts'
import { HASHSTORE_CLIENT_SETTINGS, pathOf, withHashstore } from '../hashstore-settings.ts'
import { statOf } from '../local-files.ts'
import { filesBelow, listFiles } from '../transfer.ts'
import { UsageError } from '../usage-error.ts'

export const put = defineCommand({
  name: 'put',
  summary: 'Store files, and with -r folders, under their paths as they are given',
  usage: '<file...>',
  settings: [...HASHSTORE_CLIENT_SETTINGS, 'chunkSizeBytes', 'path', 'recurse', 'concurrency'],
  async run(config, context) {
    const { args } = context
    if (config.path !== '' && args.length > 1) throw new UsageError('--path is for a single file or folder')
    const files: { local: string; path: string }[] = []
    for (const local of args) {
      if (!statOf(local).isDirectory()) files.push({ local, path: config.path || local })
      else if (!config.recurse) throw new UsageError(`${local} is a folder: add -r`)
      else if (config.path !== '') files.push(...(await filesBelow(local, config.path)))
      else {
        for (const { path } of await listFiles([], [local])) files.push({ local: path, path })
      }
    }
    return await withHashstore(config, context, (cluster) => putAll(cluster, files, { ...config, context }))
  },
})

/** One line for each file that is stored. A signal breaks off those that are being read: they are as they were before. */
async function putAll(
  cluster: HashstoreCluster,
  files: readonly { local: string; path: string }[],
  { concurrency, context }: { concurrency: number; context: Context },
): Promise<number> {
  const buffers = readBuffers()
  return await eachFile(
    files,
    { parallel: concurrency, done: 'stored', context },
    async ({ local, path }) => {
      await cluster.put(pathOf(path), localFile(local, buffers, context.signal))
      context.stdout.write(`${path}\n`)
    },
  )
}
