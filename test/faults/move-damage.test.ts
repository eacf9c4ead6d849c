/** Moves of volumes that are damaged, or that come to a server where something is left of others. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Log, silentLog } from '../../src/base/log.ts'
import { SimDisk } from '../sim/sim-disk.ts'
import {
  copyTo,
  openSource,
  openTarget,
  SHARDS,
  seaweedData,
  seaweedDataAt,
  seaweedFiles,
  stagedPath,
  TARGET,
} from '../support/moved-volume.ts'
import { DIRECTORY, readKey, SimStore, VOLUME } from '../support/sim-store.ts'

const FILES = 400

/** The `.idx` and `.sums` of a volume that was compacted once, as a removal that was cut off may leave them. */
async function compactedLeftovers(): Promise<{ idx: Buffer; sums: Buffer }> {
  const disk = new SimDisk(1)
  disk.putDirectory(DIRECTORY)
  const store = await SimStore.open(disk)
  await store.create()
  for (let key = 1; key <= 50; key++) await store.write(key, 1, 500)
  for (let key = 1; key <= 20; key++) await store.remove(key)
  assert.equal(await store.compact(), 'ok')
  await store.engine.stop()
  const of = (extension: string) => Buffer.from(disk.contents(`${DIRECTORY}/${VOLUME}${extension}`))
  return { idx: of('.idx'), sums: of('.sums') }
}

test('what a removed volume left is not taken for a part of the one that arrives', async () => {
  const { store } = await openSource(seaweedFiles(60, 1))
  const { keeper, disk } = openTarget()
  const held = await copyTo(store.engine.admin.copies, keeper.copies)
  await keeper.copies.verify(VOLUME)
  const left = await compactedLeftovers()
  disk.putFile(`${TARGET}/${VOLUME}.cpx`, left.idx)
  disk.putFile(`${TARGET}/${VOLUME}.cps`, left.sums)
  assert.deepEqual((await keeper.copies.adopt(VOLUME)).files, held.files)
  const [volume] = (await keeper.status()).volumes
  assert.equal(volume!.fileCount - volume!.deleteCount, 60)
})

test('a copy that its opening changes is removed again, and the source keeps the volume', async () => {
  const { store } = await openSource(seaweedFiles(60))
  const { keeper, disk } = openTarget()
  await copyTo(store.engine.admin.copies, keeper.copies)
  await keeper.copies.verify(VOLUME)
  disk.corrupt(stagedPath('dat'), (bytes) => bytes.subarray(0, bytes.length - 5000))
  await assert.rejects(keeper.copies.adopt(VOLUME), { code: 'conflict', message: /not what was copied/ })
  assert.deepEqual((await keeper.status()).volumes, [])
  assert.deepEqual(disk.list(TARGET), [])
  store.engine.admin.copies.release(VOLUME)
  assert.equal(await store.write(999, 1, 10), 'ok')
})

const DEAD_KEY = 41

/** A disk of the source on which one byte cannot be read any more. */
async function sourceWithDeadByte(byte = seaweedDataAt(DEAD_KEY) + 100) {
  const logged: string[] = []
  const log: Log = { ...silentLog, error: (...given: unknown[]) => void logged.push(JSON.stringify(given)) }
  const source = await openSource(seaweedFiles(FILES), log)
  source.disk.failCall(1, 'EIO', { kinds: ['read'], path: /\.dat$/, byte, forever: true })
  return { ...source, copies: source.store.engine.admin.copies, logged }
}

test('a dead sector takes its record along, and no other', async () => {
  const { copies, logged } = await sourceWithDeadByte()
  const { keeper, views } = openTarget()
  const held = await copyTo(copies, keeper.copies)
  assert.deepEqual(await keeper.copies.verify(VOLUME), { records: FILES, recordsDamaged: 1 })
  assert.match(logged.join(), /"offset":21568,"bytes":8,.*the copy has zeros there/)
  await keeper.copies.adopt(VOLUME)
  await copies.handOver(held)
  keeper.copies.release(VOLUME)
  const volume = views.get(VOLUME)!
  for (let key = 1; key <= FILES; key++) {
    const found = await readKey(volume, key)
    if (key === DEAD_KEY) assert.equal(found, 'damaged')
    else assert.ok(found !== undefined && found !== 'damaged' && found.data.equals(seaweedData(key)))
  }
})

