/** A volume of a TTL is given back whole, once its youngest file has expired, and not before. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { parseTtl } from '../../src/base/ttl.ts'
import { SimClock } from '../sim/sim-clock.ts'
import { fidOf } from '../support/needles.ts'
import { RealStore, temporaryDirectory } from '../support/real-store.ts'

const MINUTE_MS = 60_000

test('expired volumes go, others stay', async (t) => {
  const { path, remove } = temporaryDirectory()
  t.after(remove)
  const clock = new SimClock(Date.now())
  const store = new RealStore(path, { clock })
  await store.create(1, parseTtl('10m'))
  await store.create(2)
  await store.create(3, parseTtl('10m'))
  for (const id of [1, 2]) await store.write(id, 1, 1, 100)
  clock.advance(9 * MINUTE_MS)
  await store.keeper.tend()
  assert.ok(await store.volume(1).read(fidOf(1)), 'not yet')
  await store.write(1, 2, 1, 100)
  clock.advance(2 * MINUTE_MS)
  await store.keeper.tend()
  assert.equal(await store.volume(1).read(fidOf(1)), undefined, 'the file has expired')
  assert.ok(await store.volume(1).read(fidOf(2)), 'the other one has not')
  clock.advance(10 * MINUTE_MS)
  await store.keeper.tend()
  assert.equal(store.volumes.get(1), undefined, 'the volume is gone')
  assert.ok(await store.volume(2).read(fidOf(1, 2)), 'without TTL nothing expires')
  assert.ok(store.volumes.get(3), 'an empty volume waits for its first file')
  await store.close()
  assert.deepEqual(
    readdirSync(path)
      .filter((name) => name.endsWith('.dat'))
      .sort(),
    ['2.dat', '3.dat'],
  )
})

test('a restart keeps the age of a volume', async (t) => {
  const { path, remove } = temporaryDirectory()
  t.after(remove)
  const first = new RealStore(path)
  await first.create(1, parseTtl('10m'))
  await first.write(1, 1, 1, 100)
  await first.close()
  const clock = new SimClock(Date.now() + 5 * MINUTE_MS)
  const store = new RealStore(path, { clock })
  await store.keeper.tend()
  assert.ok(store.volumes.get(1))
  clock.advance(7 * MINUTE_MS)
  await store.keeper.tend()
  assert.equal(store.volumes.get(1), undefined)
  await store.close()
})
