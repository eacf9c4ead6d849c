/** Values by name on real volumes: what was acknowledged is there, also of names with one hash, full volumes and after a restart. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { afterEach, test } from 'node:test'
import { StoreError } from '../../src/base/errors.ts'
import { HASHED_NAME_BYTES_MAX } from '../../src/base/limits.ts'
import { type BlobKey, KeyedBlobs } from '../../src/blobs/keyed-blobs.ts'
import { FLAG, WORD } from '../../src/disk/volume-table.ts'
import { HashedStore } from '../../src/objects/hashed-store.ts'
import { SimDisk } from '../sim/sim-disk.ts'
import { DIRECTORY, SimStore } from '../support/sim-store.ts'
import { COLLECTION, named, openKit, remove, set, setMany, value } from './hashed-store-kit.ts'

const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const open = (hash?: (name: Buffer) => BlobKey, cacheBytesMax?: number) =>
  openKit({ after: (cleanup) => cleanups.push(cleanup), hash, cacheBytesMax })

test('values are there with flags and rising versions, replaced, removed, and after a restart', async () => {
  const kit = await open()
  assert.equal(await value(kit, 'a'), undefined)
  const first = await set(kit, 'a', 'one', 0, 0xffffffff)
  assert.equal((await kit.store.get(Buffer.from('a')))!.flags, 0xffffffff)
  const second = await set(kit, 'a', 'two')
  assert.ok(second!.version > first!.version)
  const large = randomBytes(3 * 1024 * 1024)
  await set(kit, 'large', large)
  await set(kit, 'gone', 'x')
  assert.equal(await remove(kit, 'gone'), undefined)
  await kit.reopen()
  assert.equal(await value(kit, 'a'), 'two')
  assert.equal(await value(kit, 'gone'), undefined)
  assert.ok((await kit.store.get(Buffer.from('large')))!.value.equals(large))
  assert.ok((await set(kit, 'a', 'three'))!.version > second!.version)
})

test('names with one hash do not see each other', async () => {
  const kit = await open(() => ({ keyHigh: 1, keyLow: 2 }))
  await Promise.all(['a', 'b', 'c'].map((name) => set(kit, name, `value of ${name}`)))
  await remove(kit, 'b')
  await kit.reopen()
  assert.deepEqual(
    [await value(kit, 'a'), await value(kit, 'b'), await value(kit, 'c')],
    ['value of a', undefined, 'value of c'],
  )
  await remove(kit, 'a')
  await remove(kit, 'c')
  assert.equal(await value(kit, 'c'), undefined)
})

for (const cacheBytesMax of [0, 1_000_000]) {
  test(`many set together, ${cacheBytesMax === 0 ? 'not ' : ''}in memory: names twice, names with one hash, and after a restart`, async () => {
    const kit = await open((name) => ({ keyHigh: 1, keyLow: 1 + (name[0]! % 4) }), cacheBytesMax)
    await set(kit, 'e', 'has the hash of a')
    const names = ['a', 'b', 'a', 'c', 'e', 'd', 'a']
    assert.equal(
      await setMany(
        kit.store,
        names.map((name, at) => named(name, `${name}${at}`)),
      ),
      undefined,
    )
    const values = async () => await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => value(kit, name)))
    assert.deepEqual(await values(), ['a6', 'b1', 'c3', 'd5', 'e4'])
    const beside = [
      setMany(kit.store, [named('a', 'x')]),
      set(kit, 'a', 'y'),
      setMany(kit.store, [named('a', 'z')]),
    ]
    await Promise.all(beside)
    assert.equal(await value(kit, 'a'), 'z')
    await kit.reopen()
    assert.deepEqual(await values(), ['z', 'b1', 'c3', 'd5', 'e4'])
  })
}

test('of many set together, those that can be written are, and the others say why not', async () => {
  const kit = await open(undefined, 1_000_000)
  await set(kit, 'a', 'old')
  const one = kit.engine.volumes.get(1)!.slot
  one.setFlag(FLAG.diskFull)
  const failures = await setMany(kit.store, [
    named('a', 'new'),
    named('x'.repeat(HASHED_NAME_BYTES_MAX + 1), 'v'),
    named('b', 'new'),
  ])
  assert.deepEqual(
    failures?.map((error) => (error as StoreError).code),
    ['disk_full', 'too_large', 'disk_full'],
  )
  assert.deepEqual([await value(kit, 'a'), await value(kit, 'b')], ['old', undefined])
  one.clearFlag(FLAG.diskFull)
  // A full volume: all move on to the next.
  kit.named.splice(0, 1, 2)
  one.set(WORD.sizeLimitUnits, 1)
  assert.equal(
    await setMany(kit.store, [named('a', 'moved'), named('b', 'moved'), named('a', 'last')]),
    undefined,
  )
  assert.equal(kit.engine.volumes.get(2)!.collection, COLLECTION)
  await kit.reopen()
  assert.deepEqual([await value(kit, 'a'), await value(kit, 'b')], ['last', 'moved'])
})

/** Files in memory and a clock of its own: no read is slow, and nothing else happens at an unlucky moment. */
async function openSim() {
  const disk = new SimDisk(1)
  disk.putDirectory(DIRECTORY)
  const sim = await SimStore.open(disk)
  await sim.create()
  const volumes = sim.engine.views[0]!
  const assign = async () => ({ volumeId: 1, keyHigh: 0, keyLow: 1, count: 1, url: '' })
  const blobs = new KeyedBlobs({ volumes, sync: 'batch', collection: '', assign })
  const store = await HashedStore.open({ blobs, clock: sim.engine.clock, cacheBytesMax: 1_000_000 })
  const textAt = async (name: string) => (await store.get(Buffer.from(name)))?.value.toString()
  return { disk, sim, store, textAt, slot: volumes.get(1)!.slot }
}

