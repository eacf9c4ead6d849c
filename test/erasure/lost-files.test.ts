/** Shards as files: files and directories that people and disks take away. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { systemRandom } from '../../src/base/random.ts'
import { ShardFileSweep } from '../../src/blobs/shard-file-sweep.ts'
import { SHARD_FILES, SHARD_FILES_BEGUN } from '../../src/blobs/shard-files.ts'
import { realDisk } from '../../src/disk/real-disk.ts'
import { until } from '../support/planted-flips.ts'
import { randomOf } from '../support/seeds.ts'
import { MEMBERS, ShardGroup } from './shard-group.ts'

async function withFiles(work: (group: ShardGroup) => Promise<void>): Promise<void> {
  const group = await ShardGroup.make(randomOf(1), realDisk, { files: true })
  try {
    await work(group)
  } finally {
    await group.close()
  }
}

test('a file that cannot be read is a damaged one, and keeps nothing else from being mended', () =>
  withFiles(async (group) => {
    for (let i = 0; i < 5; i++) await group.put(3_000)
    await group.put(3_000, [2])
    const files = join(group.path, SHARD_FILES)
    const name = readdirSync(files).find((each) => each.includes('=.2.'))!
    rmSync(join(files, name))
    // Neither to be read nor replaced.
    mkdirSync(join(files, name, 'kept'), { recursive: true })
    const damaged = group.blobs.findIndex((blob) => name.startsWith(nameOf(group, blob.bytes)))
    group.repairer.start()
    group.repairer.noteLost(MEMBERS[2]!, group.blobs[damaged]!)
    await until(() => group.repairer.status.failed > 0, 'the repair tries')
    await group.put(3_000, [4])
    await until(() => group.repairer.status.rebuilt === 2, 'others are mended')
    assert.deepEqual(await group.wrongShards(), [`${damaged + 1}/2`])
    rmSync(join(files, name), { recursive: true })
    await group.untilWhole()
  }))

test('directories that are removed are made again by who writes there', () =>
  withFiles(async (group) => {
    for (let i = 0; i < 3; i++) {
      for (const name of [SHARD_FILES, SHARD_FILES_BEGUN].slice(i % 2))
        rmSync(join(group.path, name), { recursive: true })
      const blob = await group.put(3_000)
      assert.deepEqual(await Promise.all(MEMBERS.map((_, shard) => group.shardOf(blob, shard))), [
        ...group.codec.pack(blob.bytes),
      ])
    }
  }))

test('a sweep of directories that are removed makes them, and tells of each file', () =>
  withFiles(async (group) => {
    for (let i = 0; i < 3; i++) await group.put(3_000)
    for (const name of [SHARD_FILES, SHARD_FILES_BEGUN]) rmSync(join(group.path, name), { recursive: true })
    const told: number[] = []
    const sweep = new ShardFileSweep({
      ...{ volumes: group.store.volumes, disk: realDisk, clock: systemClock },
      ...{ random: systemRandom, log: silentLog, ageMsMin: 0 },
      onMissing: (volumeId) => void told.push(volumeId),
    })
    assert.deepEqual(await sweep.run(), { removed: 0, missing: 18 })
    assert.deepEqual(
      told,
      MEMBERS.flatMap((id) => [id, id, id]),
    )
    assert.deepEqual(readdirSync(join(group.path, SHARD_FILES)), [])
    assert.deepEqual(readdirSync(join(group.path, SHARD_FILES_BEGUN)), [])
  }))

/** What the names of a blob's files begin with. */
function nameOf({ codec }: ShardGroup, bytes: Buffer): string {
  return codec.pack(bytes).blobName!().toString('latin1').replaceAll('/', '%2F')
}
