/** Damaged values, and volumes that take no more writes: who asks for others, or for these, is answered, and what was set last counts. */
import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import type { StoreError } from '../../src/base/errors.ts'
import { FLAG } from '../../src/disk/volume-table.ts'
import { damage, type Kit, type KitOptions, named, openKit, set, setMany, value } from './hashed-store-kit.ts'

const LARGE_BYTES = 2 * 1024 * 1024
const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const open = (options: Omit<KitOptions, 'after'> = {}) =>
  openKit({ ...options, after: (cleanup) => cleanups.push(cleanup) })

async function damageAndReopen(kit: Kit, ...texts: string[]): Promise<void> {
  for (const text of texts) damage(kit.engine.directory, text)
  await kit.reopen()
}

test('a change of a damaged large value fails alone', async () => {
  const kit = await open()
  await set(kit, 'large', Buffer.alloc(LARGE_BYTES, 'B'))
  await damageAndReopen(kit, 'B'.repeat(1_000))
  const append = kit.store.update(Buffer.from('large'), (present) => present)
  await assert.rejects(append, { code: 'corrupt' })
  await set(kit, 'other', 'x')
  assert.equal(await value(kit, 'other'), 'x')
})

const setters: [string, (kit: Kit) => Promise<unknown>][] = [
  ['alone', (kit) => set(kit, 'a', 'new')],
  ['with others', async (kit) => assert.equal(await setMany(kit.store, [named('a', 'new')]), undefined)],
]
for (const [how, setNew] of setters)
  test(`what is set ${how} behind a get comes behind it, and is what is there then`, async () => {
    // How many turns the get takes is the store's business: the set comes after each number of them.
    for (let turns = 0; turns < 30; turns++) {
      const kit = await open({ cacheBytesMax: 1_000_000 })
      await set(kit, 'first', 'x')
      await kit.reopen()
      const changed = set(kit, 'a', 'old')
      const got = value(kit, 'a')
      for (let turn = 0; turn < turns; turn++) await null
      await setNew(kit)
      assert.equal(await got, 'old', `${turns}`)
      await changed
      const kept = kit.store.cached(Buffer.from('a'))
      assert.ok(kept === undefined || kept.bytes.toString('utf8', kept.start, kept.end) === 'new', `${turns}`)
      assert.equal(await value(kit, 'a'), 'new')
      await kit.engine.close()
    }
  })

const code = (error: unknown) => (error as StoreError).code

test('a damaged value can be set and removed, by changes to which it does not matter', async () => {
  const kit = await open()
  const names = ['set', 'many', 'gone', 'large', 'other']
  for (const name of names) await set(kit, name, name.repeat(name === 'large' ? 400_000 : 100))
  await damageAndReopen(kit, ...names.map((name) => name.repeat(100)))
  for (const name of names) await assert.rejects(value(kit, name), { code: 'corrupt' })
  const wanted = (name: string) => ({ flags: 0, expiresMs: 0, value: Buffer.from(`${name} anew`) })
  const put = (name: string) =>
    kit.store.update(
      Buffer.from(name),
      () => wanted(name),
      () => wanted(name),
    )
  await Promise.all([put('set'), put('large')])
  assert.equal(await setMany(kit.store, [named('many', 'many anew')]), undefined)
  await kit.store.update(
    Buffer.from('gone'),
    () => undefined,
    () => 'remove',
  )
  await assert.rejects(set(kit, 'other', 'x'), { code: 'corrupt' })
  await kit.reopen()
  assert.deepEqual(await Promise.all(['set', 'many', 'gone', 'large'].map((name) => value(kit, name))), [
    'set anew',
    'many anew',
    undefined,
    'large anew',
  ])
})

