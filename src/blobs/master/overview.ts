/** The whole of what a master knows, for people. */
import { groupOf, isErasure, layoutOf, shardIndexOf } from '../../base/erasure-id.ts'
import { formatReplication } from '../../base/replication.ts'
import { formatTtl } from '../../base/ttl.ts'
import { oneOfEachDisk, type VolumeInfo } from '../../disk/volume-admin.ts'
import type { ClusterOverview, LayoutOverview, NodeOverview, VolumeOverview } from '../cluster-overview.ts'
import { volumeState } from '../volume-info-json.ts'
import { groupOverviews } from './group-health.ts'
import type { Master } from './master.ts'
import { layoutKey, type Topology } from './topology.ts'
import { slotCount, type TopologyNode } from './topology-node.ts'

export interface OverviewContext {
  master: Master
  version: string
  url: string
  clock: { nowMs(): number; monotonicMs(): number }
}

export function clusterOverview({ master, version, url, clock }: OverviewContext): ClusterOverview {
  const { topology } = master
  const nodes = topology.nodes()
  const now = clock.monotonicMs()
  return {
    role: 'master',
    version,
    clusterId: master.state.clusterId,
    url,
    atMs: clock.nowMs(),
    unknowing: master.unknowing(),
    nodes: nodes.map((node) => nodeOverview(node, now)),
    layouts: layoutOverviews(topology),
    volumes: nodes
      .flatMap((node) => [...node.volumes.values()].map((info) => volumeOverview(topology, node, info)))
      .sort((a, b) => a.id - b.id),
    groups: groupOverviews(topology),
  }
}

function nodeOverview(node: TopologyNode, now: number): NodeOverview {
  const volumes = [...node.volumes.values()]
  const { nodeId, url, publicUrl, dataCenter, rack, directories } = node
  const disks = oneOfEachDisk(directories)
  const sum = <T>(items: T[], countOf: (item: T) => number) =>
    items.reduce((total, item) => total + countOf(item), 0)
  return {
    ...{ nodeId, url, publicUrl, dataCenter, rack },
    silentMs: Math.round(now - node.lastSeenMs),
    volumeCount: volumes.length,
    volumeCountMax: slotCount(node),
    totalBytes: sum(disks, (each) => each.totalBytes),
    freeBytes: sum(disks, (each) => each.freeBytes),
    storedBytes: sum(volumes, (each) => each.sizeBytes),
    garbageBytes: sum(volumes, (each) => each.deletedBytes),
    fileCount: sum(volumes, (each) => each.fileCount - each.deleteCount),
    damageFound: sum(volumes, (each) => each.damageFound),
    volumesFailed: volumes.filter((each) => each.failed).length,
    directoriesFailed: directories.filter((each) => each.failed).map((each) => each.path),
    rates: node.traffic.rates(),
  }
}

function layoutOverviews(topology: Topology): LayoutOverview[] {
  const counts = new Map<string, number>()
  for (const node of topology.nodes()) {
    for (const info of node.volumes.values())
      if (!isErasure(info.id)) counts.set(layoutKey(info), (counts.get(layoutKey(info)) ?? 0) + 1)
  }
  const plain = topology.layouts().map(({ layout, writables }) => ({
    collection: layout.collection,
    replication: formatReplication(layout.replicaPlacement),
    ttl: formatTtl(layout.ttl),
    volumeCount: counts.get(layoutKey(layout)) ?? 0,
    writableCount: writables.length,
  }))
  return [...plain, ...groupLayouts(topology)]
}

/** A group counts as one volume. */
function groupLayouts(topology: Topology): LayoutOverview[] {
  const groups = Map.groupBy(topology.erasureGroups(), (each) => `${each.layout.name} ${layoutKey(each)}`)
  return [...groups.values()].map((members) => ({
    collection: members[0]!.collection,
    replication: members[0]!.layout.name,
    ttl: formatTtl(members[0]!.ttl),
    volumeCount: members.length,
    writableCount: members.filter((group) => group.isWritable).length,
  }))
}

/** Of an erasure volume: the layout, its group, and which shard it holds. */
function redundancyText(info: VolumeInfo): string {
  if (!isErasure(info.id)) return formatReplication(info.replicaPlacement)
  const { name, k, m } = layoutOf(info.id)
  return `${name} ${groupOf(info.id)}: ${shardIndexOf(info.id) + 1}/${k + m}`
}

function volumeOverview(topology: Topology, node: TopologyNode, info: VolumeInfo): VolumeOverview {
  const state = volumeState(info)
  const copies = topology.lookup(info.id).length
  return {
    id: info.id,
    node: node.url,
    collection: info.collection,
    replication: redundancyText(info),
    ttl: formatTtl(info.ttl),
    // Where copies are not wanted, a second one takes both out of use until somebody decides.
    state: copies > 1 && state !== 'moving' && state !== 'failed' ? 'second copy' : state,
    sizeBytes: info.sizeBytes,
    garbageBytes: info.deletedBytes,
    fileCount: info.fileCount - info.deleteCount,
    damageFound: info.damageFound,
    compactionRevision: info.compactionRevision,
    modifiedS: info.modifiedS,
  }
}
