/** `cairn volume delete`: removes volumes of a running store, with all that is in them. */
import { eachVolume, ONLINE_SETTINGS, volumeIds, withCluster } from '../cluster-admin.ts'
import { defineCommand } from '../command.ts'

export const deleteVolumes = defineCommand({
  name: 'delete',
  summary: 'Remove volumes of a running store; those that hold files only with --force',
  usage: '<volume...>',
  settings: [...ONLINE_SETTINGS, 'node', 'force'],
  async run(config, context) {
    const ids = volumeIds(context.args)
    return await withCluster(config, context, (admin) =>
      eachVolume(ids, { config, context }, async (id) => {
        const result = await admin.delete({ id, node: config.node }, config.force)
        return { line: `volume ${id} on ${result.node}: deleted, with ${result.files} files`, result }
      }),
    )
  },
})
