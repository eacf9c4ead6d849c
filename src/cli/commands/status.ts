/** `cairn status`: servers, volumes and space of a running store, for people. */
import type {
  ClusterOverview,
  GroupOverview,
  LayoutOverview,
  NodeOverview,
} from '../../blobs/cluster-overview.ts'
import { ONLINE_SETTINGS, withCluster } from '../cluster-admin.ts'
import { defineCommand } from '../command.ts'
import { type Column, formatShare, formatSize, formatTable } from '../text-table.ts'

export const status = defineCommand({
  name: 'status',
  summary: 'Show the servers, volumes and space of a running store',
  settings: ONLINE_SETTINGS,
  async run(config, context) {
    return await withCluster(config, context, async (admin) => {
      const overview = await admin.status()
      context.stdout.write(config.json ? `${JSON.stringify(overview)}\n` : statusText(overview))
      return 0
    })
  },
})

export function statusText(overview: ClusterOverview): string {
  const { nodes, layouts, volumes } = overview
  const sum = (countOf: (node: NodeOverview) => number) => nodes.reduce((all, node) => all + countOf(node), 0)
  const [stored, garbage] = [sum((node) => node.storedBytes), sum((node) => node.garbageBytes)]
  const facts = [
    ['master', `${overview.url}, version ${overview.version}, cluster ${overview.clusterId}`],
    ['state', overview.unknowing ?? (troubles(overview).length > 0 ? 'needs attention' : 'up')],
    ['files', `${sum((node) => node.fileCount)} in ${volumes.length} volumes`],
    ['stored', `${formatSize(stored)}, ${formatShare(garbage, stored)} of it garbage`],
    ['free', `${formatSize(sum((node) => node.freeBytes))} of ${formatSize(sum((node) => node.totalBytes))}`],
  ]
  if (overview.groups.length > 0) facts.push(['groups', groupsText(overview.groups)])
  const parts = [facts.map(([name, value]) => `${name!.padEnd(8)}${value}\n`).join('')]
  parts.push(nodes.length === 0 ? 'no volume server has reported yet\n' : formatTable(NODE_COLUMNS, nodes))
  if (layouts.length > 0) parts.push(formatTable(LAYOUT_COLUMNS, layouts))
  const ailing = overview.groups.filter(({ health }) => health !== 'healthy')
  if (ailing.length > 0) parts.push(formatTable(GROUP_COLUMNS, ailing))
  const lines = troubles(overview)
  if (lines.length > 0) parts.push(lines.map((line) => `! ${line}\n`).join(''))
  return parts.join('\n')
}

function groupsText(groups: readonly GroupOverview[]): string {
  const counts = (['healthy', 'degraded', 'lost'] as const).map((health) => {
    const count = groups.filter((group) => group.health === health).length
    return count === 0 ? undefined : `${count} ${health}`
  })
  return counts.filter((each) => each !== undefined).join(', ')
}

function troubles({ nodes, volumes, groups }: ClusterOverview): string[] {
  return [
    ...groups
      .filter(({ health }) => health !== 'healthy')
      .map(
        ({ id, health, shardsComplete, shardsWanted }) =>
          `group ${id} is ${health}: ${shardsComplete} of ${shardsWanted} volumes are whole`,
      ),
    ...nodes.flatMap(({ url, directoriesFailed }) =>
      directoriesFailed.map((path) => `${url}: ${path} does not work`),
    ),
    ...nodes
      .filter(({ damageFound }) => damageFound > 0)
      .map(({ url, damageFound }) => `${url}: ${damageFound} damaged records`),
    ...volumes
      .filter(({ state }) => state === 'failed' || state === 'second copy' || state === 'moving')
      .map(
        ({ id, node, state }) =>
          `${node}: volume ${id} is ${state === 'second copy' ? 'on two servers' : state}`,
      ),
  ]
}

const rate = (value: number | undefined) =>
  value === undefined ? '-' : value > 0 && value < 10 ? value.toFixed(1) : String(Math.round(value))

const NODE_COLUMNS: Column<NodeOverview>[] = [
  { title: 'SERVER', text: (node) => node.url },
  { title: 'DATA CENTER / RACK', text: (node) => `${node.dataCenter} / ${node.rack}` },
  { title: 'VOLUMES', right: true, text: (node) => `${node.volumeCount}/${node.volumeCountMax}` },
  { title: 'FILES', right: true, text: (node) => String(node.fileCount) },
  { title: 'STORED', right: true, text: (node) => formatSize(node.storedBytes) },
  { title: 'GARBAGE', right: true, text: (node) => formatShare(node.garbageBytes, node.storedBytes) },
  { title: 'FREE', right: true, text: (node) => formatSize(node.freeBytes) },
  { title: 'READS/S', right: true, text: (node) => rate(node.rates?.readsPerS) },
  { title: 'WRITES/S', right: true, text: (node) => rate(node.rates?.writesPerS) },
  { title: 'SEEN', right: true, text: (node) => `${(node.silentMs / 1000).toFixed(1)} s ago` },
]

const GROUP_COLUMNS: Column<GroupOverview>[] = [
  { title: 'GROUP', right: true, text: (each) => String(each.id) },
  { title: 'REDUNDANCY', text: (each) => each.redundancy },
  { title: 'COLLECTION', text: (each) => each.collection || '-' },
  { title: 'HEALTH', text: (each) => each.health },
  { title: 'WHOLE', right: true, text: (each) => `${each.shardsComplete}/${each.shardsWanted}` },
  { title: 'FILLING', right: true, text: (each) => String(each.shardsFilling) },
]

const LAYOUT_COLUMNS: Column<LayoutOverview>[] = [
  { title: 'COLLECTION', text: (each) => each.collection || '-' },
  { title: 'REPLICATION', text: (each) => each.replication },
  { title: 'TTL', text: (each) => each.ttl || '-' },
  { title: 'VOLUMES', right: true, text: (each) => String(each.volumeCount) },
  { title: 'WRITABLE', right: true, text: (each) => String(each.writableCount) },
]
