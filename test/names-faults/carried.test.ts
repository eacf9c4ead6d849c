/**
 * Small puts, whose bytes go with the commit: volumes on a simulated disk lose what they had not synced, at any call of theirs, while the
 * metadata, a real SQLite file, keep what was committed.
 */
import assert from 'node:assert/strict'
import { cpSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, describe, test } from 'node:test'
import { type CarriedBlob, packCarriedBlob, unpackCarriedBlobs } from '../../src/base/carried-blob.ts'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import { CARRIED_BLOB_BYTES_MAX } from '../../src/base/limits.ts'
import type { Random } from '../../src/base/random.ts'
import { FLAG } from '../../src/disk/volume-table.ts'
import { metaFileOf } from '../../src/meta/open-meta-store.ts'
import { ping } from '../../src/meta/run-steps.ts'
import { CHANGING_CALLS, SimDisk } from '../sim/sim-disk.ts'
import { temporaryDirectory } from '../support/real-store.ts'
import { randomOf, seedsToRun, withSeed } from '../support/seeds.ts'
import { type Engine, openEngine } from '../support/sim-engine.ts'
import { openTwoEnds, type TwoEnds } from './two-ends.ts'

const DIRECTORY = '/data'
const VOLUME_IDS = [1, 2]

const closes: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closes.splice(0).reverse()) await close()
})

/** Periods behind the back of the metadata pass when the test says so. */
class HeldClock implements Clock {
  readonly due = new Set<() => void>()
  nowMs = systemClock.nowMs
  monotonicMs = systemClock.monotonicMs
  every = systemClock.every
  soon = systemClock.soon
  sleep = systemClock.sleep
  after(_delayMs: number, run: () => void): () => void {
    this.due.add(run)
    return () => this.due.delete(run)
  }
  pass(): void {
    for (const run of this.due) run()
    this.due.clear()
  }
}

interface Store extends TwoEnds {
  disk: SimDisk
  engine: Engine
  directory: string
  clock: HeldClock
  /** Rows of blobs that commits carry. */
  rows(): number
}

async function open(
  disk: SimDisk,
  { from, firstKey = 1 }: { from?: string; firstKey?: number } = {},
): Promise<Store> {
  const directory = temporaryDirectory()
  if (from !== undefined) copyMetadata(from, directory.path)
  const isNew = disk.list('/').length === 0
  if (isNew) disk.putDirectory(DIRECTORY)
  const engine = await openEngine(disk, { directories: [DIRECTORY], views: 2 })
  for (const id of isNew ? VOLUME_IDS : [])
    await engine.admin.createVolume({ id, collection: '_objects', replicaPlacement: 0, ttl: 0 })
  const [serving, writing] = engine.views
  const clock = new HeldClock()
  const ends = await openTwoEnds({
    ...{ serving: serving!, writing: writing!, directory: directory.path, clock, firstKey },
    ...{ volumeIds: VOLUME_IDS, isNear: true },
  })
  closes.push(async () => {
    await ends.close()
    await engine.stop()
    directory.remove()
  })
  return { ...ends, disk, engine, directory: directory.path, clock, rows: () => rowsIn(directory.path) }
}

/** What a power loss leaves of SQLite: all that was committed, since a commit is on disk. */
function copyMetadata(from: string, to: string): void {
  for (const suffix of ['', '-wal']) cpSync(`${metaFileOf(from)}${suffix}`, `${metaFileOf(to)}${suffix}`)
}

function rowsIn(directory: string): number {
  const database = new DatabaseSync(metaFileOf(directory), { readOnly: true })
  try {
    return Number(database.prepare('select count(*) as count from carried_blobs').get()!.count)
  } finally {
    database.close()
  }
}

const bytesOf = (key: string, lengthBytes = 1000) =>
  Buffer.from(`bytes of ${key} `.repeat(Math.ceil(lengthBytes / 9))).subarray(0, lengthBytes)

/** From here on the writing end covers both volumes. */
async function warm(store: Store): Promise<void> {
  for (let at = 0; at < 4; at++) await store.put(`warm${at}`, bytesOf(`warm${at}`))
  store.clock.pass()
  await rowsAreGone(store)
}

async function rowsAreGone(store: Store): Promise<void> {
  while (store.rows() > 0) await new Promise(setImmediate)
}

const unsyncedData = ({ disk }: Store) =>
  [...disk.unsynced()].filter(([path, count]) => path.endsWith('.dat') && count > 0).length

