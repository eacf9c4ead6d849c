/** Many at once on a few keys: each either happens or is refused, and the tables stay sound. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { StoreError } from '../../src/base/errors.ts'
import type { Random } from '../../src/base/random.ts'
import type { Bucket, ObjectStore } from '../../src/objects/object-store.ts'
import { seedsToRun, withSeed } from '../support/seeds.ts'
import { checkInvariants } from './invariants.ts'
import { etagOf } from './model.ts'
import { bodyOf, code, type ObjectsKit, postgresObjects, sqliteObjects, wholeOf } from './objects-kit.ts'

const KEYS = ['a', 'b', 'b/c', 'd']
const LANES = 12
const STEPS = 15
/** What a race may be refused with. */
const REFUSALS = ['not_found', 'version_not_found', 'precondition_failed', 'conflict', 'method_not_allowed']
const UPLOAD_REFUSALS = ['upload_not_found', 'invalid_part']

for (const engine of [sqliteObjects(), postgresObjects()]) {
  describe(`races on ${engine.name}`, { skip: engine.skip }, () => {
    let kit: ObjectsKit
    let store: ObjectStore
    let buckets = 0
    before(async () => {
      await engine.begin()
      kit = await engine.open()
      store = kit.store
    })
    after(async () => {
      await kit.close()
      await engine.end()
    })
    const newBucket = () => store.createBucket({ name: `races-${++buckets}`, owner: 'alice' })
    const put = (bucket: Bucket, key: string, text: string, conditions = {}) =>
      store.put({ bucket, key, body: bodyOf(Buffer.from(text)), attributes: {}, conditions })

    test('one of those who want to be first is', async () => {
      const bucket = await newBucket()
      const all = Array.from({ length: 64 }, (_, i) => put(bucket, 'k', `${i}`, { ifNoneMatch: '*' }))
      const settled = await Promise.allSettled(all)
      const refused = settled.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []))
      assert.equal(refused.length, 63)
      for (const reason of refused) code('precondition_failed')(reason)
    })

    test('those who change what they have read do not undo each other', async () => {
      const bucket = await newBucket()
      await put(bucket, 'k', '0')
      const addOne = async (): Promise<void> => {
        const found = await store.find(bucket, 'k')
        const next = Number((await wholeOf(found)).toString()) + 1
        const settled = await put(bucket, 'k', `${next}`, { ifMatch: [found.info.etag] }).catch(
          (error) => error,
        )
        if (settled instanceof Error) return code('precondition_failed')(settled) ? addOne() : undefined
      }
      await Promise.all(Array.from({ length: 8 }, addOne))
      assert.equal((await wholeOf(await store.find(bucket, 'k'))).toString(), '8')
    })

    test('what is given late is asked for until it is met, with the bytes that have come once', async () => {
      const bucket = await newBucket()
      const findNow = async () => {
        try {
          return (await store.find(bucket, 'k')).info
        } catch (error) {
          assert.equal((error as StoreError).code, 'not_found')
          return undefined
        }
      }
      const count = (info: Awaited<ReturnType<typeof findNow>>) =>
        Number(new Map(info?.attributes.userMetadata).get('count') ?? 0)
      const late = async () => {
        const info = await findNow()
        const userMetadata: [string, string][] = [['count', String(count(info) + 1)]]
        const conditions = info === undefined ? { ifNoneMatch: '*' as const } : { ifMatch: [info.etag] }
        return { attributes: { userMetadata }, conditions }
      }
      const one = (text: string, how = late) =>
        store.put({ bucket, key: 'k', body: bodyOf(Buffer.from(text)), attributes: {}, late: how })
      await Promise.all(Array.from({ length: 24 }, (_, at) => one(`${at}`)))
      assert.equal(count(await findNow()), 24)
      const refused = one('refused', async () => {
        throw new StoreError('conflict', 'not any more')
      })
      await assert.rejects(refused, { code: 'conflict' })
      assert.equal(count(await findNow()), 24)
      assert.equal((await store.usage(bucket)).objects, 1)
    })

    test('an upload is completed or aborted, never both, and completed once', async () => {
      const bucket = await newBucket()
      const at = { bucket, key: 'k' }
      const body = Buffer.from('part')
      for (let round = 0; round < 5; round++) {
        const { uploadId } = await store.createUpload({ ...at, attributes: {} })
        const { etag } = await store.putPart({ ...at, uploadId, number: 1, body: bodyOf(body) })
        const complete = () => store.completeUpload({ ...at, uploadId, parts: [{ number: 1, etag }] })
        const [first, second, abort] = await Promise.allSettled([
          complete(),
          complete(),
          store.abortUpload({ ...at, uploadId }),
        ])
        const isThere = first.status === 'fulfilled'
        assert.equal(second.status, first.status)
        assert.notEqual(abort.status, first.status)
        const { objects } = await store.list({ bucket, limit: 1 })
        assert.equal(objects.length, isThere ? 1 : 0)
        if (isThere) await store.delete(at)
      }
      await checkInvariants(kit.meta)
    })

    for (const seed of seedsToRun(1)) {
      test(`anything at once, seed ${seed}`, async () => {
        await withSeed(seed, async (random) => {
          const bucket = await newBucket()
          await Promise.all(Array.from({ length: LANES }, () => lane(bucket, random)))
          await checkInvariants(kit.meta)
        })
      })
    }

    async function lane(bucket: Bucket, random: Random): Promise<void> {
      for (let step = 0; step < STEPS; step++) {
        try {
          await act(bucket, random)
        } catch (error) {
          assert.ok(error instanceof StoreError, String(error))
          assert.ok([...REFUSALS, ...UPLOAD_REFUSALS].includes(error.code), `${error.code}: ${error.message}`)
        }
      }
    }

    async function act(bucket: Bucket, random: Random): Promise<unknown> {
      const key = KEYS[random.below(KEYS.length)]!
      const other = KEYS[random.below(KEYS.length)]!
      const roll = random.below(20)
      kit.clock.ms += random.below(3)
      if (roll < 6) return await put(bucket, key, `${random.u32()}`)
      if (roll < 8) return await store.delete({ bucket, key })
      if (roll < 11) return await store.copy({ source: { bucket, key: other }, bucket, key, attributes: {} })
      if (roll < 13)
        return await store.append({ bucket, key, body: bodyOf(Buffer.from('+')), attributes: {} })
      if (roll < 14) return await store.setTags({ bucket, key }, [['a', 'b']])
      if (roll < 15) return await store.changeBucket(bucket, { versioning: 'enabled' })
      if (roll < 16) return await store.changeBucket(bucket, { versioning: 'suspended' })
      if (roll < 18) return await upload(bucket, key)
      const { versions } = await store.listVersions({ bucket, limit: 10 })
      const version = versions[random.below(versions.length || 1)]
      return version && (await store.delete({ bucket, key: version.key, versionId: version.versionId }))
    }

    async function upload(bucket: Bucket, key: string): Promise<unknown> {
      const bytes = Buffer.from('part')
      const { uploadId } = await store.createUpload({ bucket, key, attributes: {} })
      await store.putPart({ bucket, key, uploadId, number: 1, body: bodyOf(bytes) })
      const parts = [{ number: 1, etag: etagOf(bytes) }]
      return await store.completeUpload({ bucket, key, uploadId, parts })
    }
  })
}