test('the disk becomes full under values set together: what was there stays, and they are set when there is room', async () => {
  const { disk, sim, store, slot } = await openSim()
  const all = (value: string) =>
    ['a', 'b', 'c', 'd'].map((name) => named(name, `${name}${value}`.padEnd(2_000)))
  assert.equal(await setMany(store, all('1')), undefined)
  const { usedBytes } = disk
  disk.capacityBytes = usedBytes + 5_000
  const failures = await setMany(store, all('2'))
  assert.deepEqual(
    failures?.map((error) => (error as StoreError).code),
    Array(4).fill('disk_full'),
  )
  for (const { name, value } of all('1')) {
    assert.equal(store.cached(name), undefined, 'what was not written is not served')
    assert.ok((await store.get(name))!.value.equals(value))
  }
  disk.capacityBytes = Number.POSITIVE_INFINITY
  slot.clearFlag(FLAG.diskFull)
  assert.equal(await setMany(store, all('3')), undefined)
  for (const { name, value } of all('3')) assert.ok((await store.get(name))!.value.equals(value))
  await sim.stop()
})

test('what is set until the next sync is written together, and seen by all who ask before', async () => {
  const { sim, store, textAt, slot } = await openSim()
  // Twice: for the first ones a volume was asked for, and they did not come into memory.
  for (const old of ['first', 'old'])
    await setMany(
      store,
      ['a', 'b', 'c', 'd'].map((name) => named(name, old)),
    )
  const before = slot.get(WORD.idxEntries)
  const many = ['a', 'b', 'c', 'a'].map((name, at) => setMany(store, [named(name, `${name}${at}`)]))
  assert.equal(slot.get(WORD.idxEntries), before, 'nothing is written yet')
  const kept = store.cached(Buffer.from('d'))
  assert.equal(kept?.bytes.toString('utf8', kept.start, kept.end), 'old')
  assert.equal(store.cached(Buffer.from('a')), undefined, 'what is not written is not served')
  assert.equal(slot.get(WORD.idxEntries), before, 'who asks for others does not have it written')
  assert.equal(await textAt('a'), 'a3')
  assert.equal(slot.get(WORD.idxEntries), before + 4)
  assert.deepEqual(await Promise.all(many), Array(4).fill(undefined))
  const later = setMany(store, [named('a', 'x'), { ...named('b', 'gone'), expiresMs: 1 }])
  const appended = store.update(Buffer.from('a'), (present) => ({
    ...present!,
    value: Buffer.concat([present!.value, Buffer.from('y')]),
  }))
  const swept = store.sweep()
  // Four were answered together: it would wait for them.
  sim.engine.clock.advance(10)
  await Promise.all([later, appended])
  assert.equal(await swept, 1)
  assert.deepEqual([await textAt('a'), await textAt('b'), await textAt('c')], ['xy', undefined, 'c2'])
  await sim.stop()
})

test('a sync that fails is told to all who wait for it', async () => {
  const { sim, store, textAt, slot } = await openSim()
  await setMany(store, [named('a', 'old'), named('b', 'old')])
  const waiting = ['a', 'b'].map((name) => setMany(store, [named(name, 'new')]))
  assert.equal(await textAt('a'), 'new')
  slot.setFlag(FLAG.failed)
  for (const failures of await Promise.all(waiting))
    assert.deepEqual(
      failures?.map((error) => (error as StoreError).code),
      ['io_error'],
    )
  await sim.stop()
})

test('changes that depend on what is there lose nothing when many come at once', async () => {
  const kit = await open()
  const add = () =>
    kit.store.update(Buffer.from('n'), (present) => ({
      flags: 0,
      expiresMs: 0,
      value: Buffer.from(String(Number(present?.value ?? 0) + 1)),
    }))
  await Promise.all(Array.from({ length: 200 }, add))
  assert.equal(await value(kit, 'n'), '200')
})

