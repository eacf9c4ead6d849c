/**
 * The numbers of erasure volumes. An erasure volume is a group of k + m ordinary volumes, one for each shard, and the number
 * of each says so: `1 << 30 | layout << 28 | group << 4 | shard`. So whoever has an id knows how its blob is stored, and no
 * row or file has to say it. Plain volumes have numbers below 2^30.
 */
import { assert } from './assert.ts'
import type { Redundancy } from './redundancy.ts'

export type ErasureName = Exclude<Redundancy, 'none'>

export interface ErasureLayout {
  name: ErasureName
  /** Shards that hold the data. */
  k: number
  /** Shards that may be lost. */
  m: number
}

/** By the number that ids have for them, which never changes. Others are refused until they are tested. */
const LAYOUTS: readonly ErasureLayout[] = [
  { name: 'rs-4-2', k: 4, m: 2 },
  { name: 'rs-2-1', k: 2, m: 1 },
]

/** The first number that is not of a plain volume. */
export const PLAIN_VOLUME_IDS_END = 2 ** 30
/** The first number that is neither. */
const ERASURE_VOLUME_IDS_END = 2 ** 31
export const ERASURE_GROUPS_MAX = 2 ** 24

const LAYOUT_SHIFT = 28
const GROUP_SHIFT = 4
const SHARD_MASK = 0xf

/** Whether this is a number of an erasure volume, of a layout that is known. */
export function isErasure(volumeId: number): boolean {
  return (
    volumeId >= PLAIN_VOLUME_IDS_END &&
    volumeId < ERASURE_VOLUME_IDS_END &&
    shardIndexOf(volumeId) < shardCount(LAYOUTS[(volumeId >> LAYOUT_SHIFT) & 3])
  )
}

function shardCount(layout: ErasureLayout | undefined): number {
  return layout === undefined ? 0 : layout.k + layout.m
}

/** Of an erasure volume. */
export function layoutOf(volumeId: number): ErasureLayout {
  const layout = LAYOUTS[(volumeId >> LAYOUT_SHIFT) & 3]
  assert(layout !== undefined, 'the number of an erasure volume names a layout')
  return layout
}

export function layoutNamed(name: ErasureName): ErasureLayout {
  return LAYOUTS.find((each) => each.name === name)!
}

export function shardIndexOf(volumeId: number): number {
  return volumeId & SHARD_MASK
}

/** The volume of shard 0, which stands for the group in the ids of blobs. */
export function groupVolumeOf(volumeId: number): number {
  return volumeId & ~SHARD_MASK
}

/** The number that ids of blobs in this volume have. */
export function blobVolumeOf(volumeId: number): number {
  return isErasure(volumeId) ? groupVolumeOf(volumeId) : volumeId
}

/** The number of a group, among those of its layout. */
export function groupOf(volumeId: number): number {
  return (volumeId >> GROUP_SHIFT) & (ERASURE_GROUPS_MAX - 1)
}

/** The volume of another shard of the same group. */
export function shardVolume(volumeId: number, index: number): number {
  return groupVolumeOf(volumeId) | index
}

/** The volumes of all shards of a group, in their order. */
export function groupMembers(volumeId: number): number[] {
  const { k, m } = layoutOf(volumeId)
  return Array.from({ length: k + m }, (_, index) => shardVolume(volumeId, index))
}

/** The volume of shard 0 of a group. */
export function groupVolume(name: ErasureName, group: number): number {
  assert(group >= 0 && group < ERASURE_GROUPS_MAX, 'there are 2^24 groups of a layout')
  const layout = LAYOUTS.findIndex((each) => each.name === name)
  return PLAIN_VOLUME_IDS_END | (layout << LAYOUT_SHIFT) | (group << GROUP_SHIFT)
}
