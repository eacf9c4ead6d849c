/**
 * A compaction of a volume most of whose `.idx` speaks of what was replaced: it goes through the index, and reads records
 * together that lie near each other. What is written and deleted meanwhile follows, and each record is copied once.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../src/base/random.ts'
import { IDX_ENTRY_BYTES } from '../../src/disk/idx-entry.ts'
import { SimDisk } from '../sim/sim-disk.ts'
import { KIB, MIB } from '../support/needles.ts'
import { DIRECTORY, readKey, SimStore, VOLUME } from '../support/sim-store.ts'

const PATH = `${DIRECTORY}/${VOLUME}`
const KEYS = 40
const VERSIONS = 8
const DELETED = 7
const DAMAGED = 13
const LENGTHS = [0, 1, 300, 5 * KIB, 70 * KIB]
/** Longer than what is read together. */
const LONG = { key: 11, bytes: MIB + KIB }

async function overwritten(seed: number): Promise<{ disk: SimDisk; store: SimStore }> {
  const disk = new SimDisk(seed)
  disk.putDirectory(DIRECTORY)
  const store = await SimStore.open(disk)
  await store.create()
  for (let version = 1; version <= VERSIONS; version++) {
    for (let key = 1; key <= KEYS; key++) {
      const lengthBytes = key === LONG.key ? LONG.bytes : LENGTHS[(key + version) % LENGTHS.length]!
      assert.equal(await store.write(key, version, lengthBytes), 'ok')
    }
  }
  for (let key = DELETED; key <= KEYS; key += DELETED) await store.remove(key)
  return { disk, store }
}

async function startAgain(disk: SimDisk, store: SimStore): Promise<void> {
  await store.stop()
  const again = await SimStore.open(disk, { history: store.history })
  await again.checkReads('after a start')
  await again.stop()
}

test('all of it is there, and nothing of .idx is needed for it', async () => {
  const { disk, store } = await overwritten(1)
  const { length } = disk.contents(`${PATH}.idx`)
  for (let at = 0; at < length; at++) disk.flip(`${PATH}.idx`, at, 0xa5)
  assert.equal(await store.compact(), 'ok')
  await store.checkReads('after the compaction')
  const live = KEYS - Math.floor(KEYS / DELETED)
  assert.equal(disk.contents(`${PATH}.idx`).length, live * IDX_ENTRY_BYTES)
  await startAgain(disk, store)
})

test('a damaged record stays damaged, its neighbours whole', async () => {
  const { disk, store } = await overwritten(2)
  await store.write(DAMAGED - 1, 100, 200)
  const at = disk.contents(`${PATH}.dat`).length
  await store.write(DAMAGED, 100, 200)
  await store.write(DAMAGED + 2, 100, 200)
  disk.flip(`${PATH}.dat`, at + 100, 1)
  assert.equal(await store.compact(), 'ok')
  assert.equal(await readKey(store.volume(), DAMAGED), 'damaged')
  await store.write(DAMAGED, 101, 10)
  await store.checkReads('after the compaction')
  await startAgain(disk, store)
})

test('the bytes behind the records are zeros again', async () => {
  const { disk, store } = await overwritten(3)
  const at = disk.contents(`${PATH}.dat`).length
  await store.write(1, 100, 1)
  const end = disk.contents(`${PATH}.dat`).length
  disk.flip(`${PATH}.dat`, end - 1, 0xff)
  assert.equal(await store.compact(), 'ok')
  const compacted = disk.contents(`${PATH}.dat`)
  assert.equal(compacted.length % 8, 0)
  assert.equal(compacted.at(-1), 0)
  assert.ok(compacted.length < at)
  await store.checkReads('after the compaction')
  await startAgain(disk, store)
})

for (const seed of [4, 5, 6, 7, 8]) {
  test(`beside writes and deletes, seed ${seed}`, async () => {
    const { disk, store } = await overwritten(seed)
    const random = seededRandom(seed)
    let isOver = false
    const compaction = store.compact().finally(() => {
      isOver = true
    })
    let version = VERSIONS
    for (let round = 0; !isOver || round < 3; round++) {
      for (let i = random.below(8); i > 0; i--) {
        const key = 1 + random.below(KEYS + 5)
        if (random.below(4) === 0) await store.remove(key)
        else await store.write(key, ++version, random.below(3 * KIB))
      }
      if (round === 1) await store.write(LONG.key, ++version, LONG.bytes + random.below(KIB))
    }
    assert.equal(await compaction, 'ok')
    await store.checkReads('after the compaction')
    await startAgain(disk, store)
  })
}
