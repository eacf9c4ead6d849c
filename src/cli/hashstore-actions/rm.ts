/** `cairn hashstore rm`: removes files, and their names from the name server. */
import { toStoreError } from '../../base/errors.ts'
import { defineCommand } from '../command.ts'
import { HASHSTORE_CLIENT_SETTINGS, pathOf, withHashstore } from '../hashstore-settings.ts'

export const rm = defineCommand({
  name: 'rm',
  summary: 'Remove files',
  usage: '<path...>',
  settings: HASHSTORE_CLIENT_SETTINGS,
  async run(config, context) {
    return await withHashstore(config, context, async (cluster) => {
      let failed = 0
      for (const path of context.args) {
        try {
          await cluster.remove(pathOf(path))
          context.stdout.write(`${path}\n`)
        } catch (error) {
          failed++
          context.stderr.write(`cairn: ${path}: ${toStoreError(error).message}\n`)
        }
      }
      return failed > 0 ? 1 : 0
    })
  },
})