describe('small puts, whose bytes go with the commit', () => {
  test('wait for no sync of their volume, which comes for many of them later', async () => {
    const store = await open(new SimDisk())
    await warm(store)
    assert.equal(unsyncedData(store), 0)
    const syncs: string[] = []
    store.disk.beforeCall = ({ kind, path }) => {
      if (kind === 'sync') syncs.push(path)
    }
    await Promise.all(['a', 'b', 'c', 'd'].map((key) => store.put(key, bytesOf(key))))
    await store.put('e', bytesOf('e', CARRIED_BLOB_BYTES_MAX))
    assert.deepEqual(syncs, [])
    assert.equal(unsyncedData(store), 2)
    assert.ok(store.rows() > 0)
    store.clock.pass()
    await rowsAreGone(store)
    assert.equal(unsyncedData(store), 0)
    assert.deepEqual(
      [...new Set(syncs)].sort(),
      VOLUME_IDS.map((id) => `${DIRECTORY}/_objects_${id}.dat`),
    )
    await store.put('long', bytesOf('long', CARRIED_BLOB_BYTES_MAX + 1))
    assert.equal(store.rows(), 0)
    assert.equal(unsyncedData(store), 0)
  })

  test('that fail leave nothing, and a clean stop neither', async () => {
    const store = await open(new SimDisk())
    await warm(store)
    const conditions = { ifNoneMatch: '*' as const }
    const body = { sizeBytes: 5, whole: Buffer.from('other'), async *pieces() {} }
    const again = { bucket: store.bucket, key: 'warm0', attributes: {}, body, conditions }
    await assert.rejects(store.names.put(again), { code: 'precondition_failed' })
    assert.equal(store.rows(), 0)
    await store.put('last', bytesOf('last'))
    assert.equal(store.rows(), 1)
    await store.close()
    assert.equal(store.rows(), 0)
    assert.equal(unsyncedData(store), 0)
  })

  test('that come while a stop syncs the last ones are refused, and leave no row that nobody syncs', async () => {
    const store = await open(new SimDisk())
    await warm(store)
    await store.put('last', bytesOf('last'))
    assert.equal(store.rows(), 1)
    store.disk.hold()
    const closing = store.writer.close()
    while (store.disk.held.length === 0) await new Promise(setImmediate)
    // A put itself would try again for as long as objects may wait.
    const carried = packCarriedBlob({
      ...{ volumeId: 1, keyHigh: 0, keyLow: 900_000, cookie: 1 },
      data: bytesOf('late'),
    })
    const unsynced = { volumeId: 1, isCovered: true, carried, durable: async () => {} }
    const late = await store.meta.write(ping, null, unsynced).catch((error) => error.code)
    store.disk.unhold()
    await closing
    assert.equal(late, 'unavailable')
    assert.equal(store.rows(), 0)
  })

  test('of which no volume has a byte left are all brought back, and then on disk', async () => {
    const store = await open(new SimDisk())
    await warm(store)
    const keys = Array.from({ length: 40 }, (_, at) => `key${at}`)
    await Promise.all(keys.map((key, at) => store.put(key, bytesOf(key, 1 + at * 100))))
    const lost = store.disk.crash(randomOf(1), { style: 'none' })
    const reopened = await open(lost, { from: store.directory, firstKey: 100_000 })
    for (const [at, key] of keys.entries())
      assert.deepEqual(await reopened.read(key), bytesOf(key, 1 + at * 100))
    assert.equal(reopened.rows(), 0)
    assert.equal(unsyncedData(reopened), 0)
    const again = await open(lost.crash(randomOf(2)), { from: reopened.directory, firstKey: 200_000 })
    for (const [at, key] of keys.entries())
      assert.deepEqual(await again.read(key), bytesOf(key, 1 + at * 100))
  })

  test('that were removed since stay removed, and those of a volume that was removed are forgotten', async () => {
    const store = await open(new SimDisk())
    await warm(store)
    for (const key of ['a', 'b', 'c', 'd']) await store.put(key, bytesOf(key))
    const carried = [...carriedIn(store.directory)]
    assert.equal(carried.length, 4)
    const [removed] = carried.filter(({ volumeId }) => volumeId === 1)
    store.engine.views[0]!.get(1)!.remove(removed!)
    await store.engine.admin.deleteVolume(2)
    const reopened = await open(store.disk.kill(), { from: store.directory, firstKey: 100_000 })
    assert.equal(reopened.rows(), 0)
    assert.equal(await reopened.engine.views[0]!.get(1)!.read(removed!), undefined)
    assert.equal(reopened.engine.views[0]!.get(2), undefined)
  })

  test('stay in the metadata while their volume cannot be synced, and are brought back by the next start', async () => {
    const store = await open(new SimDisk())
    await warm(store)
    store.disk.failCall(1, 'EIO', { kinds: ['sync'], path: /_objects_/, forever: true })
    for (const key of ['a', 'b', 'c', 'd']) await store.put(key, bytesOf(key))
    const rows = store.rows()
    assert.ok(rows > 0)
    store.clock.pass()
    while (!VOLUME_IDS.every((id) => store.engine.views[0]!.get(id)!.slot.hasFlag(FLAG.failed)))
      await new Promise(setImmediate)
    assert.equal(store.rows(), rows)
    const reopened = await open(store.disk.crash(randomOf(3), { style: 'none' }), {
      from: store.directory,
      firstKey: 100_000,
    })
    for (const key of ['a', 'b', 'c', 'd']) assert.deepEqual(await reopened.read(key), bytesOf(key))
    assert.equal(reopened.rows(), 0)
  })
})

