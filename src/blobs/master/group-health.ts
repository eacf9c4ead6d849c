/** How whole erasure groups are, as far as their volumes say it. */
import { groupMembers } from '../../base/erasure-id.ts'
import type { VolumeInfo } from '../../disk/volume-admin.ts'
import type { GroupHealth, GroupOverview } from '../cluster-overview.ts'
import type { ErasureGroup } from './erasure-groups.ts'
import type { Topology } from './topology.ts'

export function groupOverviews(topology: Topology): GroupOverview[] {
  return topology
    .erasureGroups()
    .map((group) => groupOverview(topology, group))
    .sort((a, b) => a.id - b.id)
}

function groupOverview(topology: Topology, { volumeId, layout, collection }: ErasureGroup): GroupOverview {
  const infos = groupMembers(volumeId).map((id) =>
    topology
      .lookup(id)
      .map((node) => node.volumes.get(id))
      .filter((info) => info !== undefined),
  )
  const has = (copies: VolumeInfo[], test: (info: VolumeInfo) => boolean) => copies.some(test)
  const complete = infos.filter((copies) => has(copies, (info) => !info.failed && !info.filling)).length
  const filling = infos.filter(
    (copies) =>
      has(copies, (info) => info.filling === true) && !has(copies, (info) => !info.failed && !info.filling),
  ).length
  return {
    id: volumeId,
    redundancy: layout.name,
    collection,
    health: healthOf(complete, layout),
    shardsWanted: layout.k + layout.m,
    shardsComplete: complete,
    shardsFilling: filling,
  }
}

function healthOf(complete: number, { k, m }: { k: number; m: number }): GroupHealth {
  if (complete === k + m) return 'healthy'
  return complete >= k ? 'degraded' : 'lost'
}
