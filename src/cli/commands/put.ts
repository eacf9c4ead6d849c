/** `cairn put`: local files and folders into the store, by path. */
import { defineCommand } from '../command.ts'
import { FILER_CLIENT_SETTINGS, requireArgs, storePath, withFiler } from '../filer-settings.ts'
import { putAll } from '../filer-transfer.ts'

export const put = defineCommand({
  name: 'put',
  summary:
    'Store files or, with -r, folders under the path named last; what is there already is not sent again',
  usage: '<local...>',
  settings: ['recurse', 'maxMb', ...FILER_CLIENT_SETTINGS],
  async run(config, context) {
    requireArgs(context.args, 2, 'put <local...> <path>')
    const target = context.args.at(-1)!
    const sources = context.args.slice(0, -1)
    const isDirectory = target.endsWith('/') || sources.length > 1
    return await withFiler(config, (filer) =>
      putAll(filer, sources, { path: storePath(target), isDirectory }, config, context),
    )
  },
})
