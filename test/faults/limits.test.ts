/** The ends of the ranges: a volume near 32 GiB, a full index, a disk that dies for good, a clock that went back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WORD } from '../../src/disk/volume-table.ts'
import { SimClock } from '../sim/sim-clock.ts'
import { SimDisk } from '../sim/sim-disk.ts'
import { KIB, MIB } from '../support/needles.ts'
import { randomOf } from '../support/seeds.ts'
import { codeOf, DIRECTORY, readKey, SimStore, verifyDisk } from '../support/sim-store.ts'

async function open(
  options: { clock?: SimClock; indexBytesMax?: number } = {},
  disk = new SimDisk(1),
): Promise<SimStore> {
  disk.putDirectory(DIRECTORY)
  const store = await SimStore.open(disk, { views: 2, ...options })
  if (store.engine.views[0]!.get(1) === undefined) await store.create()
  return store
}

test('places above 16 GiB, and the end at 32 GiB', async () => {
  for (const start of [2 ** 31 - 300, 2 ** 32 - 600_000]) {
    const store = await open()
    await store.write(1, 1, 500)
    // The volume grows by a hole; only a compaction, which leaves it out, makes sense of it again.
    store.volume().slot.set(WORD.tailUnits, start)
    let outcome = 'ok'
    for (let key = 2; key < 40 && outcome === 'ok'; key++) {
      outcome = await store.write(key, 1, [1, 3000, 70 * KIB, MIB + 100 * KIB][key % 4]!, { view: key % 2 })
      if (outcome === 'ok') await store.write(key - 1, 2, 700)
    }
    assert.equal(outcome, start > 2 ** 31 ? 'volume_full' : 'ok')
    await store.checkReads('written')
    for (const key of [2, 4]) assert.match(await store.remove(key), /^(ok|volume_full)$/)
    await store.checkReads('deleted from')
    assert.equal(await store.compact(), 'ok')
    await store.checkReads('compacted')
    await store.stop()
    await verifyDisk(store.disk, store.history, 'compacted and restarted')
  }
})

test('a full index refuses writes, and nothing else', async () => {
  const store = await open({ indexBytesMax: 64 * KIB })
  let outcome = 'ok'
  const random = randomOf(3)
  for (let i = 0; outcome === 'ok' && i < 20_000; i++)
    outcome = await store.write(1 + random.below(2 ** 30), 1, 10)
  assert.equal(outcome, 'index_full')
  await store.checkReads('index full')
  for (const key of store.history.keys.slice(0, 50)) {
    assert.match(await store.write(key, 2, 20), /^(ok|index_full)$/)
    assert.match(await store.remove(key), /^(ok|index_full)$/)
  }
  const info = (await store.engine.admin.status()).volumes[0]!
  assert.equal(info.failed, false, 'the volume did not fail')
  await store.checkReads('after more')
  await verifyDisk(store.disk.crash(randomOf(1)), store.history, 'a power loss, and more memory')
})

test('a disk that dies for good takes its volumes out, not the process; healed, all is there', async () => {
  for (let nth = 1; nth < 60; nth += 3) {
    const store = await open()
    for (let key = 1; key < 6; key++) await store.write(key, 1, key * 2000)
    store.disk.failCall(nth, { code: 'EIO' }, { kinds: undefined, forever: true })
    for (let i = 0; i < 8; i++) {
      await store.write(6 + i, 1, i === 3 ? MIB + 5000 : 800, { view: i % 2 })
      await store.remove(1 + (i % 3))
      if (i === 5) await store.compact()
      if (i === 6) await store.checkpoint()
      await readKey(store.volume(), 4).catch(codeOf)
      await store.engine.admin.status()
    }
    const code = await store.engine.admin
      .createVolume({ id: 2, collection: '', replicaPlacement: 0, ttl: 0 })
      .then(() => 'ok', codeOf)
    assert.notEqual(code, 'ok')
    store.disk.heal()
    await verifyDisk(store.disk.crash(randomOf(nth)), store.history, `dead from call ${nth} on`, {
      mayBeReadOnly: true,
      restart: false,
    })
  }
})

test('a clock that went back an hour: later operations still win, also in a rebuild', async () => {
  const clock = new SimClock(1_790_000_000_000)
  const store = await open({ clock })
  for (let key = 1; key <= 4; key++) await store.write(key, 1, 100 * key)
  const disk = store.disk.kill()
  const again = await SimStore.open(disk, {
    views: 2,
    clock: new SimClock(1_790_000_000_000 - 3_600_000),
    history: store.history,
  })
  await again.write(1, 2, 50)
  await again.remove(2)
  await again.write(3, 2, MIB + 500)
  await again.checkReads('after the step back')
  for (const lost of [[], ['.sums'], ['.idx', '.sums']]) {
    const copy = disk.kill()
    for (const extension of lost) copy.dropFile(`${DIRECTORY}/1${extension}`)
    await verifyDisk(copy, again.history, `rebuilt without ${lost.join(' ')}`)
  }
})
