/** Orphans after simulated crashes, writers of several processes, and the check of the whole store both ways. */
import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import { StoreError } from '../../src/base/errors.ts'
import { formatFid, parseFid } from '../../src/base/fid.ts'
import { ORPHAN_GRACE_MS } from '../../src/base/limits.ts'
import { silentLog } from '../../src/base/log.ts'
import { seededRandom, systemRandom } from '../../src/base/random.ts'
import type { BlobId } from '../../src/blobs/blob-store.ts'
import { query, type Script } from '../../src/meta/meta-store.ts'
import { type CheckOptions, checkStore } from '../../src/objects/check-store.ts'
import { GarbageCollector } from '../../src/objects/collector.ts'
import type { Bucket } from '../../src/objects/object-store.ts'
import { removeOldOrphans } from '../../src/objects/old-orphans.ts'
import { OrphanSearch } from '../../src/objects/orphans.ts'
import { presenceMemory, WriterPresence } from '../../src/objects/writer-presence.ts'
import { audit } from './audit.ts'
import { collectAll } from './collector-races.ts'
import { bodyOf, bytesOf, type ContentKit, crowd, startContent } from './content-kit.ts'

const random = seededRandom(3)
const kits: ContentKit[] = []

afterEach(async () => {
  for (const kit of kits.splice(0)) await kit.close()
})

async function start(inShards = false): Promise<{ kit: ContentKit; bucket: Bucket }> {
  const kit = await startContent({ partBytesMin: 1, inShards })
  kits.push(kit)
  return { kit, bucket: await kit.store.createBucket({ name: 'bucket', owner: 'o' }) }
}

const search = (kit: ContentKit, more: { blobsAtOnce?: number } = {}) =>
  new OrphanSearch({ ...kit, random: systemRandom, log: silentLog, collection: '_objects', ...more })
const collectorOf = (kit: ContentKit) => new GarbageCollector({ ...kit, log: silentLog })

/** A blob whose row a crash prevented. */
const orphan = (kit: ContentKit, { inShards = false } = {}): Promise<BlobId> => {
  const redundancy = inShards ? 'rs-4-2' : 'none'
  return kit.blobs.write({ data: random.bytes(100), collection: '_objects', redundancy })
}

/** One of everything that names blobs. */
async function fill(kit: ContentKit, bucket: Bucket): Promise<Map<string, Buffer>> {
  const expected = new Map<string, Buffer>()
  const put = async (key: string, bytes: Buffer) => {
    await kit.store.put({
      bucket,
      key,
      body: bodyOf(bytes, bytes.length > 9000 ? { pieceBytes: 65_536 } : {}),
      attributes: {},
    })
    expected.set(key, bytes)
  }
  for (let i = 0; i < 5; i++) await put(`small ${i}`, random.bytes(1000))
  const disperse = crowd(kit.load)
  await put('inline', random.bytes(3 * 65_536))
  await put('pages', random.bytes(300 * 65_536))
  disperse()
  await kit.store.copy({ source: { bucket, key: 'small 0' }, bucket, key: 'copy' })
  expected.set('copy', expected.get('small 0')!)
  const { uploadId } = await kit.store.createUpload({ bucket, key: 'parts', attributes: {} })
  const upload = { bucket, key: 'parts', uploadId }
  const parts = [
    await kit.store.putPart({ ...upload, number: 1, body: bodyOf(Buffer.from('part')) }),
    await kit.store.copyPart({
      ...upload,
      number: 2,
      source: { bucket, key: 'pages' },
      range: { start: 5, end: 500_000 },
    }),
  ]
  await kit.store.completeUpload({ ...upload, parts })
  expected.set('parts', Buffer.concat([Buffer.from('part'), expected.get('pages')!.subarray(5, 500_000)]))
  const open = await kit.store.createUpload({ bucket, key: 'open', attributes: {} })
  await kit.store.putPart({
    bucket,
    key: 'open',
    uploadId: open.uploadId,
    number: 1,
    body: bodyOf(Buffer.from('x')),
  })
  const deleted = await kit.store.put({
    bucket,
    key: 'gone',
    body: bodyOf(Buffer.from('gone')),
    attributes: {},
  })
  assert.equal(deleted.sizeBytes, 4)
  await kit.store.delete({ bucket, key: 'gone' })
  return expected
}

async function assertAllThere(kit: ContentKit, bucket: Bucket, expected: Map<string, Buffer>): Promise<void> {
  for (const [key, bytes] of expected) {
    const found = await kit.store.find(bucket, key)
    assert.ok((await bytesOf(found.read(0, found.info.sizeBytes))).equals(bytes), key)
  }
}

