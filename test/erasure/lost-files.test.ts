/** Shards as files: files and directories that people and disks take away. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { SHARD_FILES } from '../../src/blobs/shard-files.ts'
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

/** What the names of a blob's files begin with. */
function nameOf({ codec }: ShardGroup, bytes: Buffer): string {
  return codec.pack(bytes).blobName!().toString('latin1').replaceAll('/', '%2F')
}
