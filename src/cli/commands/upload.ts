/** `cairn upload`: stores local files. A file above the server's limit is refused by it; cutting files is not done yet. */
import { CLIENT_SETTINGS, makeClient, transferOutput } from '../client-settings.ts'
import { defineCommand } from '../command.ts'
import { listFiles, transferAll, uploadFile } from '../transfer.ts'
import { UsageError } from '../usage-error.ts'

export const upload = defineCommand({
  name: 'upload',
  summary: 'Store files, and print where each is as a line of JSON',
  usage: '[file...]',
  settings: ['recursive', 'collection', 'replication', 'ttl', ...CLIENT_SETTINGS],
  async run(config, context) {
    const output = transferOutput(context)
    const files = await listFiles(context.args, config.recursive)
    if (context.args.length === 0 && config.recursive.length === 0) {
      throw new UsageError('name files, or a directory with -r')
    }
    const { collection, replication, ttl } = config
    const options = {
      collection: collection === '' ? undefined : collection,
      replication: replication === '' ? undefined : replication,
      ttl: ttl === '' ? undefined : ttl,
    }
    const client = makeClient(config, context)
    try {
      const failed = await transferAll(
        files,
        {
          label: 'uploading',
          parallel: config.parallel,
          nameOf: (file) => file.path,
          work: (file) => uploadFile(client, file, options, output),
        },
        output,
      )
      return failed > 0 ? 1 : 0
    } finally {
      client.close()
    }
  },
})
