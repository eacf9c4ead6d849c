/** One volume server as a master knows it, and what follows from that: its room, and which of its volumes take writes. */
import { isErasure } from '../../base/erasure-id.ts'
import { DISK_FREE_BYTES_MIN } from '../../base/limits.ts'
import type { DirectoryInfo, VolumeInfo } from '../../disk/volume-admin.ts'
import { KEY_ASSIGNED_END } from '../master-state.ts'
import type { TrafficWindow } from './traffic-window.ts'

/** Small disks keep this part free instead. */
const DISK_FREE_PART_MIN = 1 / 20

/** One volume server. */
export interface TopologyNode {
  readonly nodeId: string
  bootId: string
  sequence: number
  url: string
  publicUrl: string
  dataCenter: string
  rack: string
  periodMs: number
  /** Monotonic. */
  lastSeenMs: number
  volumeSizeLimitBytes: number
  directories: DirectoryInfo[]
  volumes: Map<number, VolumeInfo>
  /** Volumes being made there now: their slots are spoken for. */
  creating: number
  /** Made here by the master so lately that a heartbeat may not know them yet; until when, monotonic. */
  made: Map<number, number>
  /** Boots before this one: their messages come too late. */
  pastBootIds: string[]
  traffic: TrafficWindow
}

/** Plain volumes that a node can still take: free slots, less those being filled, on directories with room. */
export function freeSlots(node: TopologyNode): number {
  const slots = node.directories
    .filter(({ forShards }) => !forShards)
    .reduce((sum, directory) => sum + slotsIn(directory), 0)
  const areShardsApart = usesShardDirectories(node)
  const here = [...node.volumes.keys()].filter((id) => !isErasure(id) || !areShardsApart).length
  return Math.max(0, Math.min(slots, slotCount(node) - here) - node.creating)
}

/** Plain volumes that a node may have in all; those of shards as well, where they share directories with them. */
export function slotCount(node: TopologyNode): number {
  return node.directories.reduce(
    (sum, { forShards, volumeCountMax }) => sum + (forShards ? 0 : volumeCountMax),
    0,
  )
}

/**
 * Whether new groups lie in directories of their own, which stand in for disks as long as there are more of them than of
 * others. Then shards take no room from plain volumes.
 */
export function usesShardDirectories(node: TopologyNode): boolean {
  const apart = node.directories.filter(({ forShards }) => forShards).length
  return apart > node.directories.length - apart
}

export function maxKeyOf(info: VolumeInfo): bigint {
  return (BigInt(info.maxKeyHigh) << 32n) | BigInt(info.maxKeyLow)
}

export function isWritable(info: VolumeInfo, node: TopologyNode): boolean {
  if (info.readOnly || info.full || info.failed || info.diskFull) return false
  if (maxKeyOf(info) >= KEY_ASSIGNED_END) return false
  return node.directories.find((each) => each.path === info.directory)?.failed !== true
}

/** Volumes that a directory can still take. */
export function slotsIn(directory: DirectoryInfo): number {
  if (directory.failed || directory.freeBytes < reserveBytes(directory)) return 0
  return Math.max(0, directory.volumeCountMax - directory.volumeCount)
}

/** A disk with less free gets no new volumes. */
function reserveBytes(directory: DirectoryInfo): number {
  return Math.min(DISK_FREE_BYTES_MIN, directory.totalBytes * DISK_FREE_PART_MIN)
}
