/** `cairn hashstore rm`: removes files, and their names from the name server. */
import { defineCommand } from '../command.ts'
import { eachFile } from '../file-work.ts'
import { HASHSTORE_CLIENT_SETTINGS, pathOf, withHashstore } from '../hashstore-settings.ts'

export const rm = defineCommand({
  name: 'rm',
  summary: 'Remove files',
  usage: '<path...>',
  settings: HASHSTORE_CLIENT_SETTINGS,
  async run(config, context) {
    const files = context.args.map((path) => ({ path }))
    return await withHashstore(config, context, (cluster) =>
      // A signal waits for the file that is being removed: half of its chunks would be left.
      eachFile(files, { parallel: 1, done: 'removed', context }, async ({ path }) => {
        await cluster.remove(pathOf(path))
        context.stdout.write(`${path}\n`)
      }),
    )
  },
})
