/** Garbage of a volume that is written to all the time waits for a calm moment, but not where its room is needed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WORD } from '../../src/disk/volume-table.ts'
import { SimClock } from '../sim/sim-clock.ts'
import { fidOf, KIB } from '../support/needles.ts'
import { RealStore, temporaryDirectory } from '../support/real-store.ts'

const SECOND_MS = 1_000
const FILES = 40

test('a compaction waits while much is written, unless the volume is full', async (t) => {
  const { path, remove } = temporaryDirectory()
  t.after(remove)
  const clock = new SimClock()
  const store = new RealStore(path, { clock })
  await store.create(1)
  const { slot } = store.volume(1)
  const writeAll = async (version: number) => {
    for (let key = 1; key <= FILES; key++) await store.write(1, key, version, 100 * KIB)
  }
  /** What the keeper does a second later; whether it compacts. */
  const compacts = async () => {
    const before = slot.get(WORD.compactionRevision)
    clock.advance(SECOND_MS)
    await store.keeper.tend()
    return slot.get(WORD.compactionRevision) !== before
  }
  for (let version = 1; version <= 3; version++) {
    await writeAll(2 * version)
    await writeAll(2 * version + 1)
    assert.equal(await compacts(), false, `version ${version}`)
  }
  assert.equal(await compacts(), true, 'when it is calm')
  await writeAll(10)
  await writeAll(11)
  slot.set(WORD.sizeLimitUnits, 1)
  assert.equal(await compacts(), true, 'when it is full')
  for (let key = 1; key <= FILES; key++) assert.ok(await store.volume(1).read(fidOf(key)))
  await store.close()
})
