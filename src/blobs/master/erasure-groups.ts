/** Which volumes make up which erasure groups, and how a new group is laid over servers and directories. */
import {
  type ErasureLayout,
  groupMembers,
  groupVolumeOf,
  isErasure,
  layoutOf,
  shardIndexOf,
} from '../../base/erasure-id.ts'
import type { Random } from '../../base/random.ts'
import { freeSlots, isWritable, slotsIn, type TopologyNode, usesShardDirectories } from './topology-node.ts'

export interface ErasureGroup {
  /** That of its first shard. */
  volumeId: number
  layout: ErasureLayout
  collection: string
  replicaPlacement: number
  ttl: number
  /** The server of each shard's volume; undefined: it is nowhere now. */
  members: readonly (TopologyNode | undefined)[]
  /** Of those, the ones that take writes. */
  writable: readonly (TopologyNode | undefined)[]
  /** All shards can be written. */
  isWhole: boolean
  /** Enough can that a blob survives the loss of one more. */
  isWritable: boolean
}

/** Where a shard's volume may be made. */
export interface Domain {
  node: TopologyNode
  directory: string
}

/** `isSingle`: whether exactly one server has a volume. */
export function erasureGroups(
  nodes: readonly TopologyNode[],
  isSingle: (volumeId: number) => boolean,
): ErasureGroup[] {
  const groups = new Map<number, MutableGroup>()
  for (const node of nodes) {
    for (const info of node.volumes.values()) {
      if (!isErasure(info.id)) continue
      const group = groupAt(groups, info)
      const index = shardIndexOf(info.id)
      group.members[index] ??= node
      if (info.full) group.isFull = true
      if (isSingle(info.id) && isWritable(info, node)) group.writable[index] = node
    }
  }
  return [...groups.values()].map((group) => {
    const count = group.writable.filter((node) => node !== undefined).length
    return {
      ...group,
      isWhole: count === group.writable.length,
      isWritable: !group.isFull && count > group.layout.k,
    }
  })
}

interface MutableGroup extends Omit<ErasureGroup, 'isWhole' | 'isWritable'> {
  members: (TopologyNode | undefined)[]
  writable: (TopologyNode | undefined)[]
  /** One volume at its limit is enough: the others are as long. */
  isFull: boolean
}

function groupAt(
  groups: Map<number, MutableGroup>,
  info: { id: number; collection: string; replicaPlacement: number; ttl: number },
): MutableGroup {
  const volumeId = groupVolumeOf(info.id)
  const known = groups.get(volumeId)
  if (known !== undefined) return known
  const layout = layoutOf(volumeId)
  const nowhere = groupMembers(volumeId).map(() => undefined)
  const { collection, replicaPlacement, ttl } = info
  const group = {
    ...{ volumeId, layout, collection, replicaPlacement, ttl },
    ...{ members: [...nowhere], writable: [...nowhere], isFull: false },
  }
  groups.set(volumeId, group)
  return group
}

/**
 * `count` domains for new volumes, no two of them the same directory: on as many servers as there are, as evenly as their room
 * allows, by chance. `taken` are directories that the group has already. Undefined where there are too few.
 */
export function pickDomains(
  nodes: readonly TopologyNode[],
  options: { count: number; taken?: readonly Domain[]; random: Random },
): Domain[] | undefined {
  const { count, taken = [], random } = options
  const picked: Domain[] = []
  const open = nodes.map((node) => ({
    node,
    used: taken.filter((each) => each.node === node).length,
    directories: openDirectories(node, taken, random),
  }))
  while (picked.length < count) {
    const pickedOn = (node: TopologyNode) => picked.filter((each) => each.node === node).length
    const rooms = open.filter(
      ({ node, directories }) =>
        directories.length > 0 && (usesShardDirectories(node) || freeSlots(node) > pickedOn(node)),
    )
    const fewest = Math.min(...rooms.map((each) => each.used))
    const calm = rooms.filter((each) => each.used === fewest)
    if (calm.length === 0) return undefined
    const chosen = calm[random.below(calm.length)]!
    chosen.used++
    picked.push({ node: chosen.node, directory: chosen.directories.shift()! })
  }
  return picked
}

/** Directories of a node that can take a volume, those with the fewest first. */
function openDirectories(node: TopologyNode, taken: readonly Domain[], random: Random): string[] {
  const volumesIn = new Map<string, number>()
  for (const { directory } of node.volumes.values())
    volumesIn.set(directory, (volumesIn.get(directory) ?? 0) + 1)
  const forShards = usesShardDirectories(node)
  return node.directories
    .filter(
      (each) =>
        (each.forShards ?? false) === forShards &&
        slotsIn(each) > Math.max(0, (volumesIn.get(each.path) ?? 0) - each.volumeCount) &&
        !taken.some((other) => other.node === node && other.directory === each.path),
    )
    .map(({ path }) => ({ path, count: volumesIn.get(path) ?? 0, ticket: random.below(1 << 30) }))
    .sort((a, b) => a.count - b.count || a.ticket - b.ticket)
    .map(({ path }) => path)
}
