/** `cairn hashstore get`: fetches files. A file appears under its name when all of it is here. */
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { toStoreError } from '../../base/errors.ts'
import { givingBack } from '../../base/piece-buffers.ts'
import type { HashstoreCluster } from '../../protocols/hashstore/cluster.ts'
import { type Context, defineCommand } from '../command.ts'
import { eachFile, unlessStopped, untilStopped } from '../file-work.ts'
import { saveTo } from '../hashstore-files.ts'
import { HASHSTORE_CLIENT_SETTINGS, pathOf, withHashstore } from '../hashstore-settings.ts'
import { UsageError } from '../usage-error.ts'

/** Of a file that is replaced again and again. */
const ATTEMPTS_MAX = 10

interface Where {
  cluster: HashstoreCluster
  context: Context
}

/** `target`: undefined for standard output. */
interface Wanted {
  path: string
  target: string | undefined
}

export const get = defineCommand({
  name: 'get',
  summary: 'Fetch files, each under the last part of its path',
  usage: '<path...>',
  settings: [...HASHSTORE_CLIENT_SETTINGS, 'output', 'outputDir'],
  async run(config, context) {
    const files = wantedOf(context.args, config)
    return await withHashstore(config, context, (cluster) =>
      eachFile(files, { parallel: 1, done: 'here', context }, (file) => fetchTo(file, { cluster, context })),
    )
  },
})

/** Throws `UsageError` where a file would be written over another one of them, or over what is no file. */
function wantedOf(
  paths: readonly string[],
  { output, outputDir }: { output: string; outputDir: string },
): Wanted[] {
  if (output === '-' && paths.length === 1) return [{ path: paths[0]!, target: undefined }]
  if (output !== '' && paths.length > 1) throw new UsageError('--output is for a single file')
  const pathOfTarget = new Map<string, string>()
  for (const path of paths) {
    const target = resolve(output || join(outputDir, localName(path)))
    const other = pathOfTarget.get(target)
    if (other !== undefined) throw new UsageError(`${other} and ${path} would both be written to ${target}`)
    if (isOther(target)) throw new UsageError(`${target} is there, and is no ordinary file`)
    pathOfTarget.set(target, path)
  }
  return [...pathOfTarget].map(([target, path]) => ({ path, target }))
}

/** A folder, or a device, which would be replaced by a file of its name. What cannot be looked at, writing tells. */
function isOther(target: string): boolean {
  try {
    return statSync(target, { throwIfNoEntry: false })?.isFile() === false
  } catch {
    return false
  }
}

/** What was written to standard output cannot be taken back; a file is begun anew when it is replaced while it is read. */
async function fetchTo(file: Wanted, where: Where): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await fetchOnce(file, where)
    } catch (error) {
      const isReplaced = toStoreError(error).code === 'conflict'
      if (file.target === undefined || attempt === ATTEMPTS_MAX || !isReplaced) throw error
    }
  }
}

async function fetchOnce({ path, target }: Wanted, { cluster, context }: Where): Promise<void> {
  const { stdout, signal, random } = context
  const opening = cluster.get(pathOf(path))
  try {
    const pieces = untilStopped((await unlessStopped(opening, signal)).pieces(), signal)
    if (target !== undefined) return await saveTo(target, pieces, random)
    for await (const piece of pieces) {
      if (!stdout.write(piece, givingBack(piece))) await unlessStopped(once(stdout, 'drain'), signal)
    }
  } finally {
    // Where nothing of it could be taken, its connection would keep this process waiting.
    opening.then((remote) => remote.close()).catch(() => undefined)
  }
}

/** What stands behind the last separator of either kind. Throws `UsageError` for what names no file here. */
function localName(path: string): string {
  const name = path.slice(Math.max(path.lastIndexOf('\\'), path.lastIndexOf('/')) + 1)
  if (['', '.', '..'].includes(name) || name.includes('\0'))
    throw new UsageError(`${path}: name the local file with --output`)
  return name
}
