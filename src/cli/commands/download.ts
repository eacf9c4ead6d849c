/** `cairn download`: fetches files by id. What was fetched is verified, and appears under its name only when whole. */
import { CLIENT_SETTINGS, makeClient, transferOutput } from '../client-settings.ts'
import { defineCommand } from '../command.ts'
import { type DownloadTarget, downloadFile, downloadToStdout, transferAll } from '../transfer.ts'
import { UsageError } from '../usage-error.ts'

export const download = defineCommand({
  name: 'download',
  summary: 'Fetch files by their ids, and print where each is now',
  usage: '<fid...>',
  settings: ['output', 'outputDir', 'overwrite', ...CLIENT_SETTINGS],
  async run(config, context) {
    const { output: path } = config
    if (path !== '' && context.args.length > 1) throw new UsageError('--output takes one file id')
    const target: DownloadTarget =
      path !== '' ? { path } : { directory: config.outputDir, overwrite: config.overwrite }
    const output = transferOutput(context)
    const client = makeClient(config, context)
    try {
      const failed = await transferAll(
        context.args,
        {
          label: 'downloading',
          parallel: config.parallel,
          nameOf: (fid) => fid,
          work: async (fid) => {
            if (path === '-') return await downloadToStdout(client, fid, context.stdout)
            const { path: written, sizeBytes } = await downloadFile(client, fid, target)
            output.line(JSON.stringify({ fid, path: written, size: sizeBytes }))
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
