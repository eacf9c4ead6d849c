/**
 * Every bit of a record, a delete marker, an empty file, the index, its sidecar and the `.cairn` file is flipped: the damage
 * is found (an error, never "not found"), repaired, or without effect. Never a wrong byte, never an old version.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { readSeaweedVolume, type SeaweedRecord } from '../compat/seaweed-files.ts'
import type { SimDisk } from '../sim/sim-disk.ts'
import { SimDisk as Disk } from '../sim/sim-disk.ts'
import { KIB, MIB, needleOf } from '../support/needles.ts'
import { DIRECTORY, describeFound, matches, readKey, SimStore, VOLUME } from '../support/sim-store.ts'

const path = (extension: string) => `${DIRECTORY}/${VOLUME}${extension}`
const [PLAIN, FULL, EMPTY_FILE, DELETED, BLOCKS, LARGE, OVERWRITTEN, DELETED_EMPTY] = [1, 2, 3, 4, 5, 6, 7, 8]
const LONG = process.env.CAIRN_LONG !== undefined

let base: SimDisk
let live: SimStore
let records: SeaweedRecord[]

before(async () => {
  const disk = new Disk(1)
  disk.putDirectory(DIRECTORY)
  const store = await SimStore.open(disk)
  await store.create()
  await store.write(PLAIN, 1, 30)
  const full = needleOf(FULL, 1, 50, {
    gzipped: true,
    name: Buffer.from('name of it.txt'),
    mime: Buffer.from('text/plain'),
    lastModifiedS: 1_720_000_000,
    ttl: (9 << 8) | 5,
    pairs: Buffer.from('{"Owner":"bob","Color":"blue"}'),
  })
  await store.volume().write(full)
  store.history.acknowledge(store.history.begin(FULL, full))
  await store.write(EMPTY_FILE, 1, 0)
  await store.write(DELETED, 1, 40)
  await store.write(BLOCKS, 1, 70 * KIB)
  await store.write(LARGE, 1, MIB + 70 * KIB)
  await store.write(OVERWRITTEN, 1, 60)
  await store.write(OVERWRITTEN, 2, 65)
  await store.write(DELETED_EMPTY, 1, 0)
  await store.remove(DELETED)
  await store.remove(DELETED_EMPTY)
  await store.stop()
  base = disk.copy()
  records = readSeaweedVolume(base.contents(path('.dat')), base.contents(path('.idx'))).records
  live = await SimStore.open(base.copy(), { history: store.history })
})

after(() => live.stop())

/** The record that a read of the key uses, or its delete marker. */
function lastRecord(key: number): SeaweedRecord {
  return records.findLast((record) => record.key === BigInt(key))!
}

async function check(store: SimStore, keys: number[], what: string): Promise<void> {
  for (const key of keys) {
    const found = await readKey(store.volume(), key)
    const [state] = store.history.allowed(key)
    if (found === 'damaged' && state !== undefined) continue
    assert.ok(matches(found, state), `${what}: key ${key} is ${describeFound(found)}`)
  }
}

/** Flips each bit of a range of the `.dat` under an open volume, and reads. */
async function flipLive(key: number, start: number, end: number, stride = 1): Promise<void> {
  for (let at = start; at < end; at += stride) {
    for (let bit = 0; bit < 8; bit++) {
      live.disk.flip(path('.dat'), at, 1 << bit)
      await check(live, [key], `bit ${bit} of byte ${at - lastRecord(key).offset}`)
      live.disk.flip(path('.dat'), at, 1 << bit)
    }
  }
}

/** Flips bits of a file while the volume is closed, opens it, and reads everything. */
async function flipClosed(
  file: string,
  start: number,
  end: number,
  options: { stride: number; mayRefuse?: boolean },
): Promise<void> {
  for (let at = start, n = 0; at < end; at += options.stride, n++) {
    const bit = (at * 5 + n) % 8
    for (const mask of options.stride === 1 ? [1, 2, 4, 8, 16, 32, 64, 128] : [1 << bit]) {
      const disk = base.copy()
      disk.flip(path(file), at, mask)
      const store = await SimStore.open(disk, { history: live.history })
      const what = `mask ${mask} of byte ${at} of ${file}`
      const view = store.engine.views[0]!
      if (view.list().length === 0) {
        assert.ok(options.mayRefuse, `${what}: the volume does not open`)
        assert.throws(() => view.get(VOLUME), { code: 'io_error' }, what)
      } else await check(store, live.history.keys, what)
      await store.stop()
    }
  }
}

for (const [name, key] of Object.entries({ PLAIN, FULL, EMPTY_FILE, DELETED, OVERWRITTEN, DELETED_EMPTY })) {
  test(`every bit of a record under an open volume: ${name}`, () => {
    const { offset, lengthBytes } = lastRecord(key)
    return flipLive(key, offset, offset + lengthBytes)
  })
  test(`every byte of a record before a start: ${name}`, () => {
    const { offset, lengthBytes } = lastRecord(key)
    return flipClosed('.dat', offset, offset + lengthBytes, { stride: LONG ? 1 : 3 })
  })
}

