/** Adoptions that the disk does not let through at once: what is not verified never takes writes, over restarts too. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readAdoption, writeAdoption } from '../../src/disk/volume-adoption.ts'
import { FLAG } from '../../src/disk/volume-table.ts'
import { SimDisk } from '../sim/sim-disk.ts'
import { seaweedDataAt, seaweedFiles } from '../support/moved-volume.ts'
import { DIRECTORY, SimStore, VOLUME } from '../support/sim-store.ts'

const PATH = `${DIRECTORY}/${VOLUME}`
const PLACE = { directory: DIRECTORY, collection: '', volumeId: VOLUME }
const FILES = 400
const DAMAGED = 41

/** A volume of SeaweedFS in the folder, with a damaged record where that is wanted. */
function arrived(isDamaged: boolean): SimDisk {
  const disk = new SimDisk(1)
  disk.putDirectory(`${DIRECTORY}/adopt`)
  const files = seaweedFiles(FILES)
  disk.putFile(`${DIRECTORY}/adopt/${VOLUME}.idx`, files.idx)
  disk.putFile(`${DIRECTORY}/adopt/${VOLUME}.dat`, files.dat)
  if (isDamaged) disk.flip(`${DIRECTORY}/adopt/${VOLUME}.dat`, seaweedDataAt(DAMAGED) + 100, 1)
  return disk
}

const isReadOnly = (store: SimStore) => store.volume().slot.hasFlag(FLAG.readOnly)
const look = (store: SimStore) => store.engine.admin.adoption.look()

/** A look after so long that what failed is tried again. */
function lookLater(store: SimStore): Promise<void> {
  store.engine.clock.advance(60_000)
  return look(store)
}

/** As a server starts: what is open is closed for writes before anybody asks. */
async function restart(disk: SimDisk): Promise<SimStore> {
  const store = await SimStore.open(disk)
  store.engine.admin.adoption.start()
  assert.equal(isReadOnly(store), true)
  assert.equal(await store.write(9999, 1, 100), 'read_only')
  await look(store)
  await store.engine.admin.adoption.stop()
  return store
}

for (const [what, code, path] of [
  ['a read of .idx fails', 'EIO', /data\/1\.idx$/],
  ['the disk is full', 'ENOSPC', /data\/1\.sums/],
] as const) {
  for (const isDamaged of [true, false]) {
    test(`${what} once when a ${isDamaged ? 'damaged' : 'good'} volume is opened`, async () => {
      const disk = arrived(isDamaged)
      const store = await SimStore.open(disk)
      disk.failCall(1, code, { kinds: ['read', 'open'], path })
      await look(store)
      assert.deepEqual((await store.engine.admin.status()).volumes, [])
      assert.equal(readAdoption(disk, PLACE)?.state, 'verifying')
      await lookLater(store)
      assert.equal(isReadOnly(store), isDamaged)
      assert.equal(readAdoption(disk, PLACE)?.state, isDamaged ? 'damaged' : undefined)
      assert.equal(await store.write(9999, 1, 100), isDamaged ? 'read_only' : 'ok')
    })
  }
}

test('a volume that cannot be opened is said to have failed, and is verified once it can be', async () => {
  const disk = arrived(false)
  const store = await SimStore.open(disk)
  disk.failCall(1, 'EIO', { kinds: ['open'], path: /data\/1\.idx$/, forever: true })
  await look(store)
  await lookLater(store)
  assert.equal(readAdoption(disk, PLACE)?.state, 'failed')
  const calls = disk.log.filter(({ failed }) => failed !== undefined).length
  await look(store)
  assert.equal(disk.log.filter(({ failed }) => failed !== undefined).length, calls, 'it waits')
  disk.heal()
  await lookLater(store)
  assert.equal(readAdoption(disk, PLACE), undefined)
  assert.equal(await store.write(9999, 1, 100), 'ok')
})

test('a failed adoption is verified after a restart, before the volume takes writes', async () => {
  for (const isDamaged of [true, false]) {
    const disk = arrived(isDamaged)
    const first = await SimStore.open(disk)
    disk.failCall(1, 'EIO', { kinds: ['open'], path: /data\/1\.idx$/, forever: true })
    await look(first)
    await lookLater(first)
    assert.equal(readAdoption(disk, PLACE)?.state, 'failed')
    const store = await restart(disk.copy())
    assert.equal(isReadOnly(store), isDamaged)
    assert.equal(await store.write(9999, 1, 100), isDamaged ? 'read_only' : 'ok')
  }
})

/** A volume that an administrator closed for writes, as it lies in the folder. */
async function readOnlyArrived(): Promise<SimDisk> {
  const source = new SimDisk(1)
  source.putDirectory(DIRECTORY)
  const store = await SimStore.open(source)
  await store.create()
  await store.write(1, 1, 500)
  await store.engine.admin.setReadOnly(VOLUME, true)
  await store.engine.stop()
  const disk = new SimDisk(2)
  disk.putDirectory(`${DIRECTORY}/adopt`)
  for (const extension of ['.idx', '.sums', '.cairn', '.dat'])
    disk.putFile(`${DIRECTORY}/adopt/${VOLUME}${extension}`, Buffer.from(source.contents(PATH + extension)))
  return disk
}

test('a volume that was read only stays so, also when its verification is cut off', async () => {
  const disk = await readOnlyArrived()
  const store = await SimStore.open(disk)
  const looking = look(store)
  const cut = disk.kill()
  await looking
  assert.equal(readAdoption(disk, PLACE), undefined)
  assert.equal(isReadOnly(store), true)
  const again = await restart(cut)
  assert.equal(readAdoption(cut, PLACE), undefined)
  assert.equal(isReadOnly(again), true)
  await again.engine.admin.setReadOnly(VOLUME, false)
  assert.equal(await again.write(9999, 1, 100), 'ok')
})

test('a marker goes with its volume', async () => {
  const disk = new SimDisk(1)
  disk.putDirectory(DIRECTORY)
  const store = await SimStore.open(disk)
  await store.create()
  writeAdoption(disk, PLACE, { state: 'failed', damaged: 0, reason: 'x' })
  await store.engine.admin.deleteVolume(VOLUME)
  assert.deepEqual(disk.list(DIRECTORY), [])
})
