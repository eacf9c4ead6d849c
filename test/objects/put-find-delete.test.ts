/** Puts, reads and removals in buckets that keep versions, once did, or never have. */
import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { query, type Row, type Steps } from '../../src/meta/meta-store.ts'
import type { NewBucket } from '../../src/objects/object-store.ts'
import { code, OneBucket } from './objects-kit.ts'

const opened: OneBucket[] = []
const open = async (bucket?: Partial<NewBucket>) => {
  const one = await OneBucket.open(bucket)
  opened.push(one)
  return one
}
afterEach(async () => {
  for (const one of opened.splice(0)) await one.kit.close()
})

test('an object is found with what it was given', async () => {
  const one = await open()
  const put = await one.put('a/b', 'hello', {
    attributes: { contentType: 'text/html', userMetadata: [['__proto__', 'ü']] },
    tags: [['k', 'v']],
  })
  assert.equal(put.etag, '5d41402abc4b2a76b9719d911017c592')
  assert.equal(put.versionId, 'null')
  assert.equal(put.isVersioned, false)
  const found = await one.store.find(one.bucket, 'a/b')
  assert.equal(found.isVersioned, false)
  assert.deepEqual(found.info, {
    key: 'a/b',
    versionId: 'null',
    isLatest: true,
    isDeleteMarker: false,
    sizeBytes: 5,
    etag: put.etag,
    modifiedMs: one.kit.clock.ms,
    attributes: { contentType: 'text/html', userMetadata: [['__proto__', 'ü']] },
    tags: [['k', 'v']],
    lock: {},
  })
  assert.equal(await one.text('a/b'), 'hello')
  assert.deepEqual(await one.store.usage(one.bucket), { objects: 1, bytes: 5 })
  await one.put('a/b', 'hello, world')
  assert.deepEqual(await one.store.usage(one.bucket), { objects: 1, bytes: 12 })
})

test('keys are bytes of UTF-8, up to their limit', async () => {
  const one = await open()
  const keys = [
    '__proto__',
    'constructor',
    '../x',
    'a//b',
    '/',
    'x/',
    ' ',
    '\u0000',
    'é'.repeat(512),
    '\u{1f600}',
  ]
  for (const key of keys) await one.put(key)
  for (const key of keys) assert.equal(await one.text(key), key)
  const { objects } = await one.store.list({ bucket: one.bucket, limit: 1000 })
  assert.deepEqual(
    objects.map(({ key }) => key),
    keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
  )
  await assert.rejects(one.put('é'.repeat(513)), code('key_too_long'))
  await assert.rejects(one.put(''), code('bad_request'))
  await assert.rejects(one.put('\ud800'), code('bad_request'))
})

test('nothing there, no such version, no such bucket', async () => {
  const one = await open()
  const find = async (key: string, versionId?: string) => one.store.find(one.bucket, key, { versionId })
  await assert.rejects(find('x'), code('not_found'))
  await assert.rejects(find('x', 'null'), code('version_not_found'))
  await assert.rejects(find('x', 'nonsense'), code('bad_request'))
  await assert.rejects(find('x', '0'.repeat(32)), code('bad_request'))
  assert.deepEqual(await one.store.delete({ bucket: one.bucket, key: 'x' }), {
    versionId: undefined,
    isDeleteMarker: false,
  })
  await one.store.deleteBucket(one.bucket)
  await assert.rejects(find('x'), code('bucket_not_found'))
  await assert.rejects(one.put('x'), code('bucket_not_found'))
  await assert.rejects(one.store.delete({ bucket: one.bucket, key: 'x' }), code('bucket_not_found'))
  await assert.rejects(async () => one.store.list({ bucket: one.bucket, limit: 1 }), code('bucket_not_found'))
})

test('the null version, through every state of the bucket', async () => {
  const one = await open()
  await one.put('k', 'before')
  await one.versioning('enabled')
  const first = await one.put('k', 'first')
  const shape = async () => (await one.history('k')).map(({ versionId, text }) => [versionId, text])
  assert.deepEqual(await shape(), [
    [first.versionId, 'first'],
    ['null', 'before'],
  ])

  await one.versioning('suspended')
  assert.equal((await one.put('k', 'suspended')).versionId, 'null')
  assert.deepEqual(await shape(), [
    ['null', 'suspended'],
    [first.versionId, 'first'],
  ])
  await one.put('k', 'suspended again')
  assert.deepEqual(await shape(), [
    ['null', 'suspended again'],
    [first.versionId, 'first'],
  ])

  await one.versioning('enabled')
  const second = await one.put('k', 'second')
  assert.deepEqual(await shape(), [
    [second.versionId, 'second'],
    ['null', 'suspended again'],
    [first.versionId, 'first'],
  ])

  await one.versioning('suspended')
  assert.deepEqual(await one.store.delete({ bucket: one.bucket, key: 'k' }), {
    versionId: 'null',
    isDeleteMarker: true,
  })
  assert.deepEqual(await shape(), [
    ['null', '(marker)'],
    [second.versionId, 'second'],
    [first.versionId, 'first'],
  ])
  const found = await one.store.find(one.bucket, 'k')
  assert.equal(found.info.isDeleteMarker, true)
  assert.equal(found.info.versionId, 'null')
  assert.equal(found.info.isLatest, true)

  await one.put('k', 'null once more')
  assert.deepEqual(await shape(), [
    ['null', 'null once more'],
    [second.versionId, 'second'],
    [first.versionId, 'first'],
  ])
  assert.deepEqual(await one.store.usage(one.bucket), { objects: 3, bytes: 25 })
})

