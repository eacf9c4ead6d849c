/** Keys as a tree, on real metadata: directories, their order, and renames that are one moment for all who read. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { seededRandom, systemRandom } from '../../src/base/random.ts'
import type { MetaStore, Script } from '../../src/meta/meta-store.ts'
import { openMetaStore } from '../../src/meta/open-meta-store.ts'
import { Buckets } from '../../src/objects/buckets.ts'
import { deleteVersion } from '../../src/objects/delete-version.ts'
import { findVersion } from '../../src/objects/find-steps.ts'
import { listObjects, listVersions } from '../../src/objects/list-steps.ts'
import type { Bucket, ObjectAttributes } from '../../src/objects/object-store.ts'
import { type PutVersion, putVersion } from '../../src/objects/put-version.ts'
import { ObjectTree } from '../../src/objects/tree.ts'
import { moveStep, rename } from '../../src/objects/tree-rename.ts'
import { noPostgres, PostgresServer } from '../support/postgres.ts'

interface Kit {
  meta: MetaStore
  tree: ObjectTree
  bucket: Bucket
  buckets: Buckets
  put(key: string, attributes?: ObjectAttributes): Promise<void>
  remove(key: string): Promise<void>
  close(): Promise<void>
}

const put: Script<PutVersion, string> = {
  name: 'test.put',
  *steps(args) {
    return (yield* putVersion(args)).versionId
  },
}

const nonce = () => Buffer.from(systemRandom.bytes(16))
const ETAG = '0cc175b9c0f1b6a831c399e269772661'

const parts = { clock: systemClock, random: systemRandom }

async function makeKit(meta: MetaStore, close: () => Promise<void>): Promise<Kit> {
  const tree = new ObjectTree({ meta, ...parts })
  const buckets = new Buckets({ meta, ...parts })
  const bucket = await buckets.create({ name: 'files', owner: 'root' })
  const change = (key: string) => ({
    ...{
      bucketId: bucket.id,
      key: Buffer.from(key),
      nowMs: systemClock.nowMs(),
      usagePart: 0,
      nonce: nonce(),
    },
  })
  return {
    ...{ meta, tree, bucket, buckets },
    async put(key, attributes = {}) {
      const content = { kind: 'none' } as const
      const rest = { content, sizeBytes: 1, etag: ETAG, tags: null, event: 'ObjectCreated:Put' }
      await meta.write(put, { ...change(key), ...rest, attributes: JSON.stringify(attributes) })
    },
    async remove(key) {
      await meta.write(deleteVersion, { ...change(key), version: undefined, bypassGovernance: false })
    },
    close,
  }
}

async function startOnSqlite(): Promise<Kit> {
  const directory = mkdtempSync(join(tmpdir(), 'cairn-tree-'))
  const meta = await openMetaStore(directory, parts)
  return makeKit(meta, async () => {
    await meta.close()
    rmSync(directory, { recursive: true, force: true })
  })
}

describe('SQLite', () => treeTests(startOnSqlite))

describe('PostgreSQL', { skip: noPostgres }, () => {
  let server: PostgresServer
  let databases = 0
  before(async () => {
    server = await PostgresServer.start()
  })
  after(() => server?.end())
  treeTests(async () => {
    const meta = await openMetaStore(await server.createDatabase(`tree_${++databases}`), parts)
    return makeKit(meta, () => meta.close())
  })
})

async function namesIn(kit: Kit, path: string, options: { limit?: number; prefix?: string } = {}) {
  const { limit = 1000, prefix } = options
  const names: string[] = []
  let after: string | undefined
  for (;;) {
    const { entries, next } = await kit.tree.listDirectory(kit.bucket, path, { after, prefix, limit })
    names.push(...entries.map(({ name, isDirectory }) => `${name}${isDirectory ? '/' : ''}`))
    if (next === undefined) return names
    after = next
  }
}

async function keysOf(kit: Kit, prefix = ''): Promise<string[]> {
  const args = { bucketId: kit.bucket.id, prefix: Buffer.from(prefix), delimiter: Buffer.alloc(0) }
  const { items } = await kit.meta.read(listObjects, { ...args, after: undefined, limit: 100_000 })
  return items.map((item) => ('row' in item ? item.row.key.toString() : item.prefix.toString()))
}

function treeTests(startKit: () => Promise<Kit>): void {
  test('a directory lists files and directories in the order of their names, whatever the page', async () => {
    const kit = await startKit()
    const keys = [
      'a!',
      'a-b',
      'a.txt',
      'a/x',
      'a/y/z',
      'a0',
      'ab/c',
      'b',
      'b/c',
      'b.c/d',
      'b.c.d',
      'ä/ö',
      'z//q',
      '/x',
    ]
    for (const key of keys) await kit.put(key)
    const all = ['a/', 'a!', 'a-b', 'a.txt', 'a0', 'ab/', 'b', 'b/', 'b.c/', 'b.c.d', 'z/', 'ä/']
    for (const limit of [1000, 3, 2, 1])
      assert.deepEqual(await namesIn(kit, '', { limit }), all, `pages of ${limit}`)
    assert.deepEqual(await namesIn(kit, 'a'), ['x', 'y/'])
    assert.deepEqual(await namesIn(kit, '', { prefix: 'b' }), ['b', 'b/', 'b.c/', 'b.c.d'])
    assert.deepEqual(await namesIn(kit, '', { prefix: 'b.', limit: 1 }), ['b.c/', 'b.c.d'])
    await kit.close()
  })

  test('listings agree with a model, for random names', async () => {
    const kit = await startKit()
    const seed = systemRandom.u32()
    const random = seededRandom(seed)
    const alphabet = ['a', 'b', '.', '-', '!', '/', '0', 'é', '😀']
    const keys = new Set<string>()
    for (let i = 0; i < 400; i++) {
      const length = 1 + random.below(8)
      const key = Array.from({ length }, () => alphabet[random.below(alphabet.length)]).join('')
      if (!keys.has(key)) await kit.put(key)
      keys.add(key)
    }
    for (const directory of ['', 'a', 'a/b', 'b', '.', '-/a']) {
      const found = new Set<string>()
      for (const key of keys) {
        const start = directory === '' ? '' : `${directory}/`
        if (!key.startsWith(start)) continue
        const [name, ...below] = key.slice(start.length).split('/')
        if (name !== '') found.add(below.length > 0 ? `${name}/` : name!)
      }
      const nameOf = (shown: string) => Buffer.from(shown.endsWith('/') ? shown.slice(0, -1) : shown)
      const expected = [...found].sort((a, b) => Buffer.compare(nameOf(a), nameOf(b)) || a.length - b.length)
      for (const limit of [1000, 7, 1])
        assert.deepEqual(
          await namesIn(kit, directory, { limit }),
          expected,
          `seed ${seed}, /${directory}, ${limit}`,
        )
    }
    await kit.close()
  })

  test('directories are made with those above them, and stay when they are empty', async () => {
    const kit = await startKit()
    const { tree, bucket } = kit
    await tree.makeDirectory(bucket, 'a/b/c', { posix: { mode: 0o750 } })
    assert.deepEqual(await keysOf(kit), ['a/', 'a/b/', 'a/b/c/'])
    assert.equal((await tree.stat(bucket, 'a/b'))!.info!.attributes.posix!.mode, 0o750)
    await assert.rejects(tree.makeDirectory(bucket, 'a/b', {}), { code: 'directory_exists' })
    await kit.put('f')
    await assert.rejects(tree.makeDirectory(bucket, 'f', {}), { code: 'directory_exists' })
    await assert.rejects(tree.makeDirectory(bucket, 'f/g', {}), { code: 'conflict' })
    await kit.put('a/b/c/x')
    assert.equal((await tree.stat(bucket, 'a/b/c/x'))!.isDirectory, false)
    assert.equal(await tree.stat(bucket, 'a/b/c/x/'), undefined)
    await kit.remove('a/b/c/x')
    assert.deepEqual(await namesIn(kit, 'a/b'), ['c/'])
    await kit.put('implied/x')
    const implied = await tree.stat(bucket, 'implied')
    assert.deepEqual([implied!.isDirectory, implied!.info], [true, undefined])
    await kit.close()
  })

  test('a directory is removed with all in it only when that is asked for', async () => {
    const kit = await startKit()
    const { tree, bucket } = kit
    await tree.makeDirectory(bucket, 'd/e', {})
    for (let i = 0; i < 450; i++) await kit.put(`d/e/${i}`)
    await kit.put('d-')
    await assert.rejects(tree.removeDirectory(bucket, 'd', { recursive: false }), {
      code: 'directory_not_empty',
    })
    const progress: number[] = []
    await tree.removeDirectory(bucket, 'd', {
      recursive: true,
      onProgress: (removed) => progress.push(removed),
    })
    assert.deepEqual(await keysOf(kit), ['d-'])
    assert.equal(progress.at(-1), 452)
    assert.equal((await kit.buckets.usage(bucket)).objects, 1)
    await assert.rejects(tree.removeDirectory(bucket, 'd', { recursive: true }), { code: 'not_found' })
    await kit.close()
  })

  test('a file is renamed, over another one too', async () => {
    const kit = await startKit()
    const { tree, bucket } = kit
    for (const key of ['a', 'b', 'd/x']) await kit.put(key)
    await tree.rename(bucket, 'a', 'c/a')
    await tree.rename(bucket, 'b', 'c/a')
    assert.deepEqual(await keysOf(kit), ['c/a', 'd/x'])
    assert.equal((await kit.buckets.usage(bucket)).objects, 2)
    await assert.rejects(tree.rename(bucket, 'c/a', 'd'), { code: 'conflict' })
    await assert.rejects(tree.rename(bucket, 'nothing', 'd'), { code: 'not_found' })
    await assert.rejects(tree.rename(bucket, 'd', 'c/a'), { code: 'conflict' })
    await assert.rejects(tree.rename(bucket, 'd', 'd/e'), { code: 'conflict' })
    await assert.rejects(tree.rename(bucket, 'd', 'c'), { code: 'conflict' })
    await kit.close()
  })

  test('where versions are kept, a renamed file leaves its history, a directory takes it along', async () => {
    const kit = await startKit()
    const { tree, bucket, buckets } = kit
    await buckets.change(bucket, { versioning: 'enabled' })
    await kit.put('a')
    await kit.put('a')
    await tree.rename(bucket, 'a', 'b')
    assert.deepEqual(await keysOf(kit), ['b'])
    const versions = async (prefix: string) => {
      const args = {
        bucketId: bucket.id,
        prefix: Buffer.from(prefix),
        delimiter: Buffer.alloc(0),
        limit: 1000,
      }
      const { items } = await kit.meta.read(listVersions, {
        ...args,
        after: undefined,
        afterVersion: undefined,
      })
      return items.map((item) => ('row' in item ? `${item.row.key} ${item.row.flags & 2}` : ''))
    }
    assert.deepEqual(await versions('a'), ['a 2', 'a 0', 'a 0'])
    await kit.put('d/x')
    await kit.put('d/x')
    await kit.put('d/gone')
    await kit.remove('d/gone')
    await tree.rename(bucket, 'd', 'e')
    assert.deepEqual(await versions('d'), [])
    assert.deepEqual(await versions('e'), ['e/gone 2', 'e/gone 0', 'e/x 0', 'e/x 0'])
    assert.deepEqual(await keysOf(kit, 'e/'), ['e/x'])
    await kit.close()
  })

  /** A large directory, in the middle of its rename. */
  async function halfRenamed(kit: Kit, count: number): Promise<void> {
    const args = { bucketId: kit.bucket.id, from: 'old', to: 'new', nowMs: 1, usagePart: 0 }
    const ids = { nonce: nonce(), contentId: nonce(), secondNonce: nonce() }
    assert.equal(await kit.meta.write(rename, { ...args, ...ids }), 'moving')
    for (let i = 0; i < count; i++) {
      assert.equal(
        await kit.meta.write(moveStep, { bucketId: kit.bucket.id, from: Buffer.from('old/') }),
        false,
      )
    }
  }

  test('from its first moment, everyone sees all of a renamed directory under its new name', async () => {
    const kit = await startKit()
    const { tree, bucket } = kit
    await tree.makeDirectory(bucket, 'old', {})
    const names = Array.from(
      { length: 700 },
      (_, i) => `${String(i).padStart(4, '0')}${i % 3 === 0 ? '/f' : ''}`,
    )
    for (const name of names) await kit.put(`old/${name}`)
    await kit.put('older')
    await kit.put('m')
    await kit.put('z')
    await halfRenamed(kit, 1)
    const expected = ['m', 'new/', ...names.map((name) => `new/${name}`), 'older', 'z']
    assert.deepEqual(await keysOf(kit), expected)
    assert.deepEqual(
      await keysOf(kit, 'new/05'),
      expected.filter((key) => key.startsWith('new/05')),
    )
    assert.deepEqual(await keysOf(kit, 'old/'), [])
    assert.deepEqual(await namesIn(kit, '', { limit: 2 }), ['m', 'new/', 'older', 'z'])
    assert.equal((await namesIn(kit, 'new', { limit: 100 })).length, 700)
    assert.deepEqual(await namesIn(kit, 'old'), [])
    assert.equal(await tree.stat(bucket, 'old'), undefined)
    assert.equal((await tree.stat(bucket, 'new'))!.isDirectory, true)
    for (const at of [0, 150, 299, 300, 301, 500, 699]) {
      const key = (directory: string) => Buffer.from(`${directory}/${names[at]}`)
      const found = await kit.meta.read(findVersion, {
        bucketId: bucket.id,
        key: key('new'),
        version: undefined,
      })
      assert.ok(found.row.size === 1)
      assert.equal((await tree.stat(bucket, `new/${names[at]}`))!.info!.key, `new/${names[at]}`)
      const find = async () =>
        await kit.meta.read(findVersion, { bucketId: bucket.id, key: key('old'), version: undefined })
      await assert.rejects(find, { code: 'not_found' })
    }
    await assert.rejects(kit.put('old/x'), { code: 'unavailable' })
    await assert.rejects(kit.put('new/x'), { code: 'unavailable' })
    await kit.put('other/x')
    await tree.resumeRenames()
    assert.deepEqual(await keysOf(kit), [...expected.slice(0, -1), 'other/x', 'z'])
    await kit.put('old/x')
    await kit.close()
  })

  test('versions follow a rename under way', async () => {
    const kit = await startKit()
    const { bucket, buckets, meta } = kit
    await buckets.change(bucket, { versioning: 'enabled' })
    const names = Array.from({ length: 620 }, (_, i) => String(i).padStart(4, '0'))
    for (const name of names) await kit.put(`old/${name}`)
    for (const name of names.filter((_, i) => i % 100 === 50)) await kit.put(`old/${name}`)
    await kit.remove('old/0060')
    await kit.remove('old/0460')
    const listing = async (prefix: string, limit: number) => {
      const found: string[] = []
      let after: { key: string; rank: number } | undefined
      for (;;) {
        const args = { bucketId: bucket.id, prefix: Buffer.from(prefix), delimiter: Buffer.alloc(0), limit }
        const from = { after: after && Buffer.from(after.key), afterVersion: after?.rank }
        const { items, isTruncated } = await meta.read(listVersions, { ...args, ...from })
        for (const item of items) {
          assert.ok('row' in item)
          after = { key: item.row.key.toString(), rank: item.row.rank }
          found.push(`${after.key.slice(4)} ${item.row.flags & 2} ${item.row.is_latest}`)
        }
        if (!isTruncated) return found
      }
    }
    const before = await listing('old/', 1000)
    assert.equal(before.length, 620 + 6 + 2)
    await halfRenamed(kit, 1)
    for (const limit of [1000, 50, 3])
      assert.deepEqual(await listing('new/', limit), before, `pages of ${limit}`)
    assert.deepEqual(await listing('old/', 1000), [])
    await kit.tree.resumeRenames()
    assert.deepEqual(await listing('new/', 1000), before)
    await kit.close()
  })

  test('a rename goes on through keys with more versions than a step has rows', async () => {
    const kit = await startKit()
    const { bucket, buckets, tree } = kit
    await buckets.change(bucket, { versioning: 'enabled' })
    const counts = { a: 1, b: 700, c: 2, d: 299, e: 300, f: 1 }
    for (const [name, count] of Object.entries(counts))
      for (let version = 0; version < count; version++) await kit.put(`old/${name}`)
    await kit.remove('old/b')
    await tree.rename(bucket, 'old', 'new')
    const none = Buffer.alloc(0)
    const place = { bucketId: bucket.id, delimiter: none, after: undefined, afterVersion: undefined }
    const versions = (prefix: string) =>
      kit.meta.read(listVersions, { ...place, prefix: Buffer.from(prefix), limit: 5_000 })
    assert.equal((await versions('old')).items.length, 0)
    const found = new Map<string, number>()
    for (const item of (await versions('new')).items) {
      assert.ok('row' in item)
      const name = item.row.key.toString().slice(4)
      found.set(name, (found.get(name) ?? 0) + 1)
    }
    assert.deepEqual(Object.fromEntries(found), { ...counts, b: 701 })
    assert.deepEqual(await keysOf(kit), ['new/a', 'new/c', 'new/d', 'new/e', 'new/f'])
    await kit.close()
  })

  test('files whose time is over are not there, and go when they are met', async () => {
    const kit = await startKit()
    const { tree, bucket } = kit
    const nowMs = systemClock.nowMs()
    await kit.put('d/over', { posix: { ttlSeconds: 60, createdMs: nowMs - 61_000 } })
    await kit.put('d/still', { posix: { ttlSeconds: 60, createdMs: nowMs - 30_000 } })
    await kit.put('e/over', { posix: { ttlSeconds: 60, createdMs: nowMs - 61_000 } })
    assert.equal(await tree.stat(bucket, 'd/over'), undefined)
    assert.equal((await tree.stat(bucket, 'd/still'))!.isDirectory, false)
    assert.deepEqual(await namesIn(kit, 'd'), ['still'])
    await tree.removeDirectory(bucket, 'e', { recursive: false })
    await kit.put('last')
    assert.deepEqual(await keysOf(kit), ['d/still', 'last'])
    await kit.close()
  })

  test('a file whose time is over is not renamed; a directory of its name is', async () => {
    const kit = await startKit()
    const { tree, bucket } = kit
    await kit.put('over', { posix: { ttlSeconds: 60, createdMs: systemClock.nowMs() - 61_000 } })
    await kit.put('living', { contentType: 'text/living' })
    await assert.rejects(tree.rename(bucket, 'over', 'living'), { code: 'not_found' })
    assert.equal((await tree.stat(bucket, 'living'))!.info!.attributes.contentType, 'text/living')
    await kit.put('over/below')
    await tree.rename(bucket, 'over', 'moved')
    assert.deepEqual(await namesIn(kit, 'moved'), ['below'])
    assert.equal(await tree.stat(bucket, 'over'), undefined)
    await kit.close()
  })
}
