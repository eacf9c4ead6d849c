/** `cairn volume move`: moves volumes of a running store to another of its volume servers. */
import { eachVolume, ONLINE_SETTINGS, volumeIds, withCluster } from '../cluster-admin.ts'
import { defineCommand } from '../command.ts'
import { formatSize } from '../text-table.ts'
import { UsageError } from '../usage-error.ts'

export const move = defineCommand({
  name: 'move',
  summary: 'Move volumes of a running store to the volume server --to; they are read only meanwhile',
  usage: '<volume...>',
  settings: [...ONLINE_SETTINGS, 'to'],
  async run(config, context) {
    const ids = volumeIds(context.args)
    if (config.to === '') throw new UsageError('--to HOST:PORT says which volume server the volumes go to')
    return await withCluster(config, context, (admin) =>
      eachVolume(ids, { config, context }, async (id) => {
        const result = await admin.move(id, config.to)
        const damage = result.recordsDamaged > 0 ? `, ${result.recordsDamaged} damaged records as before` : ''
        const what =
          result.bytes > 0 ? `${formatSize(result.bytes)} copied and verified` : 'an earlier move finished'
        return { line: `volume ${id}: from ${result.from} to ${result.to}, ${what}${damage}`, result }
      }),
    )
  },
})
