/** Listings of objects in thousands of parts, whose attributes are long: pages end early, and the next ones have the rest. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { LISTED_ATTRIBUTES_BYTES_MAX, LISTED_ATTRIBUTES_LONG_BYTES } from '../../src/base/limits.ts'
import { query, type Script } from '../../src/meta/meta-store.ts'
import type { Bucket, ObjectAttributes, ObjectInfo } from '../../src/objects/object-store.ts'
import { bodyOf, type ObjectsKit, postgresObjects, sqliteObjects } from './objects-kit.ts'

const PARTS = 10_000
const KEYS = Array.from({ length: 20 }, (_, at) => `from/${100 + at}`)
const LONG: ObjectAttributes = {
  contentType: 'text/plain',
  partSizes: Array<number>(PARTS).fill(5_242_880),
  partChecksums: Array.from({ length: PARTS }, (_, at) => `${at}`.padStart(43, 'x')),
}
const PAGES_MIN = Math.floor((KEYS.length / 2) * (JSON.stringify(LONG).length / LISTED_ATTRIBUTES_BYTES_MAX))

/** A rename of a directory that has just begun. */
const beginMove: Script<number, null> = {
  name: 'test.beginMove',
  *steps(bucketId) {
    const [from, to, cursor] = [Buffer.from('from/'), Buffer.from('to/'), Buffer.alloc(0)]
    yield query(
      'insert into move (bucket_id, from_prefix, to_prefix, cursor, started_ms) values (?, ?, ?, ?, 0)',
      ...[bucketId, from, to, cursor],
    )
    yield query('update bucket set moves = 1 where bucket_id = ?', bucketId)
    return null
  },
}

for (const engine of [sqliteObjects(), postgresObjects()])
  describe(`long attributes on ${engine.name}`, { skip: engine.skip }, () => {
    let kit: ObjectsKit
    let bucket: Bucket
    before(async () => {
      await engine.begin()
      kit = await engine.open()
      bucket = await kit.store.createBucket({ name: 'bucket', owner: 'o' })
      // Every other one is short.
      for (const [at, key] of KEYS.entries()) {
        const attributes = at % 2 === 0 ? LONG : { contentType: `short/${at}` }
        await kit.store.put({ bucket, key, body: bodyOf(Buffer.from(key)), attributes })
      }
    })
    after(async () => {
      await kit.close()
      await engine.end()
    })

    function checkPage(objects: readonly ObjectInfo[]): void {
      const texts = objects.map(({ attributes }) => JSON.stringify(attributes))
      const bytes = texts.reduce((sum, text) => sum + text.length, 0)
      const most = LISTED_ATTRIBUTES_BYTES_MAX + objects.length * LISTED_ATTRIBUTES_LONG_BYTES
      assert.ok(bytes <= most, `${bytes} bytes of attributes on one page`)
      for (const [at, { key, attributes }] of objects.entries()) {
        const number = KEYS.indexOf(key.replace(/^to/, 'from'))
        assert.ok(number >= 0, key)
        if (number % 2 === 0) assert.equal(texts[at], JSON.stringify(LONG), key)
        else assert.equal(attributes.contentType, `short/${number}`)
      }
    }

    async function listAll(): Promise<string[]> {
      const keys: string[] = []
      let pages = 0
      let after: string | undefined
      do {
        const page = await kit.store.list({ bucket, limit: 1000, ...(after !== undefined && { after }) })
        checkPage(page.objects)
        assert.ok(page.objects.length > 0, 'every page gets on')
        keys.push(...page.objects.map(({ key }) => key))
        after = page.next
        pages++
      } while (after !== undefined)
      assert.ok(pages > PAGES_MIN, `${pages} pages`)
      return keys
    }

    test('objects', async () => {
      assert.deepEqual(await listAll(), KEYS)
    })

    test('common prefixes need no attributes', async () => {
      const { prefixes, next } = await kit.store.list({ bucket, delimiter: '/', limit: 1000 })
      assert.deepEqual(prefixes, ['from/'])
      assert.equal(next, undefined)
    })

    test('entries of a directory, without their parts', async () => {
      const names: string[] = []
      let pages = 0
      let after: string | undefined
      do {
        const page = await kit.store.listDirectory(bucket, 'from', {
          limit: 1000,
          ...(after !== undefined && { after }),
        })
        for (const { name, info } of page.entries) {
          names.push(`from/${name}`)
          assert.deepEqual(Object.keys(info!.attributes), ['contentType'])
        }
        after = page.next
        pages++
      } while (after !== undefined)
      assert.ok(pages > PAGES_MIN, `${pages} pages`)
      assert.deepEqual(names, KEYS)
      const { entries } = await kit.store.listDirectory(bucket, '', { limit: 1000 })
      assert.deepEqual(entries, [{ name: 'from', isDirectory: true, info: undefined }])
      assert.equal((await kit.store.stat(bucket, KEYS[0]!))!.info!.attributes.partSizes!.length, PARTS)
    })

    test('versions, the later ones of which are short', async () => {
      bucket = await kit.store.changeBucket(bucket, { versioning: 'enabled' })
      const [key] = KEYS
      await kit.store.put({ bucket, key: KEYS[1]!, body: bodyOf(Buffer.from('x')), attributes: LONG })
      await kit.store.delete({ bucket, key: KEYS[1]! })
      await kit.store.delete({ bucket, key: key! })
      const seen: string[] = []
      let at: { key: string; versionId: string | undefined } | undefined
      let pages = 0
      do {
        const from = at && {
          after: at.key,
          ...(at.versionId !== undefined && { afterVersionId: at.versionId }),
        }
        const page = await kit.store.listVersions({ bucket, limit: 1000, ...from })
        for (const { key, versionId, isDeleteMarker, attributes } of page.versions) {
          seen.push(`${key} ${versionId}`)
          if (!isDeleteMarker) assert.ok(attributes.contentType)
        }
        at = page.next
        pages++
      } while (at !== undefined)
      assert.ok(pages > PAGES_MIN, `${pages} pages`)
      assert.equal(seen.length, KEYS.length + 3)
      assert.equal(new Set(seen).size, seen.length)
      for (const removed of KEYS.slice(0, 2))
        await kit.store.delete({
          bucket,
          key: removed,
          versionId: seen.find((each) => each.startsWith(removed))!.split(' ')[1]!,
        })
    })

    test('objects of a directory that is being renamed', async () => {
      const before = await kit.store.list({ bucket, limit: 1 })
      assert.equal(before.objects[0]!.key, KEYS[0])
      await kit.meta.write(beginMove, bucket.id)
      const { objects, next } = await kit.store.list({ bucket, limit: 1000 })
      assert.equal(objects[0]!.key, 'to/100')
      assert.equal(JSON.stringify(objects[0]!.attributes), JSON.stringify(LONG))
      assert.ok(next?.startsWith('to/'))
    })
  })
