/** `cairn rm`: removes files and folders of the store. */
import { StoreError } from '../../base/errors.ts'
import { transferOutput } from '../client-settings.ts'
import { defineCommand } from '../command.ts'
import { FILER_CLIENT_SETTINGS, requireArgs, storePath, withFiler } from '../filer-settings.ts'
import { transferAll } from '../transfer.ts'

export const rm = defineCommand({
  name: 'rm',
  summary: 'Remove files of the store or, with -r, directories with all in them',
  usage: '<path...>',
  settings: ['recurse', ...FILER_CLIENT_SETTINGS],
  async run(config, context) {
    requireArgs(context.args, 1, 'rm <path...>')
    const output = transferOutput(context)
    const failed = await withFiler(config, (filer) =>
      transferAll(
        context.args.map(storePath),
        {
          label: 'removing',
          parallel: config.parallel,
          nameOf: (path) => path,
          work: async (path) => {
            if ((await filer.stat(path)) === undefined) throw new StoreError('not_found', 'there is nothing')
            await filer.remove(path, { recursive: config.recurse })
          },
          signal: context.signal,
        },
        output,
      ),
    )
    return failed > 0 ? 1 : 0
  },
})