test('the source keeps what it can read again', async () => {
  const { copies, disk, store } = await sourceWithDeadByte()
  const { keeper } = openTarget()
  const held = await copyTo(copies, keeper.copies)
  await keeper.copies.verify(VOLUME)
  await keeper.copies.adopt(VOLUME)
  disk.heal()
  for (let again = 0; again < 2; again++)
    await assert.rejects(copies.handOver(held), { code: 'conflict', message: /can be now/ })
  assert.equal((await store.engine.admin.status()).volumes.length, 1)
  await keeper.deleteVolume(VOLUME)
  await copyTo(copies, keeper.copies)
  assert.deepEqual(await keeper.copies.verify(VOLUME), { records: FILES, recordsDamaged: 0 })
  await keeper.copies.adopt(VOLUME)
  await copies.handOver(held)
})

test('a disk that reads nothing, or no super block, gives no copy', async () => {
  const { copies } = await sourceWithDeadByte(4)
  await assert.rejects(copyTo(copies, openTarget().keeper.copies), { code: 'io_error' })
  const other = await sourceWithDeadByte()
  other.disk.failCall(1, 'EIO', { kinds: ['read'], path: /\.dat$/, forever: true })
  other.disk.failCall(1, 'EIO', { kinds: ['read'], path: /\.idx$/, forever: true })
  await assert.rejects(copyTo(other.copies, openTarget().keeper.copies), { code: 'io_error' })
})

test('a plain volume does not come to a directory of shards', async () => {
  const { store } = await openSource(seaweedFiles(60))
  const { keeper, disk } = openTarget({ shards: true })
  // So that the directory of shards has the fewest volumes.
  await keeper.createVolume({ id: 7, collection: '', replicaPlacement: 0, ttl: 0 })
  await copyTo(store.engine.admin.copies, keeper.copies)
  await keeper.copies.verify(VOLUME)
  await keeper.copies.adopt(VOLUME)
  assert.deepEqual(disk.list(SHARDS), [])
  assert.ok(disk.list(TARGET).includes('1.dat'))
  const erasure = { ...store.engine.admin.copies.describe(VOLUME), id: 2 ** 30 }
  keeper.copies.stage(erasure)
  assert.ok(disk.list(SHARDS).includes(`${2 ** 30}.dat.arriving`))
})

test('every record of a moved SeaweedFS volume is verified, behind damaged ones too', async () => {
  const { store, disk } = await openSource(seaweedFiles(FILES))
  // In data, in a header, and in two that stand together.
  for (const key of [41, 100, 101, 399]) disk.flip(`${DIRECTORY}/${VOLUME}.dat`, seaweedDataAt(key) + 100, 1)
  disk.flip(`${DIRECTORY}/${VOLUME}.dat`, seaweedDataAt(200) - 8, 0x40)
  const { keeper } = openTarget()
  await copyTo(store.engine.admin.copies, keeper.copies)
  assert.deepEqual(await keeper.copies.verify(VOLUME), { records: FILES, recordsDamaged: 5 })
})

test('nothing is left of a copy that could not be opened', async () => {
  for (const [kinds, path] of [
    [['rename'], /1\.cairn/],
    [['rename'], /1\.dat/],
    [['syncDirectory'], /target/],
    [['open'], /target\/1\.idx$/],
  ] as const) {
    const { store } = await openSource(seaweedFiles(60))
    const { keeper, disk } = openTarget()
    const { copies } = store.engine.admin
    await copyTo(copies, keeper.copies)
    await keeper.copies.verify(VOLUME)
    disk.failCall(1, 'EIO', { kinds, path })
    await assert.rejects(keeper.copies.adopt(VOLUME), { code: 'io_error' })
    assert.deepEqual([disk.list(TARGET), disk.openHandles], [[], []])
    await copyTo(copies, keeper.copies)
    await keeper.copies.verify(VOLUME)
    await keeper.copies.adopt(VOLUME)
  }
})

test('what cannot be removed of a copy keeps the source closed until it is', async () => {
  const { store } = await openSource(seaweedFiles(60))
  const { keeper, disk } = openTarget()
  await copyTo(store.engine.admin.copies, keeper.copies)
  await keeper.copies.verify(VOLUME)
  disk.failCall(1, 'EIO', { kinds: ['open'], path: /target\/1\.idx$/ })
  disk.failCall(1, 'EROFS', { kinds: ['remove'], path: /target\/1\.dat$/, forever: true })
  await assert.rejects(keeper.copies.adopt(VOLUME), { code: 'io_error', message: /EIO/ })
  // What a master does that gives up: it releases the source only when this works.
  assert.throws(() => keeper.copies.drop(VOLUME), { code: 'io_error', message: /EROFS/ })
  assert.deepEqual(disk.list(TARGET).includes('1.dat'), true)
  disk.heal()
  keeper.copies.drop(VOLUME)
  assert.deepEqual(disk.list(TARGET), [])
  await keeper.createVolume({ id: VOLUME, collection: '', replicaPlacement: 0, ttl: 0 })
  keeper.copies.drop(VOLUME)
  assert.ok(disk.list(TARGET).includes('1.dat'))
})
