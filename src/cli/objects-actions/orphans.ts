/** `cairn objects orphans`: removes bytes that no object has, which processes leave that die at the wrong moment. */
import { defineCommand } from '../command.ts'
import { OBJECTS_ADMIN_SETTINGS, withCounts, withObjects } from '../objects-admin.ts'

export const orphans = defineCommand({
  name: 'orphans',
  summary: 'Remove bytes that no object of the store has, and that are older than an hour',
  settings: OBJECTS_ADMIN_SETTINGS,
  async run(config, context) {
    const { dryRun, json } = config
    const { stdout } = context
    let counts = { searched: 0, orphans: 0, bytes: 0 }
    const done = dryRun ? 'to be removed' : 'removed'
    const line = () => `${counts.searched} blobs searched, ${counts.orphans} ${done}, ${counts.bytes} bytes`
    await withObjects(config, context, (client) =>
      withCounts(context, line, async () => {
        for await (const reached of client.removeOrphans({ isDryRun: dryRun })) counts = reached
      }),
    )
    stdout.write(json ? `${JSON.stringify({ ...counts, dryRun })}\n` : `${line()}\n`)
    return 0
  },
})
