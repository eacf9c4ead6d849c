/** What a compaction rarely meets: keys at one place, sectors that cannot be read, files that expire and are deleted meanwhile. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IDX_ENTRY_BYTES } from '../../src/disk/idx-entry.ts'
import { OfflineStore } from '../../src/disk/offline-store.ts'
import { encodeSuperBlock } from '../../src/disk/super-block.ts'
import { appendAsSeaweed, type VolumeFiles } from '../compat/seaweed-writer.ts'
import { SimClock } from '../sim/sim-clock.ts'
import { SimDisk } from '../sim/sim-disk.ts'
import { cookieOf, dataOf, fidOf, MIB, needleOf } from '../support/needles.ts'
import { randomOf } from '../support/seeds.ts'
import { DIRECTORY, describeFound, type Found, readKey, SimStore, VOLUME } from '../support/sim-store.ts'

const PATH = `${DIRECTORY}/${VOLUME}`
const ONE_MINUTE = 0x0101
const TWO_MINUTES_MS = 120_000

async function newStore(): Promise<{ disk: SimDisk; store: SimStore }> {
  const disk = new SimDisk(1)
  disk.putDirectory(DIRECTORY)
  const store = await SimStore.open(disk)
  await store.create()
  return { disk, store }
}

/** Compacts, and calls `run` when the first pass has copied what is there, but has not synced it. */
async function compactBeside({ disk, store }: { disk: SimDisk; store: SimStore }, run: () => Promise<void>) {
  disk.hold()
  const compaction = store.compact()
  while (!disk.held.some(({ kind, path }) => kind === 'sync' && path.endsWith('.cpd'))) {
    store.engine.clock.advance(1)
    await new Promise(setImmediate)
  }
  await run()
  disk.unhold()
  assert.equal(await compaction, 'ok')
}

async function startAgain(disk: SimDisk, store: SimStore, check: (store: SimStore) => Promise<void>) {
  await check(store)
  await store.stop()
  const again = await SimStore.open(disk, { clock: store.engine.clock, history: store.history })
  await check(again)
  await again.stop()
}

const seaweedFile = (key: number, version = 1) => ({
  key: BigInt(key),
  cookie: cookieOf(key),
  data: dataOf(key * 7 + version, 500),
  appendNs: BigInt(1_700_000_000 + key + version) * 10n ** 9n,
})

/** The index of key 2, whose record a crash of SeaweedFS took; 3 came to lie at its place. */
function twoAtOnePlace(versions: number, isFirst: boolean): VolumeFiles {
  const superBlock = encodeSuperBlock({ replicaPlacement: 0, ttl: 0, compactionRevision: 0 })
  let files: VolumeFiles = { dat: superBlock, idx: Buffer.alloc(0) }
  for (let version = 1; version <= versions; version++)
    files = appendAsSeaweed(files, seaweedFile(1, version))
  const lost = appendAsSeaweed(files, seaweedFile(2)).idx.subarray(files.idx.length)
  if (isFirst) files.idx = Buffer.concat([files.idx, lost])
  files = appendAsSeaweed(files, seaweedFile(3))
  if (!isFirst) files.idx = Buffer.concat([files.idx, lost])
  return appendAsSeaweed(files, seaweedFile(4))
}

for (const versions of [2, 40]) {
  for (const isFirst of [true, false]) {
    test(`two keys at one place, one of them damaged: ${versions} versions, ${isFirst}`, async () => {
      const disk = new SimDisk(1)
      disk.putDirectory(DIRECTORY)
      const files = twoAtOnePlace(versions, isFirst)
      disk.putFile(`${PATH}.dat`, files.dat)
      disk.putFile(`${PATH}.idx`, files.idx)
      const store = await SimStore.open(disk)
      const check = async () => {
        for (const key of [1, 3, 4]) {
          const found = (await readKey(store.volume(), key)) as Exclude<Found, 'damaged'>
          const { data } = seaweedFile(key, key === 1 ? versions : 1)
          assert.ok(found?.data?.equals(data), `${key} is ${describeFound(found)}`)
        }
        assert.equal(await readKey(store.volume(), 2), 'damaged')
      }
      await check()
      for (const version of [1, 2]) await store.write(9, version, 100)
      assert.equal(await store.compact(), 'ok')
      await check()
      await store.stop()
    })
  }
}

