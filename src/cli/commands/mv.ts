/** `cairn mv`: files and directories of the store get other names, whatever their size, at one moment. */
import { StoreError } from '../../base/errors.ts'
import { defineCommand } from '../command.ts'
import { FILER_CLIENT_SETTINGS, joinPath, requireArgs, storePath, withFiler } from '../filer-settings.ts'
import { UsageError } from '../usage-error.ts'

export const mv = defineCommand({
  name: 'mv',
  summary: 'Rename a file or directory of the store to the path named last, or move several into it',
  usage: '<path...>',
  settings: [...FILER_CLIENT_SETTINGS],
  async run(config, context) {
    requireArgs(context.args, 2, 'mv <path...> <target>')
    const paths = context.args.map(storePath)
    const target = paths.pop()!
    await withFiler(config, async (filer) => {
      const isDirectory = target === '/' || (await filer.stat(target))?.isDirectory === true
      if (paths.length > 1 && !isDirectory) throw new UsageError(`${target} is no directory`)
      for (const path of paths) {
        const entry = await filer.stat(path)
        if (entry === undefined) throw new StoreError('not_found', `nothing at ${path}`)
        await filer.move(path, isDirectory ? joinPath(target, entry.name) : target)
      }
    })
    return 0
  },
})
