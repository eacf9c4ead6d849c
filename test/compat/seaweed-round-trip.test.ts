/** Volumes of ours that SeaweedFS served, compacted or fixed come back, with what it added, and go on being ours. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimDisk } from '../sim/sim-disk.ts'
import { cookieOf, dataOf, KIB, MIB, needleOf } from '../support/needles.ts'
import { DIRECTORY, SimStore, VOLUME, verifyDisk } from '../support/sim-store.ts'
import {
  appendAsSeaweed,
  compactAsSeaweed,
  fixAsSeaweed,
  type SeaweedFile,
  type VolumeFiles,
} from './seaweed-writer.ts'

const path = (extension: string) => `${DIRECTORY}/${VOLUME}${extension}`
const NAMED = { mime: undefined, lastModifiedS: undefined, pairs: undefined }
const NOW_NS = 1_790_000_600_000_000_000n

async function ours(options: { killed?: boolean } = {}): Promise<SimStore> {
  const disk = new SimDisk(1)
  disk.putDirectory(DIRECTORY)
  const store = await SimStore.open(disk)
  await store.create()
  const sizes = [10, 0, 3000, 70 * KIB, MIB + 7 * KIB, 40, 0, 600]
  for (const [i, size] of sizes.entries()) {
    const needle = needleOf(i + 1, 1, size, NAMED)
    await store.volume().write(needle)
    store.history.acknowledge(store.history.begin(i + 1, needle))
  }
  await store.checkpoint()
  await store.remove(6)
  await store.remove(7)
  if (!options.killed) await store.stop()
  return store
}

function filesOf(disk: SimDisk): VolumeFiles {
  return { dat: disk.contents(path('.dat')), idx: disk.contents(path('.idx')) }
}

function withFiles(disk: SimDisk, files: VolumeFiles): SimDisk {
  disk.putFile(path('.dat'), files.dat)
  disk.putFile(path('.idx'), files.idx)
  return disk
}

/** SeaweedFS writes a new file, overwrites, deletes, and makes an empty file; the history learns of it. */
function serveAsSeaweed(files: VolumeFiles, store: SimStore): VolumeFiles {
  const { history } = store
  let time = NOW_NS
  const file = (key: number, lengthBytes: number): SeaweedFile => {
    time += 1000n
    return { key: BigInt(key), cookie: cookieOf(key), data: dataOf(key * 31, lengthBytes), appendNs: time }
  }
  const note = (key: number, data: Buffer | undefined) => {
    const state = data === undefined ? undefined : needleOf(key, 9, 0, { ...NAMED, name: undefined, data })
    history.acknowledge(history.begin(key, state))
  }
  for (const [key, size] of [
    [20, 500],
    [3, 800],
    [21, 0],
    [22, MIB + 900],
  ] as [number, number][]) {
    const written = file(key, size)
    files = appendAsSeaweed(files, written)
    note(key, written.data)
  }
  for (const key of [1, 20, 2]) {
    files = appendAsSeaweed(files, file(key, 0), true)
    note(key, undefined)
  }
  return files
}

for (const killed of [false, true]) {
  test(`SeaweedFS served the volume after ${killed ? 'a kill' : 'a stop'} of ours`, async () => {
    const store = await ours({ killed })
    const files = serveAsSeaweed(filesOf(store.disk), store)
    await verifyDisk(withFiles(store.disk.copy(), files), store.history, 'served by SeaweedFS')
    const compacted = await SimStore.open(withFiles(store.disk.copy(), files), { history: store.history })
    assert.equal(await compacted.compact(), 'ok')
    await compacted.checkReads('then compacted by us')
    await compacted.stop()
    await verifyDisk(compacted.disk, store.history, 'then compacted by us')
  })
}

test('weed compact: trailers are gone, a compaction of ours brings them back', async () => {
  const store = await ours()
  const files = compactAsSeaweed(filesOf(store.disk))
  // It drops empty files.
  for (const key of [2]) store.history.acknowledge(store.history.begin(key, undefined))
  const disk = withFiles(store.disk.copy(), files)
  await verifyDisk(disk.copy(), store.history, 'compacted by SeaweedFS')
  const again = await SimStore.open(disk, { history: store.history })
  await again.write(50, 1, 100)
  await again.remove(50)
  assert.equal(await again.compact(), 'ok')
  await again.checkReads('compacted by both')
  await again.stop()
  const record = Buffer.from(disk.contents(path('.dat')))
  assert.ok(record.length > files.dat.length, 'trailers are there again')
  await verifyDisk(disk, again.history, 'compacted by both')
})

for (const sorted of [false, true]) {
  test(`weed fix: an index ${sorted ? 'sorted by key' : 'in order'}, in which empty files are deletions`, async () => {
    const store = await ours()
    const files = fixAsSeaweed(filesOf(store.disk), sorted)
    await verifyDisk(withFiles(store.disk.copy(), files), store.history, 'fixed by SeaweedFS')
  })
}

test('weed compact, then served by SeaweedFS, then a kill of ours', async () => {
  const store = await ours()
  store.history.acknowledge(store.history.begin(2, undefined))
  const files = serveAsSeaweed(compactAsSeaweed(filesOf(store.disk)), store)
  const disk = withFiles(store.disk.copy(), files)
  const again = await SimStore.open(disk, { history: store.history })
  await again.checkReads('opened')
  assert.equal(await again.write(60, 1, 2000), 'ok')
  assert.equal(await again.remove(3), 'ok')
  await verifyDisk(disk.kill(), again.history, 'killed')
})
