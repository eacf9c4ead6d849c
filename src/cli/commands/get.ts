/** `cairn get`: files and folders of the store to the local disk. */
import { defineCommand } from '../command.ts'
import { FILER_CLIENT_SETTINGS, requireArgs, storePath, withFiler } from '../filer-settings.ts'
import { getAll } from '../filer-transfer.ts'

export const get = defineCommand({
  name: 'get',
  summary:
    'Fetch files or, with -r, folders into the local directory named last; what is here already is not fetched again',
  usage: '<path...>',
  settings: ['recurse', 'maxMb', ...FILER_CLIENT_SETTINGS],
  async run(config, context) {
    const { args } = context
    requireArgs(args, 1, 'get <path...> [local]')
    const [sources, target] = args.length === 1 ? [args, '.'] : [args.slice(0, -1), args.at(-1)!]
    return await withFiler(config, (filer) => getAll(filer, sources.map(storePath), target, config, context))
  },
})
