/** Looks into the volumes of erasure groups: each key is in all members, and its shards make one blob, checked by its hash. */
import assert from 'node:assert/strict'
import { groupVolumeOf, isErasure, layoutOf, shardIndexOf } from '../../src/base/erasure-id.ts'
import { ShardCodec } from '../../src/blobs/erasure/packed-shard.ts'
import { VolumeMember } from '../../src/blobs/erasure/volume-member.ts'
import type { Volume } from '../../src/disk/volume.ts'
import type { Key } from '../../src/disk/volume-keys.ts'

/** Volumes that are of no group are left out. `rests`: keys in fewer than k members are what a kill left of a write. */
export async function checkGroups(volumes: Volume[], { rests = false } = {}): Promise<void> {
  const groups = Map.groupBy(
    volumes.filter(({ id }) => isErasure(id)),
    ({ id }) => groupVolumeOf(id),
  )
  assert.ok(groups.size > 0)
  for (const members of groups.values()) await checkGroup(members, rests)
}

async function checkGroup(volumes: Volume[], rests: boolean): Promise<void> {
  const layout = layoutOf(volumes[0]!.id)
  assert.equal(volumes.length, layout.k + layout.m)
  const members = volumes
    .map((volume) => new VolumeMember(volume, shardIndexOf(volume.id)))
    .sort((a, b) => a.shard - b.shard)
  const codec = new ShardCodec(layout)
  for (const key of keysOf(members)) {
    const count = members.filter((member) => member.knows(key) === 'live').length
    if (rests && count < layout.k) continue
    assert.equal(count, members.length, `members that have ${key.keyLow} (${liveKeysOf(members)})`)
    const [state] = (await members[0]!.states([key])).states
    assert.ok(state?.kind === 'live')
    const blobKey = { ...key, cookie: state.cookie }
    const packed = await Promise.all(members.map(async (member) => (await member.data([blobKey]))[0]))
    const shards = packed.map((each, shard) => each && codec.unpack(each, shard))
    assert.ok(
      shards.every((shard) => shard !== undefined),
      `all shards of ${key.keyLow} are good`,
    )
    const { blob, wrong } = codec.join(shards)
    assert.deepEqual(wrong, [])
    for (const [shard, right] of codec.pack(blob).entries()) assert.ok(packed[shard]!.equals(right))
  }
}

/** How many each has, for whoever has to find out what became of the others. */
function liveKeysOf(members: VolumeMember[]): string {
  const counts = members.map((member) => `${keysOf([member]).length} in shard ${member.shard}`)
  return `live keys: ${counts.join(', ')}`
}

/** That are live in any of them. */
function keysOf(members: VolumeMember[]): Key[] {
  const keys = new Map<string, Key>()
  for (const member of members) {
    const all = member.range({ keyHigh: 0, keyLow: 0 }, Number.POSITIVE_INFINITY).keys
    for (const { keyHigh, keyLow, deleted } of all)
      if (!deleted) keys.set(`${keyHigh}:${keyLow}`, { keyHigh, keyLow })
  }
  return [...keys.values()]
}
