import assert from 'node:assert/strict'
import test from 'node:test'
import {
  ERASURE_GROUPS_MAX,
  groupMembers,
  groupOf,
  groupVolume,
  groupVolumeOf,
  isErasure,
  layoutOf,
  PLAIN_VOLUME_IDS_END,
  shardIndexOf,
  shardVolume,
} from './erasure-id.ts'

test('the number of an erasure volume says its layout, its group and its shard', () => {
  for (const name of ['rs-4-2', 'rs-2-1'] as const) {
    for (const group of [0, 1, 77, ERASURE_GROUPS_MAX - 1]) {
      const first = groupVolume(name, group)
      for (const [index, volumeId] of groupMembers(first).entries()) {
        assert.equal(isErasure(volumeId), true)
        assert.equal(layoutOf(volumeId).name, name)
        assert.equal(groupOf(volumeId), group)
        assert.equal(shardIndexOf(volumeId), index)
        assert.equal(groupVolumeOf(volumeId), first)
        assert.equal(shardVolume(volumeId, 1), first + 1)
      }
    }
  }
})

test('plain volumes, unknown layouts and shards that a layout has not are not erasure volumes', () => {
  const first = groupVolume('rs-2-1', 5)
  const unknownLayout = PLAIN_VOLUME_IDS_END + 2 * 2 ** 28
  for (const volumeId of [0, 1, PLAIN_VOLUME_IDS_END - 1, first + 3, unknownLayout, 2 ** 31, 0xffffffff])
    assert.equal(isErasure(volumeId), false, String(volumeId))
})