test('removing the latest version brings back the one before it, unless that is a delete marker', async () => {
  const one = await open()
  await one.versioning('enabled')
  const first = await one.put('k', '1')
  const marker = await one.store.delete({ bucket: one.bucket, key: 'k' })
  assert.equal(marker.isDeleteMarker, true)
  const third = await one.put('k', '3')
  const fourth = await one.put('k', '4')
  const remove = (versionId: string | undefined) =>
    one.store.delete({ bucket: one.bucket, key: 'k', versionId })

  assert.deepEqual(await remove(fourth.versionId), { versionId: fourth.versionId, isDeleteMarker: false })
  assert.equal(await one.text('k'), '3')
  await remove(third.versionId)
  assert.equal((await one.store.find(one.bucket, 'k')).info.versionId, marker.versionId)
  await assert.rejects(remove(third.versionId), code('version_not_found'))
  assert.deepEqual(await remove(marker.versionId), { versionId: marker.versionId, isDeleteMarker: true })
  assert.equal(await one.text('k'), '1')
  await remove(first.versionId)
  await assert.rejects(async () => one.store.find(one.bucket, 'k'), code('not_found'))
  assert.deepEqual(await one.store.usage(one.bucket), { objects: 0, bytes: 0 })
})

test('a clock that goes back does not reorder versions', async () => {
  const one = await open()
  await one.versioning('enabled')
  const ids: string[] = []
  for (const text of ['1', '2', '3']) {
    ids.unshift((await one.put('k', text)).versionId)
    one.kit.clock.ms -= 10_000
  }
  ids.unshift((await one.store.delete({ bucket: one.bucket, key: 'k' })).versionId!)
  assert.deepEqual(
    (await one.history('k')).map(({ versionId }) => versionId),
    ids,
  )
  assert.equal(new Set(ids).size, 4)
})

test('conditions of puts and removals', async () => {
  const one = await open()
  const put = (conditions: object) => one.put('k', 'new', { conditions })
  await assert.rejects(put({ ifMatch: '*' }), code('not_found'))
  await assert.rejects(put({ ifMatch: ['abc'] }), code('not_found'))
  const { etag } = await put({ ifNoneMatch: '*' })
  await assert.rejects(put({ ifNoneMatch: '*' }), code('precondition_failed'))
  await assert.rejects(put({ ifNoneMatch: ['abc', etag] }), code('precondition_failed'))
  await assert.rejects(put({ ifMatch: ['abc'] }), code('precondition_failed'))
  await put({ ifMatch: ['abc', etag] })
  await put({ ifMatch: '*', ifNoneMatch: ['abc'] })
  const remove = (conditions: object) => one.store.delete({ bucket: one.bucket, key: 'k', conditions })
  await assert.rejects(remove({ ifMatch: ['abc'] }), code('precondition_failed'))
  await assert.rejects(remove({ ifSizeBytes: 4 }), code('precondition_failed'))
  await assert.rejects(remove({ ifModifiedMs: 1 }), code('precondition_failed'))
  await remove({ ifMatch: [etag], ifSizeBytes: 3, ifModifiedMs: one.kit.clock.ms })
  await remove({ ifMatch: [etag] })
})

test('one winner among writers that want to be first', async () => {
  const one = await open()
  const puts = Array.from({ length: 64 }, (_, i) =>
    one.put('k', `${i}`, { conditions: { ifNoneMatch: '*' } }),
  )
  const settled = await Promise.allSettled(puts)
  assert.equal(settled.filter(({ status }) => status === 'fulfilled').length, 1)
  for (const each of settled) if (each.status === 'rejected') code('precondition_failed')(each.reason)
})

test('a quota is not exceeded, and gives room again', async () => {
  const one = await open()
  one.bucket = await one.store.changeBucket(one.bucket, { quotaBytes: 10 })
  await one.put('a', '123456')
  await assert.rejects(one.put('b', '12345'), code('quota_exceeded'))
  await one.put('b', '1234')
  await one.put('a', '1')
  await one.put('c', '12345')
  assert.deepEqual(await one.store.usage(one.bucket), { objects: 3, bytes: 10 })
})

test('several are removed at once, each with its own answer', async () => {
  const one = await open()
  for (const key of ['a', 'b', 'c']) await one.put(key)
  const at = (key: string, versionId?: string) => ({ bucket: one.bucket, key, versionId })
  const results = await one.store.deleteMany([at('a'), at('missing'), at('b', 'nonsense'), at('c', 'null')])
  assert.deepEqual(results[0], { versionId: 'null', isDeleteMarker: false })
  assert.deepEqual(results[1], { versionId: undefined, isDeleteMarker: false })
  assert.ok(code('bad_request')(results[2]))
  assert.deepEqual(results[3], { versionId: 'null', isDeleteMarker: false })
  const { objects } = await one.store.list({ bucket: one.bucket, limit: 10 })
  assert.deepEqual(
    objects.map(({ key }) => key),
    ['b'],
  )
})

test('a bucket that wants events has them in its outbox, with the change', async () => {
  const one = await open({ configs: { notification: '{}' } })
  await one.put('k', 'hello')
  one.kit.clock.ms++
  await one.store.delete({ bucket: one.bucket, key: 'k' })
  await assert.rejects(one.put('k', 'x', { conditions: { ifMatch: '*' } }), code('not_found'))
  const outbox = await one.kit.meta.read(
    {
      name: 'test.outbox',
      *steps(): Steps<Row[]> {
        return yield query('select payload from outbox order by event_id')
      },
    },
    null,
  )
  const events = outbox.map(({ payload }) => JSON.parse(payload as string))
  assert.deepEqual(
    events.map(({ event, key, size }) => [event, key, size]),
    [
      ['ObjectCreated:Put', 'k', 5],
      ['ObjectRemoved:Delete', 'k', undefined],
    ],
  )
  const [put, removed] = events
  assert.ok(put.sequencer < removed.sequencer)
})
