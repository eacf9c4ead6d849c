/** The topology as JSON, in the keys of SeaweedFS's `/dir/status` and `/vol/status`. */
import { isErasure } from '../../base/erasure-id.ts'
import { formatReplication } from '../../base/replication.ts'
import { formatTtl } from '../../base/ttl.ts'
import { volumeInfoJson } from '../volume-info-json.ts'
import type { Topology } from './topology.ts'
import { freeSlots, slotCount, type TopologyNode } from './topology-node.ts'

export interface StatusContext {
  topology: Topology
  clusterId: string
  version: string
}

export function dirStatus({ topology, clusterId, version }: StatusContext): object {
  const nodes = topology.nodes()
  const dataCenters = grouped(nodes, (node) => node.dataCenter).map(([id, within]) => ({
    Id: id,
    Racks: grouped(within, (node) => node.rack).map(([rack, dataNodes]) => ({
      Id: rack,
      DataNodes: dataNodes.map(dataNodeJson),
    })),
  }))
  const layouts = topology.layouts().map(({ layout, writables }) => ({
    replication: formatReplication(layout.replicaPlacement),
    ttl: formatTtl(layout.ttl),
    writables: writables.length > 0 ? writables : null,
    collection: layout.collection,
    diskType: 'hdd',
  }))
  return {
    Topology: {
      Max: sum(nodes, slotCount),
      Free: sum(nodes, freeSlots),
      DataCenters: dataCenters,
      Layouts: layouts,
    },
    TopologyId: clusterId,
    Version: version,
  }
}

/** Volumes of erasure groups are counted as SeaweedFS counts shards: its clients must not take them for volumes to write to. */
function dataNodeJson(node: TopologyNode): object {
  const plain = [...node.volumes.keys()].filter((id) => !isErasure(id))
  return {
    Url: node.url,
    PublicUrl: node.publicUrl,
    Volumes: plain.length,
    EcShards: node.volumes.size - plain.length,
    Max: slotCount(node),
    VolumeIds: idRanges(plain),
  }
}

export function volStatus({ topology, version }: StatusContext): object {
  const nodes = topology.nodes()
  const dataCenters = grouped(nodes, (node) => node.dataCenter).map(([id, within]) => [
    id,
    Object.fromEntries(
      grouped(within, (node) => node.rack).map(([rack, dataNodes]) => [
        rack,
        Object.fromEntries(dataNodes.map((node) => [node.url, volumesJson(node)])),
      ]),
    ),
  ])
  return {
    Version: version,
    Volumes: {
      DataCenters: Object.fromEntries(dataCenters),
      Free: sum(nodes, freeSlots),
      Max: sum(nodes, slotCount),
    },
  }
}

function volumesJson(node: TopologyNode): object[] {
  const diskIds = new Map(node.directories.map((directory, index) => [directory.path, index]))
  return [...node.volumes.values()]
    .sort((a, b) => a.id - b.id)
    .map((info) => volumeInfoJson(info, diskIds.get(info.directory) ?? 0))
}

/** What a collection holds: one total, or one for each volume with `detail`. */
export function collectionInfo(
  context: StatusContext,
  collection: string,
  detail: boolean,
): object | undefined {
  const volumes = context.topology.volumesOf(collection)
  if (volumes.length === 0) return undefined
  const stats = (members: typeof volumes) => ({
    Collection: collection,
    FileCount: sum(members, ({ info }) => info.fileCount),
    TotalSize: sum(members, ({ node }) => node.volumeSizeLimitBytes),
    UsedSize: sum(members, ({ info }) => info.sizeBytes),
    Version: context.version,
    VolumeCount: members.length,
  })
  if (!detail) return stats(volumes)
  const byLayout = grouped(volumes, ({ info }) => `${info.replicaPlacement}/${info.ttl}`)
  return byLayout.map(([, members]) => stats(members))
}

/** ` 1-3 5`: each range with a space before it. */
export function idRanges(ids: number[]): string {
  const sorted = ids.toSorted((a, b) => a - b)
  let text = ''
  for (let start = 0; start < sorted.length; ) {
    let end = start
    while (sorted[end + 1] === sorted[end]! + 1) end++
    text += end === start ? ` ${sorted[start]}` : ` ${sorted[start]}-${sorted[end]}`
    start = end + 1
  }
  return text
}

function grouped<T>(items: T[], keyOf: (item: T) => string): [string, T[]][] {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return [...groups]
}

function sum<T>(items: T[], countOf: (item: T) => number): number {
  return items.reduce((total, item) => total + countOf(item), 0)
}
