/** Buckets: their names, their owners, what they hold beside objects, and when they go. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { BUCKETS_PER_OWNER_MAX } from '../../src/base/limits.ts'
import type { ObjectStore } from '../../src/objects/object-store.ts'
import { bodyOf, code, type ObjectsKit, postgresObjects, sqliteObjects } from './objects-kit.ts'

for (const engine of [sqliteObjects(), postgresObjects()]) {
  describe(`buckets on ${engine.name}`, { skip: engine.skip }, () => {
    let kit: ObjectsKit
    let store: ObjectStore
    before(async () => {
      await engine.begin()
      kit = await engine.open()
      store = kit.store
    })
    after(async () => {
      await kit.close()
      await engine.end()
    })

    test('a bucket is found as it was made', async () => {
      const configs = { cors: '<x/>', tagging: 'ü' }
      const made = await store.createBucket({ name: 'first.bucket-1', owner: 'alice', configs })
      const { id, revision, ...rest } = made
      assert.ok(Number.isSafeInteger(id) && revision === 1)
      assert.deepEqual(rest, {
        name: 'first.bucket-1',
        owner: 'alice',
        createdMs: kit.clock.ms,
        versioning: 'off',
        objectLock: false,
        quotaBytes: 0,
        configs: new Map(Object.entries(configs)),
      })
      assert.deepEqual(await store.bucket('first.bucket-1'), made)
      assert.equal(await store.bucket('nothing'), undefined)
      await assert.rejects(
        store.createBucket({ name: 'first.bucket-1', owner: 'bob' }),
        code('bucket_exists'),
      )
    })

    test('names that are no names of buckets', async () => {
      const bad = [
        '',
        'ab',
        'a'.repeat(64),
        'Abc',
        'a_b',
        '-ab',
        'ab-',
        '.ab',
        'ab.',
        'a..b',
        '1.2.3.4',
        'xn--abc',
      ]
      const kept = [
        'abc-s3alias',
        'abc--ol-s3',
        'sthree-a',
        'amzn-s3-demo-a',
        'abc--x-s3',
        'a/b',
        'äöü',
        'a b c',
      ]
      for (const name of [...bad, ...kept])
        await assert.rejects(store.createBucket({ name, owner: 'carol' }), code('bad_request'), name)
      for (const name of ['abc', 'a'.repeat(63), '1.2.3.4.5', '0-0', 'a.b-c'])
        await store.deleteBucket(await store.createBucket({ name, owner: 'carol' }))
    })

    test('documents are set, replaced and removed, and nothing else', async () => {
      const made = await store.createBucket({
        name: 'documents',
        owner: 'dave',
        configs: { acl: 'a', cors: 'c' },
      })
      const changed = await store.changeBucket(made, { configs: { acl: null, cors: 'd', policy: '{}' } })
      assert.deepEqual(
        [...changed.configs],
        [
          ['cors', 'd'],
          ['policy', '{}'],
        ],
      )
      assert.equal(changed.revision, 2)
      const owned = await store.changeBucket(made, { owner: 'erin', quotaBytes: 5 })
      assert.deepEqual([owned.owner, owned.quotaBytes, owned.revision], ['erin', 5, 3])
      assert.deepEqual(await store.bucket('documents'), owned)
      const unknown = { nonsense: 'x' } as object
      await assert.rejects(store.changeBucket(made, { configs: unknown }), code('bad_request'))
      await assert.rejects(store.changeBucket(made, { quotaBytes: -1 }), code('bad_request'))
      await assert.rejects(store.changeBucket(made, { configs: { object_lock: '{}' } }), code('conflict'))
    })

    test('a bucket goes when it is empty of objects and versions, and its unfinished uploads with it', async () => {
      const bucket = await store.createBucket({ name: 'emptied', owner: 'frank' })
      const at = { bucket, key: 'k' }
      const notEmpty = () => assert.rejects(store.deleteBucket(bucket), code('bucket_not_empty'))
      await store.put({ ...at, body: bodyOf(Buffer.from('x')), attributes: {} })
      await notEmpty()
      await store.changeBucket(bucket, { versioning: 'enabled' })
      const marker = await store.delete(at)
      await notEmpty()
      await store.delete({ ...at, versionId: 'null' })
      await notEmpty()
      await store.delete({ ...at, versionId: marker.versionId! })
      const uploads = [await store.createUpload({ ...at, attributes: {} })]
      uploads.push(await store.createUpload({ ...at, key: 'l', attributes: {} }))
      const part = { ...at, uploadId: uploads[0]!.uploadId, number: 1 }
      await store.putPart({ ...part, body: bodyOf(Buffer.from('part')) })
      await store.deleteBucket(bucket)
      await assert.rejects(store.listParts(part, { after: 0, limit: 1 }), code('upload_not_found'))
      assert.equal(await store.bucket('emptied'), undefined)
      await assert.rejects(store.deleteBucket(bucket), code('bucket_not_found'))
      await assert.rejects(store.changeBucket(bucket, {}), code('bucket_not_found'))
      await assert.rejects(store.usage(bucket), code('bucket_not_found'))
      await store.createBucket({ name: 'emptied', owner: 'somebody else' })
    })

    test('listings by owner and prefix, in pages; and an owner has only so many', async () => {
      // All of them only where they are made in no time.
      const isFull = kit.meta.capabilities.synchronousReads
      const length = isFull ? BUCKETS_PER_OWNER_MAX : 100
      const names = Array.from({ length }, (_, i) => `many-${i % 3}-${i}`).sort()
      for (const name of names) await store.createBucket({ name, owner: 'greta' })
      if (isFull)
        await assert.rejects(store.createBucket({ name: 'one-more', owner: 'greta' }), code('conflict'))
      const found: string[] = []
      for (let after: string | undefined; ; ) {
        const page = await store.listBuckets({ owner: 'greta', after, limit: 33 })
        found.push(...page.buckets.map(({ name }) => name))
        after = page.next
        if (after === undefined) break
      }
      assert.deepEqual(found, names)
      const some = await store.listBuckets({ prefix: 'many-2-9', after: 'many-2-95', limit: 3 })
      assert.deepEqual(
        some.buckets.map(({ name }) => name),
        names.filter((name) => name.startsWith('many-2-9') && name > 'many-2-95').slice(0, 3),
      )
      assert.deepEqual(await store.listBuckets({ owner: 'nobody', limit: 10 }), {
        buckets: [],
        next: undefined,
      })
      assert.deepEqual(await store.listBuckets({ limit: 0 }), { buckets: [], next: undefined })
    })
  })
}
