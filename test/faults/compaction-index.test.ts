/**
 * A compaction of a volume whose `.idx` was damaged while it is open: the index in memory says what is live and how long
 * it is, so any bit of any entry may flip, and no file is lost, cut off or comes back.
 */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { IDX_ENTRY_BYTES } from '../../src/disk/idx-entry.ts'
import { SimDisk } from '../sim/sim-disk.ts'
import type { History } from '../support/history.ts'
import { KIB, MIB } from '../support/needles.ts'
import { DIRECTORY, describeFound, matches, readKey, SimStore, VOLUME } from '../support/sim-store.ts'

const PATH = `${DIRECTORY}/${VOLUME}`
const KEYS = 8

let base: SimDisk
let history: History

before(async () => {
  base = new SimDisk(7)
  base.putDirectory(DIRECTORY)
  const store = await SimStore.open(base)
  await store.create()
  for (let key = 1; key <= KEYS; key++) await store.write(key, 1, key === 5 ? MIB + KIB : key * 300)
  await store.write(6, 1, 0)
  await store.remove(2)
  await store.write(3, 2, 500)
  await store.remove(7)
  await store.write(7, 2, 100)
  await store.stop()
  history = store.history
})

async function checkFiles(store: SimStore, what: string, damaged?: number): Promise<void> {
  for (let key = 1; key <= KEYS; key++) {
    const found = await readKey(store.volume(), key)
    const [state] = history.allowed(key)
    const right = key === damaged ? found === 'damaged' : matches(found, state)
    assert.ok(right, `${what}: key ${key} is ${describeFound(found)}`)
  }
}

/** Damages the files under an open volume and compacts it: all files are there then, and after a start. */
async function compactDamaged(
  what: string,
  damage: (disk: SimDisk) => void,
  { damaged, look }: { damaged?: number; look?: (disk: SimDisk) => void } = {},
) {
  const disk = base.copy()
  const store = await SimStore.open(disk, { history })
  damage(disk)
  assert.equal(await store.compact(), 'ok', what)
  look?.(disk)
  await checkFiles(store, what, damaged)
  await store.stop()
  const again = await SimStore.open(disk, { history })
  await checkFiles(again, `${what}, after a start`, damaged)
  await again.stop()
}

test('a bit of each byte of each entry', async () => {
  const bytes = base.contents(`${PATH}.idx`).length
  for (let at = 0; at < bytes; at++) {
    const bit = (at * 3 + Math.floor(at / IDX_ENTRY_BYTES)) % 8
    const what = `bit ${bit} of byte ${at % IDX_ENTRY_BYTES} of entry ${Math.floor(at / IDX_ENTRY_BYTES)}`
    await compactDamaged(what, (disk) => disk.flip(`${PATH}.idx`, at, 1 << bit))
  }
})

test('an entry that became the deletion of a live file', async () => {
  await compactDamaged('a deletion of key 1', (disk) => {
    const idx = base.contents(`${PATH}.idx`)
    // The deletion of 2 is of 1 then, which was copied before.
    const entry = idx.length / IDX_ENTRY_BYTES - 4
    const at = entry * IDX_ENTRY_BYTES + 7
    assert.equal(idx[at], 2)
    disk.flip(`${PATH}.idx`, at, 2 ^ 1)
  })
})

test('all entries at once', async () => {
  await compactDamaged('no entry left', (disk) => {
    const { length } = base.contents(`${PATH}.idx`)
    for (let at = 0; at < length; at++) disk.flip(`${PATH}.idx`, at, 0xa5)
  })
})

test('beside writes and deletes, of what is not listed, too', async () => {
  const disk = base.copy()
  const store = await SimStore.open(disk, { history: history.snapshot() })
  const { length } = base.contents(`${PATH}.idx`)
  for (let at = 0; at < length; at++) disk.flip(`${PATH}.idx`, at, 0xa5)
  const compaction = store.compact()
  let isOver = false
  void compaction.then(() => {
    isOver = true
  })
  let round = 0
  for (; !isOver || round < 3; round++) {
    await store.write(1, 10 + round, 700 + round)
    await store.remove(3)
    await store.write(3, 10 + round, 60 + round)
    await store.remove(8)
    await store.write(100 + round, 1, 40)
  }
  assert.equal(await compaction, 'ok')
  await store.checkReads('after the compaction')
  await store.stop()
  const again = await SimStore.open(disk, { history: store.history })
  await again.checkReads('after a start')
  await again.stop()
})

test('a damaged record whose entry has another size stays as long as it is, and damaged', async () => {
  const entry = 3 * IDX_ENTRY_BYTES
  const offset = base.contents(`${PATH}.idx`).readUInt32BE(entry + 8) * 8
  const lengthWith = async (mask: number) => {
    let length = 0
    const damage = (disk: SimDisk) => {
      disk.flip(`${PATH}.idx`, entry + 14, mask)
      disk.flip(`${PATH}.dat`, offset + 14, 0x10)
      disk.flip(`${PATH}.dat`, offset + 100, 0x10)
    }
    const look = (disk: SimDisk) => {
      length = disk.contents(`${PATH}.dat`).length
    }
    await compactDamaged(`size ^ ${mask}`, damage, { damaged: 4, look })
    return length
  }
  const length = await lengthWith(0)
  for (const mask of [0x01, 0x08, 0x80]) assert.equal(await lengthWith(mask), length)
})
