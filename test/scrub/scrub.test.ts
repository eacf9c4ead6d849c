/** The scrub finds every planted corruption in one cycle, and nothing where there is none. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import type { Random } from '../../src/base/random.ts'
import type { Disk } from '../../src/disk/disk.ts'
import { realDisk } from '../../src/disk/real-disk.ts'
import { Scrubber } from '../../src/disk/scrub.ts'
import type { ScrubDamage } from '../../src/disk/scrub-volume.ts'
import { WORD } from '../../src/disk/volume-table.ts'
import { readSeaweedVolume } from '../compat/seaweed-files.ts'
import { MIB } from '../support/needles.ts'
import { FAST, HOUR_MS, plantAndScrub, scrubOnce, until } from '../support/planted-flips.ts'
import { RealStore, temporaryDirectory } from '../support/real-store.ts'
import { seedsToRun, withSeed } from '../support/seeds.ts'

function flipBit(path: string, offset: number, random: Random): void {
  const bytes = readFileSync(path)
  bytes[offset]! ^= 1 << random.below(8)
  writeFileSync(path, bytes)
}

for (const seed of seedsToRun(1)) {
  test(`every planted flip is found, nothing else (seed ${seed})`, () =>
    withSeed(seed, (random) => plantAndScrub(random, { files: 5000, flips: 1000 })))
}

test('damage of the index and of the small files', async (t) => {
  const { path, remove } = temporaryDirectory()
  t.after(remove)
  const first = new RealStore(path)
  await first.create(1)
  for (let key = 1; key <= 600; key++) await first.write(1, key, 1, 100)
  await first.close()
  const store = new RealStore(path)
  await withSeed(7, async (random) => {
    flipBit(join(path, '1.idx'), 300 * 16 + 5, random)
    flipBit(join(path, '1.cairn'), 20, random)
    flipBit(join(path, '1.dat'), 2, random)
    const { records } = readSeaweedVolume(readFileSync(join(path, '1.dat')), undefined)
    flipBit(join(path, '1.dat'), records[290]!.offset + 30, random)
    const { damages } = await scrubOnce(store)
    const found = damages.map(({ file, offsetBytes }) => `${file} ${offsetBytes}`).sort()
    assert.deepEqual(found, ['.cairn 0', '.dat 0', `.dat ${records[290]!.offset}`, `.idx ${256 * 16}`].sort())
  })
  await store.close()
})

test('the position outlives a restart, and a slow scrub stops at once', async (t) => {
  const { path, remove } = temporaryDirectory()
  t.after(remove)
  const store = new RealStore(path)
  await store.create(1)
  await store.create(2)
  for (let key = 1; key <= 2000; key++) await store.write(1, key, 1, 1000)
  for (let key = 1; key <= 100; key++) await store.write(2, key, 1, 1000)
  const options = { log: silentLog, periodMs: HOUR_MS }
  const slow = new Scrubber(store.context, { ...options, rateBytesPerSecond: 2 * MIB })
  slow.start()
  await until(() => slow.status.records >= 1000, 'half of it')
  await slow.stop()
  const before = slow.status
  assert.equal(before.cycles, 0)
  assert.ok(before.records < 2000 && before.position > 0 && before.position < 1)
  const next = new Scrubber(store.context, { ...options, rateBytesPerSecond: FAST })
  next.start()
  await until(() => next.status.cycles > 0, 'the rest')
  await next.stop()
  const { records } = next.status
  assert.ok(
    records >= 2100 - before.records && records <= 2100 - before.records + 512,
    `${records} more records`,
  )
  // The cycle is done: one more process reads nothing before the period is over.
  const idle = new Scrubber(store.context, { ...options, rateBytesPerSecond: FAST })
  idle.start()
  await systemClock.sleep(20)
  await idle.stop()
  assert.equal(idle.status.bytes, 0)
  await store.close()
})

test('a compaction or a removal under the scrub', async (t) => {
  const { path, remove } = temporaryDirectory()
  t.after(remove)
  const store = new RealStore(path)
  await store.create(1)
  await store.create(2)
  for (let key = 1; key <= 3000; key++) await store.write(1 + (key % 2), key, 1, 1000)
  for (let key = 1; key <= 1000; key++) store.remove(1 + (key % 2), key)
  const damages: ScrubDamage[] = []
  const scrubber = new Scrubber(store.context, {
    log: silentLog,
    rateBytesPerSecond: 8 * MIB,
    periodMs: HOUR_MS,
    onDamage: (damage) => damages.push(damage),
  })
  scrubber.start()
  await until(() => scrubber.status.records > 0, 'the start')
  await store.keeper.compactVolume(1, 0)
  await until(() => scrubber.status.records >= 1000 + 256, 'the compacted volume')
  await store.keeper.deleteVolume(2)
  await until(() => scrubber.status.cycles > 0, 'a cycle')
  await scrubber.stop()
  assert.deepEqual(damages, [])
  const [slot] = store.volumes.list().map((volume) => volume.slot)
  assert.equal(slot!.get(WORD.pins0) + slot!.get(WORD.pins1), 0, 'nothing stays pinned')
  assert.equal(existsSync(join(path, 'scrub.json')), true)
  await store.close()
})

test('files that are swapped while a read is under way are no damage', async (t) => {
  const { path, remove } = temporaryDirectory()
  t.after(remove)
  let reads = 0
  let swap: (() => Promise<unknown>) | undefined
  const read: Disk['read'] = async (...place) => {
    const count = await realDisk.read(...place)
    reads++
    const now = reads % 3 === 0 ? swap : undefined
    if (now !== undefined) swap = undefined
    await now?.()
    return count
  }
  const store = new RealStore(path, { disk: { ...realDisk, read } })
  await store.create(1)
  for (let key = 1; key <= 1500; key++) await store.write(1, key, 1, 1000)
  await store.write(1, 2000, 1, 3 * MIB)
  const files = 1501
  for (let round = 1; round <= 5; round++) {
    store.remove(1, round)
    reads = round
    swap = () => store.keeper.compactVolume(1, 0)
    writeFileSync(join(path, 'scrub.json'), '')
    const { damages, records } = await scrubOnce(store)
    assert.equal(swap, undefined, 'a compaction came between')
    assert.deepEqual(damages, [])
    assert.ok(records >= files - round, 'it began again')
  }
  await store.close()
})
