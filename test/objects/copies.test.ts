/** Copies share the bytes of their source, and outlive it. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { afterEach, test } from 'node:test'
import { parseTtl } from '../../src/base/ttl.ts'
import type { CopyRequest, NewBucket } from '../../src/objects/object-store.ts'
import { blobTtl, posixOfTtl } from '../../src/objects/tree-life.ts'
import { checkInvariants } from './invariants.ts'
import { code, OneBucket } from './objects-kit.ts'

const opened: OneBucket[] = []
const open = async (bucket?: Partial<NewBucket>) => {
  const one = await OneBucket.open(bucket)
  opened.push(one)
  return one
}
afterEach(async () => {
  for (const one of opened.splice(0)) {
    await checkInvariants(one.kit.meta)
    await one.kit.close()
  }
})

type Copy = Partial<CopyRequest> & { conditionsOfSource?: object; versionId?: string }

function copy(
  one: OneBucket,
  from: string,
  to: string,
  { conditionsOfSource, versionId, ...more }: Copy = {},
) {
  const source = { bucket: one.bucket, key: from, versionId, conditions: conditionsOfSource }
  return one.store.copy({ source, bucket: one.bucket, key: to, ...more })
}

test('a copy is as its source, and stays when that goes', async () => {
  const one = await open()
  const given = { attributes: { contentType: 'text/html', owner: 'bob' }, tags: [['a', '1']] as const }
  const put = await one.put('a', 'hello', given)
  one.kit.clock.ms += 1000
  const copied = await copy(one, 'a', 'b')
  assert.equal(copied.etag, put.etag)
  assert.equal(copied.modifiedMs, one.kit.clock.ms)
  assert.equal(copied.source.key, 'a')
  await copy(one, 'b', 'c', { attributes: { contentType: 'text/plain' }, tags: [] })
  await copy(one, 'b', 'd', { change: { owner: 'carol', storageClass: 'GLACIER', contentType: undefined } })
  for (const key of ['a', 'b']) await one.store.delete({ bucket: one.bucket, key })
  const { info } = await one.store.find(one.bucket, 'c')
  assert.deepEqual([info.attributes, info.tags], [{ contentType: 'text/plain' }, []])
  const changed = (await one.store.find(one.bucket, 'd')).info
  assert.deepEqual(
    [changed.attributes, changed.tags],
    [{ owner: 'carol', storageClass: 'GLACIER' }, [['a', '1']]],
  )
  assert.equal(await one.text('c'), 'hello')
  assert.equal(await one.text('d'), 'hello')
  assert.deepEqual(await one.store.usage(one.bucket), { objects: 2, bytes: 10 })
})

test('an object is copied to itself only to change it', async () => {
  const one = await open()
  await one.put('a', 'hello')
  await assert.rejects(copy(one, 'a', 'a'), code('conflict'))
  await assert.rejects(copy(one, 'a', 'a', { change: { owner: 'bob' } }), code('conflict'))
  await assert.rejects(copy(one, 'a', 'a', { change: { storageClass: 'STANDARD' } }), code('conflict'))
  await copy(one, 'a', 'a', { attributes: { contentType: 'x/y' } })
  await copy(one, 'a', 'a', { change: { storageClass: 'GLACIER' } })
  await copy(one, 'a', 'a', { change: { websiteRedirect: '/b' } })
  const { info } = await one.store.find(one.bucket, 'a')
  assert.deepEqual(info.attributes, { contentType: 'x/y', storageClass: 'GLACIER', websiteRedirect: '/b' })
  assert.equal(await one.text('a'), 'hello')
})

test('an earlier version is brought back by a copy', async () => {
  const one = await open()
  await one.versioning('enabled')
  const first = await one.put('a', 'first')
  const second = await one.put('a', 'second')
  const third = await copy(one, 'a', 'a', { versionId: first.versionId })
  assert.deepEqual(
    (await one.history('a')).map(({ versionId, text }) => [versionId, text]),
    [
      [third.versionId, 'first'],
      [second.versionId, 'second'],
      [first.versionId, 'first'],
    ],
  )
  await one.versioning('suspended')
  await copy(one, 'a', 'a', { versionId: second.versionId })
  await copy(one, 'a', 'a', { versionId: 'null' })
  await copy(one, 'a', 'a', { versionId: third.versionId, attributes: {} })
  assert.equal(await one.text('a', 'null'), 'first')
})

test('what is not there is not copied, and a delete marker is nothing', async () => {
  const one = await open()
  await assert.rejects(copy(one, 'a', 'b'), code('not_found'))
  await assert.rejects(copy(one, 'a', 'b', { versionId: 'null' }), code('version_not_found'))
  await one.versioning('enabled')
  const marker = await one.store.delete({ bucket: one.bucket, key: 'a' })
  await assert.rejects(copy(one, 'a', 'b'), code('not_found'))
  await assert.rejects(copy(one, 'a', 'b', { versionId: marker.versionId! }), code('method_not_allowed'))
})

test('conditions on the source, and on what is in the way', async () => {
  const one = await open()
  const { etag } = await one.put('a', 'hello')
  await one.put('b')
  const from = (conditionsOfSource: object) => copy(one, 'a', 'c', { conditionsOfSource })
  const failed = code('precondition_failed')
  const soon = one.kit.clock.ms + 60_000
  await assert.rejects(from({ ifMatch: ['x'] }), failed)
  await assert.rejects(from({ ifNoneMatch: [etag] }), failed)
  await assert.rejects(from({ ifUnmodifiedSinceMs: 0 }), failed)
  await assert.rejects(from({ ifModifiedSinceMs: soon }), failed)
  await from({ ifMatch: [etag], ifUnmodifiedSinceMs: 0 })
  await from({ ifNoneMatch: ['x'], ifModifiedSinceMs: soon })
  await assert.rejects(copy(one, 'a', 'b', { conditions: { ifNoneMatch: '*' } }), failed)
  await assert.rejects(copy(one, 'a', 'new', { conditions: { ifMatch: '*' } }), code('not_found'))
  assert.equal(await one.text('b'), 'b')
})

test('a checksum is computed for a copy that wants one', async () => {
  const one = await open()
  await one.put('a', 'hello')
  const copied = await copy(one, 'a', 'b', { checksumAlgorithm: 'SHA256' })
  const value = createHash('sha256').update('hello').digest('base64')
  assert.deepEqual(copied.checksum, { algorithm: 'SHA256', value, type: 'FULL_OBJECT' })
  assert.deepEqual((await copy(one, 'b', 'c', { attributes: {} })).checksum, copied.checksum)
  assert.equal((await copy(one, 'b', 'd', { checksumAlgorithm: 'CRC32' })).checksum!.algorithm, 'CRC32')
})

test('copies between buckets count where they are', async () => {
  const one = await open()
  const other = await one.store.createBucket({ name: 'other', owner: 'bob' })
  await one.store.changeBucket(other, { quotaBytes: 8 })
  await one.put('a', 'hello')
  const request = { source: { bucket: one.bucket, key: 'a' }, bucket: other }
  await one.store.copy({ ...request, key: 'a' })
  await assert.rejects(one.store.copy({ ...request, key: 'b' }), code('quota_exceeded'))
  assert.deepEqual(await one.store.usage(other), { objects: 1, bytes: 5 })
  await one.store.delete({ bucket: one.bucket, key: 'a' })
  await one.store.deleteBucket(one.bucket)
  const found = await one.store.find(other, 'a')
  assert.equal(String(await found.read(0, 5)), 'hello')
})

/** The volume of all that has a time to live, and that of all else. */
const [SHORT, LONG] = [1, 2]