test('the bits of a record of two blocks: all of its frame, some of its data', async () => {
  const { offset, lengthBytes } = lastRecord(BLOCKS)
  await flipLive(BLOCKS, offset, offset + 40)
  await flipLive(BLOCKS, offset + 40, offset + lengthBytes - 100, LONG ? 7 : 1501)
  await flipLive(BLOCKS, offset + 20 + 64 * KIB - 2, offset + 20 + 64 * KIB + 2)
  await flipLive(BLOCKS, offset + lengthBytes - 100, offset + lengthBytes)
})

test('the bits of a record above 1 MiB: all of its frame, some of its data', async () => {
  const { offset, lengthBytes } = lastRecord(LARGE)
  await flipLive(LARGE, offset, offset + 24)
  await flipLive(LARGE, offset + 24, offset + lengthBytes - 190, LONG ? 997 : 150_001)
  await flipLive(LARGE, offset + lengthBytes - 190, offset + lengthBytes, LONG ? 1 : 3)
})

test('a range of a large record is served only when its blocks are right', async () => {
  const { offset } = lastRecord(LARGE)
  const at = offset + 20 + 3 * 64 * KIB + 100
  live.disk.flip(path('.dat'), at, 4)
  const fid = { volumeId: VOLUME, keyHigh: 0, keyLow: LARGE, cookie: lastRecord(LARGE).cookie }
  const data = live.history.allowed(LARGE)[0]!.data
  const ranges = [
    [0, 3 * 64 * KIB],
    [3 * 64 * KIB + 100, 3 * 64 * KIB + 101],
    [4 * 64 * KIB, data.length],
    [0, data.length],
  ]
  for (const [start, end] of ranges as [number, number][]) {
    const needle = (await live.volume().read(fid))!
    const pieces: Buffer[] = []
    const hit = start <= 3 * 64 * KIB + 100 && end > 3 * 64 * KIB
    const read = async () => {
      for await (const piece of needle.large!.read(start, end)) pieces.push(piece)
    }
    if (hit) await assert.rejects(read, { code: 'corrupt' })
    else await read()
    needle.large!.close()
    const got = Buffer.concat(pieces)
    assert.ok(got.equals(data.subarray(start, start + got.length)), 'no wrong byte left')
    if (!hit) assert.equal(got.length, end - start)
  }
  live.disk.flip(path('.dat'), at, 4)
})

test('every bit of the index', () =>
  flipClosed('.idx', 0, base.contents(path('.idx')).length, { stride: LONG ? 1 : 2 }))
test('every bit of the sidecar', () =>
  flipClosed('.sums', 0, base.contents(path('.sums')).length, { stride: LONG ? 1 : 2 }))
test('every bit of the .cairn file', () =>
  flipClosed('.cairn', 0, base.contents(path('.cairn')).length, { stride: LONG ? 1 : 3 }))
test('every bit of the super block', () => flipClosed('.dat', 0, 8, { stride: 1, mayRefuse: true }))

test('a flipped compaction revision costs no record', async () => {
  for (const at of [4, 5]) {
    for (let bit = 0; bit < 8; bit++) {
      const disk = base.copy()
      disk.flip(path('.dat'), at, 1 << bit)
      const store = await SimStore.open(disk, { history: live.history })
      await store.checkReads(`bit ${bit} of byte ${at}`)
      await store.stop()
      assert.ok(
        disk.contents(path('.dat')).equals(base.contents(path('.dat'))),
        'the super block is as it was',
      )
    }
  }
})

test('files beside the .dat are lost: all is rebuilt from it', async () => {
  const sets = [
    ['.idx'],
    ['.sums'],
    ['.cairn'],
    ['.idx', '.sums'],
    ['.sums', '.cairn'],
    ['.idx', '.cairn'],
    ['.idx', '.sums', '.cairn'],
  ]
  for (const lost of sets) {
    const disk = base.copy()
    for (const extension of lost) disk.dropFile(path(extension))
    const store = await SimStore.open(disk, { history: live.history })
    await store.checkReads(`without ${lost.join(' ')}`)
    for (const key of store.history.keys) assert.notEqual(await readKey(store.volume(), key), 'damaged')
    await store.stop()
  }
})

test('flips in several blocks of the index at once', async () => {
  const disk = new Disk(2)
  disk.putDirectory(DIRECTORY)
  const store = await SimStore.open(disk)
  await store.create()
  for (let key = 1; key <= 1200; key++) {
    const needle = needleOf(key, 1, key % 40)
    await store.volume().write(needle)
    store.history.acknowledge(store.history.begin(key, needle))
    if (key % 400 === 0) await store.checkpoint()
  }
  for (let key = 5; key <= 1200; key += 7) await store.remove(key)
  await store.stop()
  for (const blocks of [[0], [1], [2, 3], [0, 4], [0, 1, 2, 3, 4]]) {
    const damaged = disk.copy()
    const idx = damaged.contents(path('.idx'))
    for (const block of blocks)
      damaged.flip(path('.idx'), Math.min(block * 4096 + 1000 + block, idx.length - 1), 16)
    const again = await SimStore.open(damaged, { history: store.history })
    await again.checkReads(`blocks ${blocks.join()}`)
    await again.stop()
    assert.ok(damaged.contents(path('.idx')).equals(idx), `blocks ${blocks.join()}: the index is as it was`)
  }
})
