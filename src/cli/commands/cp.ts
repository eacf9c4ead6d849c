/** `cairn cp`: copies into, out of, or within the store; a path in the store begins with `cairn:`. */
import { defineCommand } from '../command.ts'
import { FILER_CLIENT_SETTINGS, isStorePath, requireArgs, storePath, withFiler } from '../filer-settings.ts'
import { copyAll, getAll, putAll } from '../filer-transfer.ts'
import { UsageError } from '../usage-error.ts'

export const cp = defineCommand({
  name: 'cp',
  summary:
    'Copy files or, with -r, folders into the store, out of it or within it: cairn cp -r photos cairn:/2026',
  usage: '<source...>',
  settings: ['recurse', 'maxMb', ...FILER_CLIENT_SETTINGS],
  async run(config, context) {
    const { args } = context
    requireArgs(args, 2, 'cp <source...> <target>')
    const target = args.at(-1)!
    const sources = args.slice(0, -1)
    const inStore = sources.filter(isStorePath).length
    if (inStore !== 0 && inStore !== sources.length)
      throw new UsageError('sources are all local, or all in the store')
    if (inStore === 0 && !isStorePath(target)) throw new UsageError('one side is in the store: cairn:/path')
    return await withFiler(config, (filer) => {
      if (inStore === 0) {
        const isDirectory = target.endsWith('/') || sources.length > 1
        return putAll(filer, sources, { path: storePath(target), isDirectory }, config, context)
      }
      const paths = sources.map(storePath)
      return isStorePath(target)
        ? copyAll(filer, paths, storePath(target), config, context)
        : getAll(filer, paths, target, config, context)
    })
  },
})
