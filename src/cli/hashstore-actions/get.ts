/** `cairn hashstore get`: fetches files. A file appears under its name when all of it is here. */
import { once } from 'node:events'
import { join } from 'node:path'
import { StoreError, toStoreError } from '../../base/errors.ts'
import { givingBack } from '../../base/piece-buffers.ts'
import type { HashstoreCluster } from '../../protocols/hashstore/cluster.ts'
import { type Context, defineCommand } from '../command.ts'
import { saveTo } from '../hashstore-files.ts'
import { HASHSTORE_CLIENT_SETTINGS, pathOf, withHashstore } from '../hashstore-settings.ts'
import { UsageError } from '../usage-error.ts'

/** Of a file that is replaced again and again. */
const ATTEMPTS_MAX = 10

interface Where {
  cluster: HashstoreCluster
  context: Context
}

export const get = defineCommand({
  name: 'get',
  summary: 'Fetch files, each under the last part of its path',
  usage: '<path...>',
  settings: [...HASHSTORE_CLIENT_SETTINGS, 'output', 'outputDir'],
  async run(config, context) {
    const { args } = context
    if (config.output !== '' && args.length > 1) throw new UsageError('--output is for a single file')
    const targets = args.map((path) => config.output || join(config.outputDir, localName(path)))
    return await withHashstore(config, context, async (cluster) => {
      let failed = 0
      for (const [at, path] of args.entries()) {
        try {
          await fetchTo(targets[at]!, path, { cluster, context })
        } catch (error) {
          failed++
          context.stderr.write(`cairn: ${path}: ${toStoreError(error).message}\n`)
        }
      }
      return failed > 0 ? 1 : 0
    })
  },
})

/** What was written to standard output cannot be taken back; a file is begun anew when it is replaced while it is read. */
async function fetchTo(target: string, path: string, where: Where): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await fetchOnce(target, path, where)
    } catch (error) {
      if (target === '-' || attempt === ATTEMPTS_MAX || toStoreError(error).code !== 'conflict') throw error
    }
  }
}

async function fetchOnce(target: string, path: string, { cluster, context }: Where): Promise<void> {
  const remote = await cluster.get(pathOf(path))
  try {
    if (target !== '-') return await saveTo(target, remote.pieces(), context.random)
    for await (const piece of remote.pieces()) {
      if (!context.stdout.write(piece, givingBack(piece))) await once(context.stdout, 'drain')
    }
  } finally {
    // Where nothing of it could be taken, its connection would keep this process waiting.
    remote.close()
  }
}

/** What stands behind the last separator of either kind. Throws `bad_request` for what names no file here. */
function localName(path: string): string {
  const name = path.slice(Math.max(path.lastIndexOf('\\'), path.lastIndexOf('/')) + 1)
  if (['', '.', '..'].includes(name) || name.includes('\0'))
    throw new StoreError('bad_request', `${path}: name the local file with --output`)
  return name
}
