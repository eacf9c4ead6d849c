/** Blobs belong to the names that they were stored under: others are refused before they could take them for orphans. */
import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import type { MetaStore } from '../../src/meta/meta-store.ts'
import { openMetaStore } from '../../src/meta/open-meta-store.ts'
import { Buckets } from '../../src/objects/buckets.ts'
import { claimBlobs } from '../../src/objects/installation.ts'
import { type BlobStoreKit, startBlobStore } from '../blob-store/blob-store-kit.ts'
import { temporaryDirectory } from '../support/real-store.ts'

const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function newNames(): Promise<MetaStore> {
  const directory = temporaryDirectory()
  cleanups.push(() => directory.remove())
  const meta = await openMetaStore(directory.path, { clock: systemClock, random: systemRandom })
  cleanups.push(() => meta.close())
  return meta
}

async function newBlobs(): Promise<BlobStoreKit> {
  const kit = await startBlobStore({ isLocal: true, volumeIds: [1] })
  cleanups.push(() => kit.close())
  return kit
}

const makeBucket = (meta: MetaStore, name: string) =>
  new Buckets({ meta, clock: systemClock, random: systemRandom }).create({ name, owner: 'root' })

test('names claim their own blobs, again and again, and no others', async () => {
  const { blobs, engine, writable } = await newBlobs()
  const claim = (meta: MetaStore) => claimBlobs({ meta, blobs, collection: '_objects' })
  const [ours, others] = [await newNames(), await newNames()]
  await claim(ours)
  await claim(others)
  assert.equal(engine.volumes.list().length, 1, 'nothing is stored before there are objects')
  await makeBucket(ours, 'photos')
  await blobs.write({ data: Buffer.from('an object'), collection: '_objects' })
  await assert.rejects(claim(others), { code: 'conflict' })
  await engine.create(2, 0, '_owner')
  writable.splice(0, 1, 2)
  // Ids that were taken before are of the objects' volume; those of another collection are asked for anew.
  await claim(ours)
  await claim(ours)
  assert.equal((await blobs.volumes()).find(({ collection }) => collection === '_owner')?.entries, 1)
  await makeBucket(others, 'photos')
  await assert.rejects(claim(others), { code: 'conflict' })
})