test('a sector that cannot be read, of what was deleted between two files', async () => {
  const { disk, store } = await newStore()
  await store.write(1, 1, 500)
  const byte = disk.contents(`${PATH}.dat`).length + 3000
  await store.write(2, 1, 6000)
  for (const key of [3, 4, 5]) await store.write(key, 1, 500)
  await store.remove(2)
  disk.failCall(1, 'EIO', { kinds: ['read'], path: /\.dat$/, byte, forever: true })
  assert.equal(await store.compact(), 'ok')
  await startAgain(disk, store, (each) => each.checkReads('after the compaction'))
})

test('a sector that cannot be read, of a file: the old volume stands', async () => {
  const { disk, store } = await newStore()
  await store.write(1, 1, 500)
  const byte = disk.contents(`${PATH}.dat`).length + 300
  await store.write(2, 1, 500)
  await store.write(3, 1, 500)
  await store.remove(1)
  disk.failCall(1, 'EIO', { kinds: ['read'], path: /\.dat$/, byte, forever: true })
  assert.equal(await store.compact(), 'io_error')
  disk.heal()
  await startAgain(disk, store, (each) => each.checkReads('after the failure'))
})

test('a file that is overwritten by one that expires meanwhile does not come back', async () => {
  const { disk, store } = await newStore()
  for (let version = 1; version <= 8; version++) await store.write(1, version, 500)
  await store.write(2, 1, 500)
  await compactBeside({ disk, store }, async () => {
    await store.volume().write(needleOf(1, 9, 300, { ttl: ONE_MINUTE }))
    store.engine.clock.advance(TWO_MINUTES_MS)
  })
  await startAgain(disk, store, async (each) => {
    assert.equal(await readKey(each.volume(), 1), undefined)
    assert.notEqual(await readKey(each.volume(), 2), undefined)
  })
})

for (const change of ['removed', 'overwritten', 'left alone'] as const) {
  test(`a file that has expired and is ${change} meanwhile hides none that .idx lacks`, async () => {
    const { disk, store } = await newStore()
    for (let key = 1; key <= 10; key++) await store.write(key, 1, 500)
    await store.volume().write(needleOf(20, 1, 300, { ttl: ONE_MINUTE }))
    await store.volume().durable()
    await store.remove(10)
    store.engine.clock.advance(TWO_MINUTES_MS)
    const place = 3 * IDX_ENTRY_BYTES
    disk.flip(`${PATH}.idx`, place + 7, 0x40)
    await compactBeside({ disk, store }, async () => {
      if (change === 'removed') store.volume().remove(fidOf(20))
      if (change === 'overwritten') await store.volume().write(needleOf(20, 2, 400))
    })
    await store.checkReads('after the compaction')
    const found = await readKey(store.volume(), 20)
    assert.equal(found !== undefined, change === 'overwritten')
    await store.stop()
  })
}

test('large files are copied in steps between which other work is done', async () => {
  const { disk, store } = await newStore()
  for (let key = 1; key <= 40; key++) await store.write(key, 1, 3 * MIB)
  await store.remove(1)
  await store.stop()
  const offline = new OfflineStore({
    ...{ disk, clock: new SimClock(), random: randomOf(1) },
    ...{ directory: DIRECTORY, indexBytesMax: MIB },
  })
  let copied = 0
  const steps: number[] = []
  await offline.compact({ directory: DIRECTORY, collection: '', volumeId: VOLUME }, async (bytes) => {
    steps.push(bytes - copied)
    copied = bytes
  })
  assert.ok(copied > 39 * 3 * MIB - 4 * MIB)
  assert.ok(Math.max(...steps) <= 24 * MIB, `${steps}`)
})
