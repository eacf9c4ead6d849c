/** Disks that fail once, are wholly full, or have sectors that cannot be read: what was promised before still holds. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimDisk } from '../sim/sim-disk.ts'
import { fidOf, KIB, MIB, needleOf } from '../support/needles.ts'
import type { EngineOptions } from '../support/sim-engine.ts'
import { DIRECTORY, describeFound, readKey, SimStore, VOLUME } from '../support/sim-store.ts'

const PATH = `${DIRECTORY}/${VOLUME}`
const ONE_MINUTE = 0x0101
const TWO_MINUTES_MS = 120_000

async function newStore(options: Partial<EngineOptions> = {}): Promise<{ disk: SimDisk; store: SimStore }> {
  const disk = new SimDisk(1)
  disk.putDirectory(DIRECTORY)
  const store = await SimStore.open(disk, options)
  await store.create()
  return { disk, store }
}

for (const lengthBytes of [500, 2 * MIB]) {
  for (const hasExpired of [false, true]) {
    const when = hasExpired ? 'has ended' : 'will end'
    test(`bytes whose time ${when} are written again for good, ${lengthBytes} of them`, async () => {
      const { store } = await newStore()
      const volume = store.volume()
      await volume.write(needleOf(1, 1, lengthBytes, { ttl: ONE_MINUTE }))
      if (hasExpired) store.engine.clock.advance(TWO_MINUTES_MS)
      const needle = needleOf(1, 1, lengthBytes)
      assert.equal((await volume.write(needle)).unchanged, false)
      await volume.durable()
      store.engine.clock.advance(TWO_MINUTES_MS)
      const found = await readKey(volume, 1)
      assert.ok(found !== 'damaged' && found?.data.equals(needle.data), describeFound(found))
      assert.equal((await volume.write(needle)).unchanged, true)
      await store.stop()
    })
  }
}

test('a volume that could not be synced stays closed over a restart, also when that could not be noted at once', async () => {
  const { disk, store } = await newStore()
  await store.write(1, 1, 500)
  disk.failCall(1, 'EIO', { kinds: ['sync'], path: /\.dat$/ })
  assert.equal(await store.write(2, 1, 500), 'io_error')
  disk.failCall(1, 'ENOSPC', { path: /\.cairn/ })
  await store.engine.admin.tend()
  disk.heal()
  await store.engine.admin.tend()
  await store.stop()
  const again = await SimStore.open(disk, { history: store.history })
  assert.equal(await again.write(3, 1, 500), 'read_only')
  await again.stop()
})

test('a volume that could not be closed takes writes, and can be closed later', async () => {
  const { disk, store } = await newStore()
  const { admin } = store.engine
  disk.failCall(1, 'ENOSPC', { path: /\.cairn/, forever: true })
  await assert.rejects(admin.copies.hold(VOLUME), { code: 'ENOSPC' })
  assert.equal(await store.write(1, 1, 500), 'ok')
  await assert.rejects(admin.setReadOnly(VOLUME, true), { code: 'ENOSPC' })
  disk.heal()
  await admin.setReadOnly(VOLUME, false)
  assert.equal(await store.write(1, 2, 500), 'ok')
  await admin.copies.hold(VOLUME)
  await store.stop()
  const again = await SimStore.open(disk, { history: store.history })
  assert.equal(await again.write(2, 1, 500), 'read_only', 'the hold is on disk')
  await again.stop()
})

for (const [what, at] of [
  ['head', 4],
  ['data', 300],
] as const) {
  for (const lengthBytes of [500, 2 * MIB]) {
    test(`a file of ${lengthBytes} bytes whose ${what} cannot be read is replaced, and removed`, async () => {
      const { disk, store } = await newStore()
      const bytes: number[] = []
      for (const key of [1, 2]) {
        bytes.push(disk.contents(`${PATH}.dat`).length + at)
        await store.write(key, 1, lengthBytes)
      }
      for (const byte of bytes)
        disk.failCall(1, 'EIO', { kinds: ['read'], path: /\.dat$/, byte, forever: true })
      await assert.rejects(readAll(store, 1))
      assert.equal(await store.write(1, 2, lengthBytes), 'ok')
      assert.equal(await store.remove(2), 'ok')
      await store.checkReads('after the change')
      await store.stop()
    })
  }
}

async function readAll(store: SimStore, key: number): Promise<void> {
  const needle = await store.volume().read(fidOf(key))
  try {
    for await (const _piece of needle!.large?.read(0, needle!.dataSizeBytes) ?? []);
  } finally {
    needle?.large?.close()
  }
}

for (const ending of ['stop', 'kill'] as const) {
  test(`a disk that others have filled to its last byte: behind a ${ending}, files are there and can be removed`, async () => {
    const ballastBytes = 4 * MIB
    const disk = new SimDisk(1)
    disk.putDirectory(DIRECTORY)
    disk.capacityBytes = 96 * MIB
    const store = await SimStore.open(disk, { ballastBytes })
    await store.create()
    await store.engine.admin.tend()
    for (let key = 1; key <= 20; key++) await store.write(key, 1, 100 * KIB)
    if (ending === 'stop') await store.stop()
    const image = ending === 'stop' ? disk.copy() : disk.kill()
    image.putFile('/other', Buffer.alloc(image.capacityBytes - image.usedBytes))
    const again = await SimStore.open(image, { ballastBytes, history: store.history })
    await again.checkReads('on a full disk')
    assert.equal(await again.write(21, 1, 100 * KIB), 'disk_full')
    assert.equal(await again.remove(1), 'ok')
    await again.stop()
  })
}

test('while a compaction lasts, a disk that fills is noticed', async () => {
  const { disk, store } = await newStore({ garbageThreshold: 0.3 })
  for (let key = 1; key <= 10; key++) await store.write(key, 1, 900 * KIB)
  for (let key = 1; key <= 8; key++) await store.remove(key)
  store.engine.admin.start()
  disk.hold()
  const pass = async () => {
    store.engine.clock.advance(100)
    await new Promise(setImmediate)
    const other = disk.held.findIndex(({ path }) => !path.endsWith('.cpd'))
    if (other >= 0) disk.release(other)
  }
  while (!disk.held.some(({ path }) => path.endsWith('.cpd'))) await pass()
  disk.capacityBytes = disk.usedBytes + 64 * KIB
  while ((await store.engine.admin.status()).volumes[0]?.diskFull !== true) await pass()
  assert.ok(disk.held.some(({ path }) => path.endsWith('.cpd')))
  disk.unhold()
  await store.stop()
})