describe('the search for orphans', () => {
  test('removes what a process that died has left, and nothing that is named', async () => {
    for (const [blobsAtOnce, inShards] of [
      [1, false],
      [7, false],
      [7, true],
      [1_000_000, false],
      [1_000_000, true],
    ] as const) {
      const { kit, bucket } = await start(inShards)
      const expected = await fill(kit, bucket)
      for (let i = 0; i < 300; i++) await orphan(kit, { inShards })
      const orphans = search(kit, { blobsAtOnce })
      await orphans.begin()
      // What this process writes is not looked at, named or not.
      await kit.store.put({ bucket, key: 'later', body: bodyOf(Buffer.from('later')), attributes: {} })
      const inFlight = await orphan(kit, { inShards })
      const { orphans: found } = (await orphans.run())!
      assert.equal(found, 300)
      await collectAll(kit, collectorOf(kit))
      await assertAllThere(kit, bucket, expected)
      assert.deepEqual((await audit(kit)).problems, [`blob ${formatFid(inFlight)} is leaked`])
    }
  })

  test('while the store is in use: only what is older than everything under way', async () => {
    for (const blobsAtOnce of [1, 1_000_000]) {
      const { kit, bucket } = await start()
      const expected = await fill(kit, bucket)
      for (let i = 0; i < 20; i++) await orphan(kit)
      const shared = presenceMemory(2)
      const writer = { oldestStartMs: undefined as number | undefined }
      const parts = { ...kit, random: systemRandom, log: silentLog, shared, writer }
      const threads = [0, 1].map((thread) => new WriterPresence({ ...parts, writerId: `${thread}`, thread }))
      const find = async (isDryRun: boolean) =>
        await removeOldOrphans({
          ...{ ...parts, isDryRun, blobsAtOnce, collection: '_objects' },
          appendedBeforeMs: await threads[0]!.settledMs(),
        })
      for (const thread of threads) await thread.start()
      assert.equal((await find(false)).searched, 0)
      kit.clock.aheadMs += 2 * ORPHAN_GRACE_MS
      // The other thread has said nothing for two hours.
      await threads[0]!.start()
      assert.equal((await find(false)).searched, 0)
      await threads[1]!.start()
      assert.equal((await find(true)).orphans, 20)
      assert.equal((await find(false)).orphans, 20)
      assert.equal((await find(false)).orphans, 0)
      await collectAll(kit, collectorOf(kit))
      await assertAllThere(kit, bucket, expected)
      for (const thread of threads) await thread.stop()
    }
  })

  test('goes on where the last one ended; a clean end leaves nothing to search', async () => {
    const { kit, bucket } = await start()
    await fill(kit, bucket)
    const first = search(kit)
    await first.begin()
    assert.ok((await first.run())!.searched > 0)
    const second = search(kit)
    await second.begin()
    assert.deepEqual(await second.run(), { searched: 0, orphans: 0 })
    for (let i = 0; i < 10; i++) await orphan(kit)
    const third = search(kit)
    await third.begin()
    await third.markSwept()
    assert.deepEqual(await third.run(), { searched: 10, orphans: 10 })
    await kit.store.put({ bucket, key: 'later', body: bodyOf(Buffer.from('later')), attributes: {} })
    await third.markSwept()
    // Where a write failed, its bytes may be there all the same.
    const fourth = new OrphanSearch({ ...kit, random: systemRandom, log: silentLog, collection: '_objects' })
    await fourth.begin()
    await fourth.run()
    await orphan(kit)
    kit.blobs.beforeWrite = () => {
      throw new StoreError('io_error', 'a disk that fails')
    }
    await assert.rejects(kit.store.put({ bucket, key: 'x', body: bodyOf(random.bytes(5)), attributes: {} }))
    await fourth.markSwept()
    const fifth = search(kit)
    await fifth.begin()
    assert.deepEqual(await fifth.run(), { searched: 1, orphans: 1 })
    const last = search(kit)
    await last.begin()
    assert.deepEqual(await last.run(), { searched: 0, orphans: 0 })
  })

  test('leaves a volume that is compacted meanwhile to the next start', async () => {
    const { kit, bucket } = await start()
    const expected = await fill(kit, bucket)
    for (let i = 0; i < 10; i++) await orphan(kit)
    const orphans = search(kit)
    await orphans.begin()
    const { volumes } = kit.blobs
    kit.blobs.volumes = async () =>
      (await volumes.call(kit.blobs)).map((volume) => ({ ...volume, revision: volume.revision + 1 }))
    assert.deepEqual(await orphans.run(), { searched: 0, orphans: 0 })
    const next = search(kit)
    await next.begin()
    assert.equal((await next.run())!.orphans, 10)
    await collectAll(kit, collectorOf(kit))
    await assertAllThere(kit, bucket, expected)
  })

  test('of several processes waits for the oldest write of all that live', async () => {
    const { kit } = await start()
    const meta = new Proxy(kit.meta, {
      get: (target, name) =>
        name === 'capabilities'
          ? { ...target.capabilities, sharedBetweenProcesses: true }
          : Reflect.get(target, name).bind(target),
    })
    const parts = { ...kit, meta, random: systemRandom, log: silentLog, collection: '_objects' }
    await orphan(kit)
    const writer = { oldestStartMs: kit.clock.nowMs() as number | undefined }
    kit.clock.aheadMs += 1000
    const startMs = kit.clock.nowMs()
    const result = async (waits: boolean) => {
      const orphans = new OrphanSearch({ ...parts, clock: startedAt(kit, startMs) })
      await orphans.begin()
      const presence = new WriterPresence({
        ...parts,
        writerId: 'other/0',
        shared: presenceMemory(1),
        thread: 0,
        writer,
      })
      await presence.start()
      let counts: unknown = 'waits'
      const run = orphans.run().then((found) => (counts = found))
      if (!waits) await run
      for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
      const seen = counts
      orphans.stop()
      await run
      return { seen, presence }
    }
    assert.equal((await result(true)).seen, 'waits')
    kit.clock.aheadMs += 2 * ORPHAN_GRACE_MS
    assert.equal((await result(true)).seen, 'waits')
    writer.oldestStartMs = startMs + ORPHAN_GRACE_MS - 10_000
    assert.equal((await result(true)).seen, 'waits')
    writer.oldestStartMs = undefined
    const { seen, presence } = await result(false)
    assert.deepEqual(seen, { searched: 1, orphans: 1 })
    await presence.stop()
  })
})

