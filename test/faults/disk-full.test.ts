/**
 * The disk runs full: writes are refused and nothing is lost, reads and deletes go on, and when the deleted files have been
 * compacted away writes go on by themselves, without a restart.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimDisk } from '../sim/sim-disk.ts'
import { KIB, MIB } from '../support/needles.ts'
import { randomOf } from '../support/seeds.ts'
import { DIRECTORY, SimStore, verifyDisk } from '../support/sim-store.ts'

const CAPACITY_BYTES = 48 * MIB
const FILE_BYTES = 300 * KIB

async function open(): Promise<SimStore> {
  const disk = new SimDisk(1)
  disk.putDirectory(DIRECTORY)
  disk.capacityBytes = CAPACITY_BYTES
  const store = await SimStore.open(disk, { views: 2, ballastBytes: 4 * MIB, garbageThreshold: 0.3 })
  await store.create()
  return store
}

/** Writes until the disk is full; returns how many files there are. */
async function fill(store: SimStore, ticking: boolean): Promise<number> {
  for (let key = 1; ; key++) {
    assert.ok(key * FILE_BYTES < CAPACITY_BYTES * 2, 'the disk runs full at last')
    const outcome = await store.write(key, 1, FILE_BYTES, { view: key % 2 })
    if (outcome === 'disk_full') return key - 1
    assert.equal(outcome, 'ok')
    if (ticking && key % 4 === 0) await store.checkpoint()
  }
}

for (const ticking of [true, false]) {
  test(`full ${ticking ? 'while the keeper watches' : 'between two looks of the keeper'}, deleted from, and written again`, async () => {
    const store = await open()
    const count = await fill(store, ticking)
    await store.checkReads('full')
    await verifyDisk(withRoom(store.disk.crash(randomOf(1))), store.history, 'power loss while full')
    // What is left must fit into the room that is kept for a compaction, beside the old files.
    for (let key = 1; key <= count; key++) {
      if (key % 25 !== 0) assert.equal(await store.remove(key), 'ok', `delete ${key} while full`)
    }
    await store.checkReads('full, most deleted')
    let outcome = 'disk_full'
    for (let turn = 0; turn < 20 && outcome !== 'ok'; turn++) {
      await store.checkpoint()
      // Any request makes a thread give back its handle of the file that was compacted.
      for (const view of store.engine.views) view.list()
      outcome = await store.write(1000, 1, FILE_BYTES)
    }
    assert.equal(outcome, 'ok', 'writes go on')
    for (let key = 1001; key < 1010; key++) assert.equal(await store.write(key, 1, FILE_BYTES), 'ok')
    await store.checkReads('written again')
    await store.stop()
    await verifyDisk(withRoom(store.disk.copy()), store.history, 'after it all')
  })
}

test('a large write that does not fit, with a small one behind it', async () => {
  const store = await open()
  await fill(store, false)
  const { disk } = store
  disk.capacityBytes = disk.usedBytes + 600 * KIB
  await store.checkpoint()
  disk.capacityBytes = disk.usedBytes + 600 * KIB
  for (const view of store.engine.views) view.get(1)!.slot.clearFlag(4)
  disk.hold()
  const large = store.write(500, 1, MIB + 300 * KIB)
  for (let i = 0; i < 4; i++) await new Promise(setImmediate)
  const small = store.write(501, 1, 100, { view: 1 })
  for (let i = 0; i < 200; i++) {
    await new Promise(setImmediate)
    if (disk.held.length > 0) disk.release(disk.held.length - 1)
  }
  disk.unhold()
  assert.equal(await large, 'disk_full')
  assert.equal(await small, 'ok')
  await store.checkReads('after the large one failed')
  await verifyDisk(withRoom(disk.crash(randomOf(2))), store.history, 'power loss with the hole')
  disk.capacityBytes = 2 * CAPACITY_BYTES
  await store.checkpoint()
  assert.equal(await store.write(502, 1, 5000), 'ok', 'writes go on')
  assert.equal(await store.write(503, 1, MIB + 5000), 'ok', 'large writes go on')
  await store.checkReads('with room again')
  await store.stop()
  await verifyDisk(disk.copy(), store.history, 'after it all')
})

/** The same files on a disk on which the checks have room to write. */
function withRoom(disk: SimDisk): SimDisk {
  disk.capacityBytes = Number.POSITIVE_INFINITY
  return disk
}
