/** `cairn volume list`: the volumes of a running store. */
import type { VolumeOverview } from '../../blobs/cluster-overview.ts'
import { ONLINE_SETTINGS, volumeIds, withCluster } from '../cluster-admin.ts'
import { defineCommand } from '../command.ts'
import { type Column, formatShare, formatSize, formatTable } from '../text-table.ts'

export const list = defineCommand({
  name: 'list',
  summary: 'Show the volumes of a running store, or some of them',
  usage: '[volume...]',
  settings: [...ONLINE_SETTINGS, 'node'],
  async run(config, context) {
    const ids = new Set(volumeIds(context.args))
    return await withCluster(config, context, async (admin) => {
      const { volumes } = await admin.status()
      const shown = volumes.filter(
        ({ id, node }) => (ids.size === 0 || ids.has(id)) && (config.node === '' || node === config.node),
      )
      if (config.json) for (const volume of shown) context.stdout.write(`${JSON.stringify(volume)}\n`)
      else context.stdout.write(formatTable(COLUMNS, shown))
      return shown.length === 0 && ids.size > 0 ? 1 : 0
    })
  },
})

const COLUMNS: Column<VolumeOverview>[] = [
  { title: 'VOLUME', right: true, text: (each) => String(each.id) },
  { title: 'SERVER', text: (each) => each.node },
  { title: 'COLLECTION', text: (each) => each.collection || '-' },
  { title: 'REPLICATION', text: (each) => each.replication },
  { title: 'TTL', text: (each) => each.ttl || '-' },
  { title: 'STATE', text: (each) => each.state },
  { title: 'FILES', right: true, text: (each) => String(each.fileCount) },
  { title: 'SIZE', right: true, text: (each) => formatSize(each.sizeBytes) },
  { title: 'GARBAGE', right: true, text: (each) => formatShare(each.garbageBytes, each.sizeBytes) },
  { title: 'DAMAGE', right: true, text: (each) => String(each.damageFound) },
]
