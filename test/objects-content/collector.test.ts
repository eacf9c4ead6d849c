/** The collector: nothing referenced is ever removed, everything else is, in bounded steps, whatever fails meanwhile. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { afterEach, test } from 'node:test'
import { StoreError } from '../../src/base/errors.ts'
import { GARBAGE_AWAY_RETRY_MS, GARBAGE_LOST_MS, GARBAGE_RETRY_MS } from '../../src/base/limits.ts'
import { silentLog } from '../../src/base/log.ts'
import { seededRandom } from '../../src/base/random.ts'
import { GarbageCollector } from '../../src/objects/collector.ts'
import { readSwept, writeSwept } from '../../src/objects/content/sweep-scripts.ts'
import type { Bucket, CompleteUpload, ObjectBody } from '../../src/objects/object-store.ts'
import { noPostgres, PostgresServer } from '../support/postgres.ts'
import { audit } from './audit.ts'
import { collectAll, raceWithCollector } from './collector-races.ts'
import { bodyOf, bytesOf, type ContentKit, crowd, startContent } from './content-kit.ts'

const random = seededRandom(5)
const kits: ContentKit[] = []

afterEach(async () => {
  for (const kit of kits.splice(0)) await kit.close()
})

async function start(): Promise<{ kit: ContentKit; bucket: Bucket; collector: GarbageCollector }> {
  const kit = await startContent({ partBytesMin: 1 })
  kits.push(kit)
  const collector = new GarbageCollector({ ...kit, log: silentLog })
  return { kit, collector, bucket: await kit.store.createBucket({ name: 'bucket', owner: 'o' }) }
}

test('5,000 races of writes, copies, completions, appends and removals with the collector', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  console.log(`seed ${seed}`)
  await raceWithCollector({ races: 5000, seed })
})

test('1,000 races on PostgreSQL, where transactions run at the same time', { skip: noPostgres }, async () => {
  const server = await PostgresServer.start()
  try {
    const seed = Math.floor(Math.random() * 2 ** 31)
    console.log(`seed ${seed}`)
    await raceWithCollector({ races: 1000, seed, url: await server.createDatabase('races') })
  } finally {
    await server.end()
  }
})

test('garbage waits for its time', async () => {
  const { kit, bucket, collector } = await start()
  await kit.store.put({ bucket, key: 'a', body: bodyOf(Buffer.from('x')), attributes: {} })
  await kit.store.delete({ bucket, key: 'a' })
  kit.clock.aheadMs += 59_000
  await collector.collect()
  assert.equal(kit.blobs.live.size, 1)
  kit.clock.aheadMs += 1_001
  await collector.collect()
  assert.equal(kit.blobs.live.size, 0)
  assert.deepEqual(collector.counts, { removedBlobs: 1, removedContents: 0, postponed: 0 })
})

test('what a slow put replaces is kept for its readers from the commit on', async () => {
  const { kit, bucket, collector } = await start()
  await kit.store.put({ bucket, key: 'a', body: bodyOf(Buffer.from('old')), attributes: {} })
  const found = await kit.store.find(bucket, 'a')
  const whole = bodyOf(Buffer.from('new'), { pieceBytes: 1 })
  const slow: ObjectBody = {
    sizeBytes: 3,
    async *pieces() {
      yield* whole.pieces()
      kit.clock.aheadMs += 120_000
    },
  }
  const { modifiedMs } = await kit.store.put({ bucket, key: 'a', body: slow, attributes: {} })
  await collector.collect()
  assert.equal(kit.blobs.live.size, 2)
  assert.equal(String(await bytesOf(found.read(0, 3))), 'old')
  assert.ok(modifiedMs >= found.info.modifiedMs + 120_000, 'it is there since the commit')
  kit.clock.aheadMs += 61_000
  await collector.collect()
  assert.equal(kit.blobs.live.size, 1)
})

test('what a completed upload replaces is kept for its readers, however long its bytes are checked', async () => {
  const { kit, bucket, collector } = await start()
  const [key, bytes] = ['a', Buffer.from('new')]
  await kit.store.put({ bucket, key, body: bodyOf(Buffer.from('old')), attributes: {} })
  const found = await kit.store.find(bucket, key)
  const { uploadId } = await kit.store.createUpload({ bucket, key, attributes: {} })
  const upload = { bucket, key, uploadId }
  const part = await kit.store.putPart({ ...upload, number: 1, body: bodyOf(bytes) })
  const read = kit.blobs.read.bind(kit.blobs)
  kit.blobs.read = (...args) => {
    kit.clock.aheadMs += 120_000
    return read(...args)
  }
  const sha256 = createHash('sha256').update(bytes).digest()
  await kit.store.completeUpload({ ...upload, parts: [part], sha256 })
  kit.blobs.read = read
  await collector.collect()
  assert.equal(kit.blobs.live.size, 2)
  assert.equal(String(await bytesOf(found.read(0, 3))), 'old')
})

test('removed objects give their space back: compaction leaves what is still named', async () => {
  const { kit, bucket, collector } = await start()
  const put = (key: string) =>
    kit.store.put({ bucket, key, body: bodyOf(random.bytes(200_000)), attributes: {} })
  const { etag } = await put('kept')
  for (let i = 0; i < 20; i++) await put(`gone ${i}`)
  const sizes = async () =>
    (await kit.keeper.status()).volumes.map(({ id, sizeBytes }) => ({ id, sizeBytes }))
  const total = async () => (await sizes()).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  assert.ok((await total()) > 21 * 200_000)
  for (let i = 0; i < 20; i++) await kit.store.delete({ bucket, key: `gone ${i}` })
  await collectAll(kit, collector)
  for (const { id } of await sizes()) await kit.keeper.compactVolume(id, 0.3)
  assert.ok((await total()) < 1.1 * 200_000, `${await total()} bytes`)
  const { info, read } = await kit.store.find(bucket, 'kept')
  assert.equal(info.etag, etag)
  assert.equal((await bytesOf(read(0, info.sizeBytes))).length, 200_000)
})

test('a content of many pages and one of many segments go step by step', async () => {
  const { kit, bucket, collector } = await start()
  const disperse = crowd(kit.load)
  const large = bodyOf(random.bytes(1300 * 65_536), { pieceBytes: 1 << 20 })
  await kit.store.put({ bucket, key: 'large', body: large, attributes: {} })
  disperse()
  const upload = {
    bucket,
    ...(await kit.store.createUpload({ bucket, key: 'parts', attributes: {} })),
  }
  const parts: CompleteUpload['parts'][number][] = []
  for (let number = 1; number <= 300; number++)
    parts.push(
      await kit.store.copyPart({
        ...upload,
        number,
        source: { bucket, key: 'large' },
        range: { start: number, end: 2 * number },
      }),
    )
  await kit.store.completeUpload({ ...{ bucket, key: 'parts', uploadId: upload.uploadId }, parts })
  for (const key of ['parts', 'large']) await kit.store.delete({ bucket, key })
  await collectAll(kit, collector)
  assert.deepEqual(await audit(kit), { problems: [], named: 0, garbage: 0, contents: 0 })
  assert.equal(kit.blobs.live.size, 0)
})

test('what cannot be removed waits without holding up the rest; what ends half way is done again', async () => {
  const { kit, bucket, collector } = await start()
  for (const key of ['a', 'b', 'c']) {
    await kit.store.put({ bucket, key, body: bodyOf(Buffer.from(key)), attributes: {} })
    await kit.store.delete({ bucket, key })
  }
  kit.clock.aheadMs += 60_001
  let calls = 0
  kit.blobs.beforeRemove = (ids) => {
    calls++
    if (ids.some(({ keyLow }) => keyLow % 3 === 0)) throw new StoreError('unavailable', 'the volume is away')
  }
  await collector.collect()
  assert.equal(calls, 4)
  assert.equal(collector.counts.postponed, 1)
  assert.equal(kit.blobs.live.size, 1)
  await collector.collect()
  assert.equal(calls, 4)
  kit.clock.aheadMs += GARBAGE_RETRY_MS
  kit.blobs.beforeRemove = () => {}
  await collector.collect()
  assert.equal(kit.blobs.live.size, 0)
  assert.equal(await collector.waiting(), 0)
})

test('garbage of a volume that stays away is forgotten, so that a search finds it should the volume come back', async () => {
  const { kit, bucket, collector } = await start()
  for (const key of ['a', 'b', 'c', 'd'])
    await kit.store.put({ bucket, key, body: bodyOf(Buffer.from(key)), attributes: {} })
  crowd(kit.load)
  await kit.store.put({ bucket, key: 'large', body: bodyOf(random.bytes(700 * 65_536)), attributes: {} })
  for (const key of ['a', 'b', 'c', 'd', 'large']) await kit.store.delete({ bucket, key })
  const away = Number([...kit.blobs.live.keys()][0]!.split(',')[0])
  const volumes = [away, away + 100].map((volumeId) => ({ volumeId, entries: 9, revision: 0 }))
  await kit.meta.write(writeSwept, { volumes })
  let calls = 0
  kit.blobs.beforeRemove = (ids) => {
    calls++
    const cause = new StoreError('volume_not_found', 'no server has it')
    if (ids.some(({ volumeId }) => volumeId === away)) throw new StoreError('unavailable', 'away', { cause })
  }
  kit.clock.aheadMs += 60_001
  await collector.collect()
  assert.ok(kit.blobs.live.size > 0)
  assert.ok((await collector.waiting()) > 0)
  const callsBefore = calls
  await collector.collect()
  assert.equal(calls, callsBefore, 'nothing is due')
  for (
    let passedMs = 0;
    passedMs < GARBAGE_LOST_MS - GARBAGE_AWAY_RETRY_MS;
    passedMs += GARBAGE_AWAY_RETRY_MS
  ) {
    kit.clock.aheadMs += GARBAGE_AWAY_RETRY_MS
    await collector.collect()
    assert.ok((await collector.waiting()) > 0)
  }
  kit.clock.aheadMs += GARBAGE_AWAY_RETRY_MS
  await collector.collect()
  assert.equal(await collector.waiting(), 0)
  assert.ok(kit.blobs.live.size > 0)
  assert.deepEqual(await kit.meta.read(readSwept, null), volumes.slice(1))
})

test('it stops between two steps', async () => {
  const { kit, bucket, collector } = await start()
  crowd(kit.load)
  const large = bodyOf(random.bytes(1300 * 65_536), { pieceBytes: 1 << 20 })
  await kit.store.put({ bucket, key: 'large', body: large, attributes: {} })
  await kit.store.delete({ bucket, key: 'large' })
  kit.clock.aheadMs += 60_001
  const before = kit.blobs.live.size
  kit.blobs.beforeRemove = () => void collector.stop()
  await collector.collect()
  assert.ok(kit.blobs.live.size > 0 && kit.blobs.live.size < before)
  assert.deepEqual(
    (await audit(kit)).problems.filter((problem) => !problem.includes('gone')),
    [],
  )
  kit.blobs.beforeRemove = () => {}
  await collectAll(kit, new GarbageCollector({ ...kit, log: silentLog }))
  assert.equal(kit.blobs.live.size, 0)
})