test('a sweep goes past what it cannot look at or remove, and tells', async () => {
  const kit = await open()
  kit.named.splice(0, 1, 1, 2)
  await set(kit, 'read-only', 'x', 1)
  await kit.engine.keeper.setReadOnly(1, true)
  await set(kit, 'damaged', 'D'.repeat(100))
  for (let at = 0; at < 5; at++) await set(kit, `expired ${at}`, 'x', 1)
  await damageAndReopen(kit, 'D'.repeat(100))
  const told: [number, string][] = []
  assert.equal(await kit.store.sweep((keys, { code }) => told.push([keys, code])), 5)
  assert.deepEqual(told, [[2, 'read_only']])
  assert.equal(await kit.store.sweep(), 0)
})

test('keys are listed to their end, also when their volume is compacted meanwhile', async () => {
  const kit = await open()
  const names = Array.from({ length: 600 }, (_, at) => named(`name ${at}`, 'x'))
  for (const value of ['old', 'new'])
    await setMany(
      kit.store,
      names.map((each) => ({ ...each, value: Buffer.from(value.repeat(1_000)) })),
    )
  const keys = new Set<number>()
  let batches = 0
  for await (const batch of kit.blobs.keys()) {
    for (const { keyLow } of batch) keys.add(keyLow)
    if (++batches === 1) assert.ok((await kit.engine.keeper.compactVolume(1, 0)).compacted)
  }
  assert.equal(keys.size, names.length)
})

test('a disk that is full refuses nothing while others have room', async () => {
  const kit = await open()
  kit.named.splice(0, 1, 1, 2)
  await set(kit, 'a', 'old')
  await set(kit, 'b', 'old')
  const first = kit.engine.volumes.get(1)!.slot
  first.setFlag(FLAG.diskFull)
  await set(kit, 'a', 'new')
  assert.equal(await setMany(kit.store, [named('b', 'new'), named('c', 'new')]), undefined)
  const second = kit.engine.volumes.get(2)!.slot
  const values = () => Promise.all(['a', 'b', 'c'].map((name) => value(kit, name)))
  assert.deepEqual(await values(), ['new', 'new', 'new'])
  // The first one again; and then none.
  first.clearFlag(FLAG.diskFull)
  second.setFlag(FLAG.diskFull)
  await set(kit, 'c', 'newer')
  first.setFlag(FLAG.diskFull)
  await assert.rejects(set(kit, 'c', 'never'), { code: 'disk_full' })
  await kit.reopen()
  assert.deepEqual(await values(), ['new', 'new', 'newer'])
})

test('a value of a volume that failed is set on another one', async () => {
  const kit = await open()
  kit.named.splice(0, 1, 1, 2)
  await set(kit, 'a', 'old')
  await set(kit, 'b', 'old')
  kit.engine.volumes.get(1)!.slot.setFlag(FLAG.failed)
  for (const text of ['new', 'newer', 'newest']) {
    await set(kit, 'a', text)
    assert.equal(await setMany(kit.store, [named('b', text)]), undefined)
    assert.deepEqual([await value(kit, 'a'), await value(kit, 'b')], [text, text])
  }
  await kit.reopen()
  assert.deepEqual([await value(kit, 'a'), await value(kit, 'b')], ['newest', 'newest'])
})

test('a flush that fails takes nothing', async () => {
  const kit = await open()
  await set(kit, 'a', 'x')
  const { slot } = kit.engine.volumes.get(1)!
  slot.setFlag(FLAG.diskFull)
  const failed = await Promise.allSettled([kit.store.clear(0), kit.store.clear(0)])
  assert.deepEqual(
    failed.map((each) => each.status === 'rejected' && code(each.reason)),
    ['disk_full', 'disk_full'],
  )
  assert.equal(await value(kit, 'a'), 'x')
  slot.clearFlag(FLAG.diskFull)
  await kit.store.clear(0)
  assert.equal(await value(kit, 'a'), undefined)
  slot.setFlag(FLAG.diskFull)
  await assert.rejects(kit.store.clear(0))
  assert.equal(await value(kit, 'a'), undefined)
})