test('a value moves on when its volume takes no writes', async () => {
  const kit = await open()
  kit.named.splice(0, 1, 1, 2)
  await set(kit, 'a', 'old')
  await set(kit, 'b', 'stays')
  await kit.engine.keeper.setReadOnly(1, true)
  await set(kit, 'c', 'new')
  assert.equal(kit.engine.volumes.get(2)!.collection, COLLECTION)
  // The old blob cannot be removed, but the new one counts.
  await set(kit, 'a', 'newer')
  assert.equal(await value(kit, 'a'), 'newer')
  await kit.reopen()
  assert.equal(await value(kit, 'a'), 'newer')
  await assert.rejects(remove(kit, 'a'), (error) => error instanceof StoreError && error.code === 'read_only')
  assert.equal(await value(kit, 'a'), 'newer')
  await kit.engine.keeper.setReadOnly(1, false)
  await kit.reopen()
  assert.deepEqual(
    [await value(kit, 'a'), await value(kit, 'b'), await value(kit, 'c')],
    ['newer', 'stays', 'new'],
  )
  await remove(kit, 'a')
  await kit.reopen()
  assert.equal(await value(kit, 'a'), undefined)
})

test('what has expired is gone, and so is what was cleared, now or later; a sweep removes the bytes', async () => {
  const kit = await open()
  await set(kit, 'short', 'x', kit.clock.nowMs() + 1_000)
  await set(kit, 'long', 'y')
  assert.equal(await value(kit, 'short'), 'x')
  kit.clock.aheadMs += 1_000
  assert.equal(await value(kit, 'short'), undefined)
  assert.equal(await kit.store.sweep(), 1)
  await kit.store.clear(kit.clock.nowMs())
  assert.equal(await value(kit, 'long'), undefined)
  await set(kit, 'after', 'z')
  await kit.store.clear(kit.clock.nowMs() + 10_000)
  assert.equal(await value(kit, 'after'), 'z')
  await kit.reopen()
  assert.deepEqual([await value(kit, 'long'), await value(kit, 'after')], [undefined, 'z'])
  kit.clock.aheadMs += 10_000
  assert.equal(await value(kit, 'after'), undefined)
  await set(kit, 'last', '!')
  assert.equal(await kit.store.sweep(), 2)
  await kit.reopen()
  assert.deepEqual(
    [await value(kit, 'long'), await value(kit, 'after'), await value(kit, 'last')],
    [undefined, undefined, '!'],
  )
})

for (const cacheBytesMax of [0, 10_000])
  test(`a change of the expiry keeps the version, ${cacheBytesMax === 0 ? 'not ' : ''}in memory, and is the one that counts`, async () => {
    const kit = await open(undefined, cacheBytesMax)
    kit.named.splice(0, 1, 1, 2)
    const { version } = (await set(kit, 'a', 'x', 0, 7))!
    const touch = (expiresMs: number) =>
      kit.store.update(Buffer.from('a'), (present) => ({ ...present!, expiresMs, isTouch: true }))
    const expected = (touches: number, expiresMs: number) => ({
      ...{ name: Buffer.from('a'), flags: 7, version, touches, expiresMs },
      value: Buffer.from('x'),
    })
    const laterMs = kit.clock.nowMs() + 1_000_000
    assert.deepEqual(await touch(laterMs), expected(1, laterMs))
    assert.deepEqual(await kit.store.get(Buffer.from('a')), expected(1, laterMs))
    await kit.reopen()
    assert.deepEqual(await touch(laterMs + 1), expected(2, laterMs + 1))
    // What is on the volume that takes no more writes cannot be removed.
    await kit.engine.keeper.setReadOnly(1, true)
    assert.deepEqual(await touch(laterMs + 2), expected(3, laterMs + 2))
    await kit.reopen()
    assert.deepEqual(await kit.store.get(Buffer.from('a')), expected(3, laterMs + 2))
    assert.ok((await set(kit, 'a', 'y'))!.version > version)
    await kit.reopen()
    assert.equal(await value(kit, 'a'), 'y')
  })

test('an expiry that was changed as often as can be counted gets a new version', async () => {
  const { sim, store } = await openSim()
  await setMany(store, [named('a', 'x')])
  const { version } = (await store.get(Buffer.from('a')))!
  const touches = Array.from({ length: 2_050 }, (_, at) =>
    store.update(Buffer.from('a'), (present) => ({ ...present!, expiresMs: 0, flags: at, isTouch: true })),
  )
  const items = await Promise.all(touches)
  assert.deepEqual([items[2_046]!.version, items[2_046]!.touches], [version, 2_047])
  assert.ok(items[2_047]!.version > version)
  assert.deepEqual([items[2_049]!.version, items[2_049]!.touches], [items[2_047]!.version, 2])
  await sim.stop()
})
