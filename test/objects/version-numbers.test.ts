/** Versions that are counted, and bytes that are found and named by their SHA-256: on both engines of metadata. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { systemRandom as random } from '../../src/base/random.ts'
import { Contents } from '../../src/objects/contents.ts'
import type { Bucket, ObjectInfo } from '../../src/objects/object-store.ts'
import { NumberedVersions, numberOfVersionId, versionIdOfNumber } from '../../src/objects/version-numbers.ts'
import { bodyOf, code, type ObjectsKit, postgresObjects, sqliteObjects, wholeOf } from './objects-kit.ts'

for (const engine of [sqliteObjects(), postgresObjects()]) {
  describe(`counted versions on ${engine.name}`, { skip: engine.skip }, () => {
    let kit: ObjectsKit
    let bucket: Bucket

    before(async () => {
      await engine.begin()
      kit = await engine.open()
      const configs = { version_numbers: '{}', dedupe: '{}' }
      const made = await kit.store.createBucket({ name: 'counted', owner: 'o', configs })
      bucket = await kit.store.changeBucket(made, { versioning: 'enabled' })
    })

    after(async () => {
      await kit.close()
      await engine.end()
    })

    const put = (key: string, text: string) =>
      kit.store.put({ bucket, key, body: bodyOf(Buffer.from(text)), attributes: {} })
    const remove = (key: string, number?: number) =>
      kit.store.delete({ bucket, key, ...(number && { versionId: versionIdOfNumber(number) }) })
    const numberOf = ({ versionId }: { versionId: string | undefined }) => numberOfVersionId(versionId!)

    async function listed(pages: AsyncIterable<ObjectInfo[]>): Promise<string[]> {
      const all: string[] = []
      for await (const page of pages)
        all.push(...page.map((info) => `${info.key}:${numberOf(info)}${info.isDeleteMarker ? '-' : ''}`))
      return all
    }

    test('1, 2, 3, with delete markers, also when the clock goes back', async () => {
      assert.equal(numberOf(await put('a', 'one')), 1)
      assert.equal(numberOf(await put('a', 'two')), 2)
      kit.clock.ms -= 1_000_000
      assert.equal(numberOf(await remove('a')), 3)
      assert.equal(numberOf(await put('a', 'four')), 4)
      assert.equal(numberOf(await remove('a')), 5)
      const found = await kit.store.find(bucket, 'a', { versionId: versionIdOfNumber(2) })
      assert.equal((await wholeOf(found)).toString(), 'two')
      const none = async () => kit.store.find(bucket, 'a', { versionId: versionIdOfNumber(6) })
      await assert.rejects(none, code('version_not_found'))
    })

    test('numbers stay when old versions are removed, and the next one goes on', async () => {
      for (let i = 1; i <= 5; i++) await put('b', `text ${i}`)
      await remove('b', 1)
      await remove('b', 3)
      assert.equal(numberOf(await put('b', 'six')), 6)
      const versions = new NumberedVersions({ meta: kit.meta, objects: kit.store })
      assert.deepEqual(await listed(versions.ofKey(bucket, 'b')), ['b:2', 'b:4', 'b:5', 'b:6'])
      assert.deepEqual(await listed(versions.ofKey(bucket, 'nothing')), [])
    })

    test('listings go from the oldest version to the latest, whatever the pages', async () => {
      await put('c/ü', 'x')
      const expected = ['a:1', 'a:2', 'a:3-', 'a:4', 'a:5-', 'b:2', 'b:4', 'b:5', 'b:6', 'c/ü:1']
      for (const pageRows of [1, 2, 3, 4, 5, 9, 10, 1000]) {
        const versions = new NumberedVersions({ meta: kit.meta, objects: kit.store, pageRows })
        assert.deepEqual(await listed(versions.ofAll(bucket)), expected, `${pageRows}`)
        assert.deepEqual(await listed(versions.ofKey(bucket, 'b')), expected.slice(5, 9), `${pageRows}`)
      }
    })

    test('many writers of one key count without gaps', async () => {
      const made = await Promise.all(Array.from({ length: 12 }, (_, i) => put('race', `${i}`)))
      assert.deepEqual(
        made.map(numberOf).sort((a, b) => a! - b!),
        made.map((_, i) => i + 1),
      )
    })

    test('bytes by their hash: found, named again, and gone with their last name', async () => {
      const contents = new Contents({ ...kit, reader: kit.reader, random })
      const sha256 = createHash('sha256').update('one').digest()
      const at = { bucket, sha256 }
      const found = await contents.find(at)
      assert.equal(found?.sizeBytes, 3)
      assert.equal((await found!.read(0, 3)).toString(), 'one')
      assert.notEqual(await contents.firstBlob(at), undefined)
      const named = await contents.name({ ...at, key: 'named', attributes: {} })
      assert.deepEqual([numberOf(named!), named!.sizeBytes], [1, 3])
      await remove('a', 1)
      assert.equal((await wholeOf(await kit.store.find(bucket, 'named'))).toString(), 'one')
      await remove('named', 1)
      assert.equal(await contents.find(at), undefined)
      assert.equal(await contents.name({ ...at, key: 'named', attributes: {} }), undefined)
    })

    test('an upload that is completed with its hash is checked, and found by it', async () => {
      const contents = new Contents({ ...kit, reader: kit.reader, random })
      const pieces = ['some ', 'parts', ' of any size'].map((text) => Buffer.from(text))
      const sha256 = createHash('sha256').update(Buffer.concat(pieces)).digest()
      const complete = async (key: string, count: number, hash = sha256) => {
        const { uploadId } = await kit.store.createUpload({ bucket, key, attributes: {} })
        const at = { bucket, key, uploadId }
        const parts = []
        for (const [i, bytes] of pieces.slice(0, count).entries()) {
          const part = { ...at, number: i + 1, body: bodyOf(bytes), onlyNew: true }
          parts.push(await kit.store.putPart(part))
          await assert.rejects(kit.store.putPart(part), code('conflict'))
        }
        return await kit.store.completeUpload({ ...at, parts, sha256: hash })
      }
      await assert.rejects(complete('bad', 2), code('digest_mismatch'))
      assert.equal(await contents.find({ bucket, sha256 }), undefined)
      await complete('good', 3)
      const text = 'some parts of any size'
      assert.equal((await contents.find({ bucket, sha256 }))?.sizeBytes, text.length)
      await complete('again', 3)
      for (const key of ['good', 'again'])
        assert.equal((await wholeOf(await kit.store.find(bucket, key))).toString(), text)
      const first = createHash('sha256').update(pieces[0]!).digest()
      await complete('single', 1, first)
      assert.equal((await contents.find({ bucket, sha256: first }))?.sizeBytes, pieces[0]!.length)
    })
  })
}
