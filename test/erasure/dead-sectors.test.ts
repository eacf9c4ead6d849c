/** Records that the disk does not give: they are left out, made anew, and trouble nobody else. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdirSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { systemRandom } from '../../src/base/random.ts'
import { ShardFileSweep } from '../../src/blobs/shard-file-sweep.ts'
import { SHARD_FILES } from '../../src/blobs/shard-files.ts'
import { listPage } from '../../src/disk/volume-listing.ts'
import { randomOf } from '../support/seeds.ts'
import { deadSectors } from './dead-sectors.ts'
import { startErasure } from './erasure-kit.ts'
import { MEMBERS, ShardGroup } from './shard-group.ts'

const [HEAD, DATA] = [4, 40]
const LARGE_BYTES = 4 * 1024 * 1024 + 50_000

for (const at of [HEAD, DATA])
  for (const lengthBytes of [3_000, LARGE_BYTES])
    test(`a dead byte ${at} of a shard of a blob of ${lengthBytes} bytes: found and made anew`, async () => {
      const dead = deadSectors()
      const group = await ShardGroup.make(randomOf(1), dead.disk)
      try {
        for (let i = 0; i < 3; i++) await group.put(lengthBytes)
        group.repairer.start()
        await group.untilWhole()
        dead.kill(group.volume(2), group.blobs[1]!, at)
        assert.equal((await group.scrub()).length, 1)
        await group.untilWhole()
        assert.equal(group.repairer.status.rebuilt, 1)
      } finally {
        await group.close()
      }
    })

test('a record that cannot be read is named apart in listings, and can be removed', async () => {
  const dead = deadSectors()
  const group = await ShardGroup.make(randomOf(1), dead.disk)
  try {
    for (let i = 0; i < 6; i++) await group.put(3_000)
    const [, gone, kept] = group.blobs
    for (const blob of [gone!, kept!]) dead.kill(group.volume(2), blob, HEAD)
    const page = listPage(group.volume(2), 0, 100)
    assert.deepEqual(
      page.needles.map(({ id }) => id.keyLow),
      [1, 4, 5, 6],
    )
    assert.deepEqual(
      page.damaged.map(({ keyLow }) => keyLow),
      [2, 3],
    )
    group.blobs.splice(1, 1)
    for (const shard of [0, 1, 3, 4, 5]) group.volume(shard).remove({ volumeId: MEMBERS[shard]!, ...gone! })
    group.repairer.start()
    group.repairer.noteLost(MEMBERS[2]!, kept!)
    await group.untilWhole()
    assert.equal(
      group.volume(2).index.get(gone!.keyHigh, gone!.keyLow) && group.volume(2).index.deleted,
      true,
    )
    assert.deepEqual(listPage(group.volume(2), 0, 100).damaged, [])
  } finally {
    await group.close()
  }
})

for (const at of [HEAD, DATA])
  test(`a sweep of files beside a needle with a dead byte ${at} removes none, and has it made anew`, async () => {
    const dead = deadSectors()
    const group = await ShardGroup.make(randomOf(1), dead.disk, { files: true })
    const told: number[] = []
    const sweep = new ShardFileSweep({
      ...{ volumes: group.store.volumes, disk: dead.disk, clock: systemClock },
      ...{ random: systemRandom, log: silentLog, ageMsMin: 0 },
      onMissing: (volumeId, key) => {
        told.push(volumeId)
        group.repairer.noteLost(volumeId, key)
      },
    })
    const files = () => readdirSync(join(group.path, SHARD_FILES))
    try {
      for (let i = 0; i < 6; i++) await group.put(3_000)
      const gone = group.blobs.splice(5, 1)[0]!
      for (const [shard, volumeId] of MEMBERS.entries()) group.volume(shard).remove({ volumeId, ...gone })
      for (const name of files()) utimesSync(join(group.path, SHARD_FILES, name), 1e9, 1e9)
      dead.kill(group.volume(2), group.blobs[3]!, at)
      assert.deepEqual(await sweep.run(), { removed: 0, missing: 1 })
      assert.deepEqual(told, [MEMBERS[2]])
      assert.equal(files().length, 36)
      group.repairer.start()
      await group.untilWhole()
      assert.deepEqual(await sweep.run(), { removed: 6, missing: 0 })
      assert.deepEqual(await group.wrongShards(), [])
    } finally {
      await group.close()
    }
  })

test('readers of blobs with a dead sector on two disks keep nobody from writing, and mend them', async () => {
  const dead = deadSectors()
  const kit = await startErasure(() => true, 'rs-4-2', { disk: dead.disk })
  try {
    const write = (data: Buffer) => kit.blobs.write({ data, collection: 'c', redundancy: 'rs-4-2' })
    const [small, large] = [randomBytes(3_000), randomBytes(LARGE_BYTES)]
    for (const bytes of [small, large]) {
      const ids = [await write(bytes), await write(bytes)]
      const volumes = [0, 1].map((index) => kit.domains[index]!.store.volume(kit.domains[index]!.volumeId))
      for (const [i, volume] of volumes.entries()) dead.kill(volume, ids[i]!, 100)
      for (const id of ids) assert.ok((await kit.blobs.read(id)).equals(bytes))
      assert.ok((await kit.blobs.read(await write(small))).equals(small))
      for (const [i, id] of ids.entries()) while (!(await kit.has(id, i))) await systemClock.sleep(5)
    }
  } finally {
    await kit.close()
  }
})