function* carriedIn(directory: string): Generator<CarriedBlob> {
  const database = new DatabaseSync(metaFileOf(directory), { readOnly: true })
  try {
    for (const { blobs } of database.prepare('select blobs from carried_blobs').all())
      yield* unpackCarriedBlobs(Buffer.from(blobs as Uint8Array))
  } finally {
    database.close()
  }
}

/** What a key may hold: what was acknowledged last, and what was being done then. Undefined: nothing. */
type Allowed = (Buffer | undefined)[]

interface Image {
  disk: SimDisk
  directory: string
  allowed: Map<string, Allowed>
  what: string
}

/** Puts and deletes of some keys, small ones and longer, several at a time, with syncs and compactions between them. */
async function workload(store: Store, random: Random, allowed: Map<string, Allowed>): Promise<void> {
  const change = async (key: string, step: number) => {
    const now = allowed.get(key) ?? [undefined]
    const bytes =
      random.below(6) === 0 ? undefined : bytesOf(`${key} ${step}`, SIZES[random.below(SIZES.length)])
    allowed.set(key, [...now, bytes])
    if (bytes === undefined) await store.names.delete({ bucket: store.bucket, key })
    else await store.put(key, bytes)
    allowed.set(key, [bytes])
  }
  for (let step = 0; step < 60; step++) {
    const first = random.below(12)
    const count = 1 + random.below(5)
    const changes = Array.from({ length: count }, (_, at) => change(`key${first + at}`, step))
    const beside = random.below(12)
    if (beside < 4) store.clock.pass()
    if (beside === 4) changes.push(store.engine.admin.compactVolume(1 + random.below(2), 0).then(() => {}))
    await Promise.all(changes)
  }
}

const SIZES = [1, 100, 1000, 1000, 3000, CARRIED_BLOB_BYTES_MAX, CARRIED_BLOB_BYTES_MAX + 1, 30_000]

async function imagesOf(random: Random): Promise<Image[]> {
  const images: Image[] = []
  const allowed = new Map<string, Allowed>()
  const store = await open(new SimDisk(random.u32()))
  const { disk } = store
  let calls = 0
  disk.beforeCall = ({ kind, path, number }) => {
    if (!CHANGING_CALLS.includes(kind) || calls++ % 25 !== 0) return
    const directory = temporaryDirectory()
    closes.push(directory.remove)
    copyMetadata(store.directory, directory.path)
    images.push({
      disk: random.below(4) === 0 ? disk.kill() : disk.crash(random),
      directory: directory.path,
      allowed: new Map(allowed),
      what: `power loss before ${kind} ${path} (call ${number})`,
    })
  }
  await workload(store, random, allowed)
  disk.beforeCall = undefined
  return images
}

/** Opens it twice: what the first start brought back must outlast another loss. */
async function verify(image: Image, random: Random): Promise<void> {
  let { disk, directory: from } = image
  for (const start of [1, 2]) {
    const store = await open(disk, { from, firstKey: start * 100_000 })
    for (const [key, states] of image.allowed) {
      const found = await store.read(key).catch((error) => {
        if (error.code !== 'not_found')
          throw Object.assign(error, { message: `${image.what}: ${key}: ${error.message}` })
        return undefined
      })
      const fits = states.some((state) => (state === undefined ? found === undefined : found?.equals(state)))
      assert.ok(fits, `${image.what}: ${key} has ${found?.subarray(0, 30)}`)
    }
    assert.equal(store.rows(), 0)
    await store.put('after', bytesOf(`after ${start}`))
    ;({ disk, directory: from } = { disk: store.disk.crash(random), directory: store.directory })
  }
}

for (const seed of seedsToRun(2)) {
  test(`power loss at any call of the volumes loses no acknowledged put, seed ${seed}`, async () => {
    await withSeed(seed, async (random) => {
      const images = await imagesOf(random)
      assert.ok(images.length > 10)
      for (const image of images) await verify(image, random)
    })
  })
}
