/** Repair of shards on real files: whatever is missing or damaged in up to two of six members is made anew. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Disk } from '../../src/disk/disk.ts'
import { bytesNeedle } from '../../src/disk/needle.ts'
import { realDisk } from '../../src/disk/real-disk.ts'
import { MIB } from '../support/needles.ts'
import { until } from '../support/planted-flips.ts'
import { seedsToRun, withSeed } from '../support/seeds.ts'
import { plantInShards } from './planted-shards.ts'
import { MEMBERS, ShardGroup } from './shard-group.ts'

const [seed] = seedsToRun(0) as [number]

test(`corruptions in records of all sizes, at any place of them: found and repaired in one scrub, seed ${seed}`, () =>
  withSeed(seed, (random) => plantInShards(random, 100)))

test('members that missed writes, deletes and everything get what they lack', async () => {
  await withSeed(seed, async (random) => {
    const group = await ShardGroup.make(random)
    try {
      for (let i = 0; i < 60; i++)
        await group.put(random.below(5000), i % 3 === 0 ? [random.below(6), random.below(6)] : [])
      await group.put(4 * MIB + 100_000, [1])
      group.repairer.start()
      await group.untilWhole()
      // While it runs: what is new is looked at, without a comparison of all.
      const { comparisons } = group.repairer.status
      for (let i = 0; i < 20; i++) await group.put(random.below(5000), [random.below(6)])
      const gone = group.blobs.splice(10, 5)
      for (const blob of gone)
        for (const shard of [0, 1, 2, 3, 5])
          group.volume(shard).remove({ volumeId: MEMBERS[shard]!, ...blob })
      await group.untilWhole()
      assert.equal(group.repairer.status.comparisons, comparisons)
      for (const blob of gone) assert.equal(await group.shardOf(blob, 4), undefined)
      // Two whole volumes, one of them behind a compaction of another.
      for (const shard of [2, 4]) {
        await group.store.keeper.deleteVolume(MEMBERS[shard]!)
        const volume = { id: MEMBERS[shard]!, collection: '', replicaPlacement: 0, ttl: 0 }
        await group.store.keeper.createVolume({ ...volume, filling: true })
      }
      await group.store.keeper.compactVolume(MEMBERS[0]!, 0)
      assert.equal(group.repairer.status.filling, 2)
      await group.untilWhole()
      for (const blob of gone) assert.equal(await group.shardOf(blob, 4), undefined)
      const { filling } = (await group.store.keeper.status()).volumes.find(({ id }) => id === MEMBERS[2])!
      assert.equal(filling, false)
      assert.equal(group.repairer.status.lost, 0)
      await group.restartRepair()
      await group.untilWhole()
      assert.equal(group.repairer.status.failed, 0)
    } finally {
      await group.close()
    }
  })
})

/** A disk of which the files of one volume are on a part without room, while `isFull` says so. */
function partlyFull(volumeId: number, isFull: () => boolean): Disk {
  const handles = new Set<number>()
  const check = (handle: number) => {
    if (handles.has(handle) && isFull()) throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
  }
  return {
    ...realDisk,
    open(path, mode) {
      const handle = realDisk.open(path, mode)
      if (path.includes(`/${volumeId}.`)) handles.add(handle)
      else handles.delete(handle)
      return handle
    },
    writeSync(handle, ...rest) {
      check(handle)
      realDisk.writeSync(handle, ...rest)
    },
    async write(handle, ...rest) {
      check(handle)
      await realDisk.write(handle, ...rest)
    },
  }
}

test('a disk that is full gets its shards when it has room', () =>
  withSeed(seed, async (random) => {
    let isFull = false
    const group = await ShardGroup.make(
      random,
      partlyFull(MEMBERS[4]!, () => isFull),
    )
    try {
      isFull = true
      for (let i = 0; i < 30; i++) await group.put(random.below(5000), [4])
      await group.put(5 * MIB, [1, 4])
      group.repairer.start()
      await until(() => {
        const { failed, rebuilt } = group.repairer.status
        return failed > 0 && rebuilt > 0
      }, 'one disk is full, and the other has its shard')
      assert.deepEqual(
        await group.wrongShards(),
        group.blobs.map(({ keyLow }) => `${keyLow}/4`),
      )
      isFull = false
      await group.store.keeper.tend()
      await group.untilWhole()
      assert.equal(group.repairer.status.lost, 0)
    } finally {
      await group.close()
    }
  }))

test('a member that cannot be written keeps the shards of others from nobody', () =>
  withSeed(seed, async (random) => {
    let isFull = false
    const group = await ShardGroup.make(
      random,
      partlyFull(MEMBERS[1]!, () => isFull),
    )
    try {
      for (let i = 0; i < 5; i++) await group.put(3_000, [1, 4])
      isFull = true
      group.repairer.start()
      await until(() => {
        const { failed, rebuilt } = group.repairer.status
        return failed >= 5 && rebuilt >= 5
      }, 'the other one has its shards')
      assert.deepEqual(
        await group.wrongShards(),
        group.blobs.map(({ keyLow }) => `${keyLow}/1`),
      )
      isFull = false
      await group.store.keeper.tend()
      await group.untilWhole()
    } finally {
      await group.close()
    }
  }))

for (const missing of [0, 5])
  test(`a shard of other content with a right checksum, and shard ${missing} missing: others are taken, and all are made right`, () =>
    withSeed(seed, async (random) => {
      const group = await ShardGroup.make(random)
      try {
        const blob = await group.put(3_000, [missing])
        const other = Buffer.from(group.codec.pack(blob.bytes)[3]!)
        other[100]! ^= 1
        await group.volume(3).write(bytesNeedle(blob, other))
        group.repairer.start()
        await group.untilWhole()
        assert.deepEqual([group.repairer.status.rebuilt, group.repairer.status.failed], [2, 0])
      } finally {
        await group.close()
      }
    }))