/** A clock that shows the same moment the first time that it is asked, and then the kit's. */
function startedAt(kit: ContentKit, startMs: number) {
  let first: number | undefined = startMs
  return Object.assign(Object.create(kit.clock), {
    nowMs() {
      const nowMs = first ?? kit.clock.nowMs()
      first = undefined
      return nowMs
    },
  })
}

const check = (kit: ContentKit, more: Partial<CheckOptions> = {}) =>
  checkStore({ ...kit, random: systemRandom, collection: '_objects', ...more })

const change = (sql: string): Script<null, null> => ({
  name: `test.${sql}`,
  *steps() {
    yield query(sql)
    return null
  },
})

describe('the check of the store', () => {
  test('finds nothing where nothing is wrong', async () => {
    for (const inShards of [false, true]) {
      const { kit, bucket } = await start(inShards)
      await fill(kit, bucket)
      const result = await check(kit, { verify: true })
      assert.equal(result.blobs, kit.blobs.live.size)
      assert.deepEqual(
        [result.missingCount, result.corruptCount, result.orphanedCount, result.wrongReferencesCount],
        [0, 0, 0, 0],
      )
      await collectAll(kit, collectorOf(kit))
      assert.deepEqual((await check(kit)).orphaned, [])
    }
  })

  test('finds missing blobs and whose they are, also behind copies and parts', async () => {
    const { kit, bucket } = await start()
    await fill(kit, bucket)
    const ids = [...kit.blobs.live.keys()].map(parseFid)
    await kit.blobs.remove(ids)
    for (const blobsAtOnce of [1, 1_000_000]) {
      const result = await check(kit, { blobsAtOnce })
      const keys = new Set(result.missing.map(({ owner }) => ('key' in owner ? owner.key : owner.kind)))
      assert.deepEqual([...keys].sort(), [
        'copy',
        'inline',
        'pages',
        'part',
        'parts',
        'small 0',
        'small 1',
        'small 2',
        'small 3',
        'small 4',
      ])
      assert.equal(result.corruptCount, 0)
    }
  })

  for (const inShards of [false, true])
    test(`finds orphans and wrong counts, and repairs them${inShards ? ', in shards' : ''}`, async () => {
      const { kit, bucket } = await start(inShards)
      const expected = await fill(kit, bucket)
      for (let i = 0; i < 3; i++) await orphan(kit, { inShards })
      await kit.meta.write(change('update content set refs = refs + 1'), null)
      const found = await check(kit, { repair: true })
      assert.equal(found.orphanedCount, 3)
      assert.equal(found.orphanedBytes, 300)
      assert.ok(found.wrongReferencesCount > 0)
      await collectAll(kit, collectorOf(kit))
      const again = await check(kit)
      assert.deepEqual([again.orphanedCount, again.wrongReferencesCount, again.missingCount], [0, 0, 0])
      await assertAllThere(kit, bucket, expected)
      await kit.meta.write(change('delete from garbage'), null)
      await kit.meta.write(change('delete from object'), null)
      await kit.meta.write(change('delete from part'), null)
      await check(kit, { repair: true })
      await collectAll(kit, collectorOf(kit))
      assert.equal(kit.blobs.live.size, 0)
    })

  test('leaves young blobs alone, and reads all when that is asked for', async () => {
    const { kit, bucket } = await start()
    await kit.store.put({ bucket, key: 'a', body: bodyOf(random.bytes(5000)), attributes: {} })
    await orphan(kit)
    assert.equal((await check(kit, { appendedBeforeMs: 1 })).orphanedCount, 0)
    const { verify } = kit.blobs
    kit.blobs.verify = async (...args) => {
      const { sizeBytes, shardsLost } = await verify.apply(kit.blobs, args)
      return { sizeBytes: sizeBytes - 1, shardsLost }
    }
    assert.equal((await check(kit)).corruptCount, 0)
    const { corrupt } = await check(kit, { verify: true })
    assert.deepEqual(
      corrupt.map(({ code, owner }) => [code, 'key' in owner && owner.key]),
      [['corrupt', 'a']],
    )
  })
})
