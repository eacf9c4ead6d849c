/** Moves of volumes that are damaged, or that come to a server where something is left of others. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimDisk } from '../sim/sim-disk.ts'
import { copyTo, openSource, openTarget, seaweedFiles, stagedPath, TARGET } from '../support/moved-volume.ts'
import { DIRECTORY, SimStore, VOLUME } from '../support/sim-store.ts'

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
