/** One server over six directories that loses directories, is killed at bad times, and meets damage and a full disk. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { isErasure } from '../../src/base/erasure-id.ts'
import type { Random } from '../../src/base/random.ts'
import { readSeaweedVolume } from '../compat/seaweed-files.ts'
import { seedsToRun, withSeed } from '../support/seeds.ts'
import { OneServer } from './one-server.ts'

const [seed] = seedsToRun(0) as [number]

test(`directories emptied while the server is down, and while it runs; killed in the middle of the repair, seed ${seed}`, () =>
  withSeed(seed, async (random) => {
    const server = new OneServer(random)
    try {
      await server.start()
      await server.fill(80)
      await server.untilWhole()
      await server.stop()
      server.empty(1)
      for (const path of shardFilesIn(server.directories[4]!)) writeFileSync(path, 'errMsg\n')
      await server.start()
      await server.checkAll()
      await server.until(
        'the repair has begun',
        async () => (await server.metric('cairn_repair_shards_rebuilt_total')) > 0,
      )
      await server.kill()
      await server.start()
      await server.checkAll()
      await server.untilWhole()
      server.empty(0)
      rmSync(server.directories[5]!, { recursive: true })
      await server.checkAll()
      await server.until('the loss is noticed', async () =>
        (await server.overview()).groups.some(({ health }) => health === 'degraded'),
      )
      await server.checkAll()
      await server.until('writes go on', () => server.put(5_000))
      await server.untilWhole()
      await server.checkAll()
      await server.checkVolumes()
    } finally {
      await server.close()
    }
  }))

test(`killed in the middle of puts, again and again, seed ${seed}`, () =>
  withSeed(seed, async (random) => {
    const server = new OneServer(random)
    try {
      for (let round = 0; round < 3; round++) {
        await server.start()
        let isOver = false
        const putting = [1, 2, 3, 4].map(async () => {
          while (!isOver) await server.put(1 + random.below(100_000))
        })
        await systemClock.sleep(300 + random.below(500))
        await server.kill()
        isOver = true
        await Promise.all(putting)
      }
      await server.start()
      await server.checkAll()
      // A kill while a group was made leaves it without some of its volumes.
      await server.until('all groups have their volumes', async () =>
        (await server.overview()).groups.every(({ health }) => health === 'healthy'),
      )
      await server.until(
        'all is compared',
        async () => (await server.metric('cairn_repair_comparisons_total')) >= 1,
      )
      await server.until(
        'all is repaired',
        async () => (await server.metric('cairn_repair_shards_waiting')) === 0,
      )
      await server.checkVolumes({ rests: true })
    } finally {
      await server.close()
    }
  }))

test(`damage in two directories: killed in the middle of the scrub that finds it, seed ${seed}`, () =>
  withSeed(seed, async (random) => {
    const server = new OneServer(random, ['--scrub-rate', '2MiB', '--scrub-period', '1s'])
    try {
      await server.start()
      await server.fill(60)
      await server.untilWhole()
      await server.stop()
      for (const index of [2, 3]) damage(server.directories[index]!, random)
      await server.start()
      const scrubbed = (what: string) => server.metric(`cairn_scrub_${what}_total`)
      await server.until('the scrub finds damage', async () => (await scrubbed('damaged')) > 0)
      await server.kill()
      await server.start()
      // What it had found and not repaired is found again, at the latest in the next cycle.
      await server.until('two cycles', async () => (await scrubbed('cycles')) >= 2)
      await server.untilWhole()
      await server.checkAll()
      await server.checkVolumes()
    } finally {
      await server.close()
    }
  }))

/** A bit in every second record of each volume. */
function damage(directory: string, random: Random): void {
  for (const path of shardFilesIn(directory)) {
    const bytes = readFileSync(path)
    const { records } = readSeaweedVolume(bytes, undefined)
    for (const record of records.filter((_, i) => i % 2 === 0))
      bytes[record.offset + random.below(16 + record.size + 12)]! ^= 1 << random.below(8)
    writeFileSync(path, bytes, { flag: 'r+' })
  }
}

/** The `.dat` of each volume of an erasure group. */
function shardFilesIn(directory: string): string[] {
  const isShards = (name: string) => isErasure(Number(/([0-9]+)\.dat$/.exec(name)?.[1] ?? 0))
  return readdirSync(directory)
    .filter(isShards)
    .map((name) => join(directory, name))
}
