/** `cairn volume vacuum`: gives back the space of deleted files, in a running store. */
import { eachVolume, ONLINE_SETTINGS, volumeIds, withCluster } from '../cluster-admin.ts'
import { defineCommand } from '../command.ts'
import { formatShare } from '../text-table.ts'

export const vacuum = defineCommand({
  name: 'vacuum',
  summary:
    'Compact the volumes of a running store of which enough is garbage; without ids, all that take writes',
  usage: '[volume...]',
  settings: [...ONLINE_SETTINGS, 'node', 'garbageThreshold'],
  async run(config, context) {
    return await withCluster(config, context, async (admin) => {
      let ids = volumeIds(context.args)
      if (ids.length === 0) {
        const { volumes } = await admin.status()
        ids = volumes
          .filter(({ state, node }) => isCompactable(state) && (config.node === '' || node === config.node))
          .map(({ id }) => id)
      }
      return await eachVolume(ids, { config, context }, async (id) => {
        const result = await admin.vacuum({ id, node: config.node }, config.garbageThreshold)
        const done = result.compacted ? 'compacted' : 'left as it is'
        const share = formatShare(result.garbageRatio, 1)
        return { line: `volume ${id} on ${result.node}: ${done}, ${share} was garbage`, result }
      })
    })
  },
})

function isCompactable(state: string): boolean {
  return state === 'writable' || state === 'full' || state === 'disk full'
}
