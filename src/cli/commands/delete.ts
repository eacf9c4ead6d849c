/** `cairn delete`: removes files by id. */
import { CLIENT_SETTINGS, makeClient, transferOutput } from '../client-settings.ts'
import { defineCommand } from '../command.ts'
import { transferAll } from '../transfer.ts'

export const deleteFiles = defineCommand({
  name: 'delete',
  summary: 'Remove files by their ids',
  usage: '<fid...>',
  settings: [...CLIENT_SETTINGS],
  async run(config, context) {
    const output = transferOutput(context)
    const client = makeClient(config, context)
    try {
      const failed = await transferAll(
        context.args,
        {
          label: 'deleting',
          parallel: config.parallel,
          nameOf: (fid) => fid,
          work: async (fid) => {
            const { sizeBytes } = await client.delete(fid)
            output.line(JSON.stringify({ fid, size: sizeBytes }))
          },
        },
        output,
      )
      return failed > 0 ? 1 : 0
    } finally {
      client.close()
    }
  },
})