/** Stores a file that lives for a minute. */
async function putMinute(one: OneBucket, key: string): Promise<void> {
  const ttl = parseTtl('1m')
  const attributes = { posix: posixOfTtl(ttl, one.kit.clock.ms) }
  const { writable } = one.kit.volumes
  writable.splice(0, 2, SHORT)
  await one.put(key, 'short', { attributes, placement: { ttl: blobTtl(ttl) } })
  writable.splice(0, 1, LONG)
}

test('a copy that lives longer than its source has bytes of its own', async () => {
  const one = await open()
  await putMinute(one, 'a')
  await putMinute(one, 'itself')
  one.kit.clock.ms += 30_000
  const { etag } = await copy(one, 'a', 'for ever', { change: { posix: undefined } })
  const longer = { posix: { ttlSeconds: 31, createdMs: one.kit.clock.ms } }
  await copy(one, 'a', 'longer', { attributes: longer })
  await copy(one, 'a', 'from now on', { attributes: { posix: { ttlSeconds: 60 } } })
  await copy(one, 'itself', 'itself', { attributes: {}, change: { posix: undefined } })
  await one.kit.volumes.engine.keeper.deleteVolume(SHORT)
  one.kit.clock.ms += 30_500
  for (const key of ['for ever', 'longer', 'from now on', 'itself'])
    assert.equal(await one.text(key), 'short')
  assert.equal((await one.store.find(one.bucket, 'for ever')).info.etag, etag)
})

test('a copy that ends with its source, or before it, shares its bytes', async () => {
  const one = await open()
  await putMinute(one, 'a')
  one.kit.clock.ms += 30_000
  await copy(one, 'a', 'as long')
  await copy(one, 'a', 'shorter', { attributes: { posix: { ttlSeconds: 30, createdMs: one.kit.clock.ms } } })
  await one.kit.volumes.engine.keeper.deleteVolume(SHORT)
  for (const key of ['as long', 'shorter']) await assert.rejects(one.text(key), code('unavailable'))
})
