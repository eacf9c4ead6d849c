/** A crash in a compaction behind its deciding step, and the new sidecar is damaged, or lost with the new index. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimDisk } from '../sim/sim-disk.ts'
import { DIRECTORY, readKey, SimStore, VOLUME, verifyDisk } from '../support/sim-store.ts'

const path = (extension: string) => `${DIRECTORY}/${VOLUME}${extension}`

async function prepare() {
  const disk = new SimDisk(1)
  disk.putDirectory(DIRECTORY)
  const store = await SimStore.open(disk)
  await store.create()
  for (let key = 1; key <= 60; key++) await store.write(key, 1, 500 + key)
  for (let key = 1; key <= 30; key += 2) await store.remove(key)
  await store.checkpoint()
  const before = disk.copy()
  assert.equal(await store.compact(), 'ok')
  await store.stop()
  return { before, after: disk, history: store.history }
}

/** The new `.dat` in its place, and all else as it was. */
function decided(before: SimDisk, after: SimDisk): SimDisk {
  const disk = before.copy()
  disk.putFile(path('.dat'), Buffer.from(after.contents(path('.dat'))))
  return disk
}

function damagedSums(after: SimDisk): Buffer {
  const sums = Buffer.from(after.contents(path('.sums')))
  sums[9]! ^= 1
  return sums
}

test('what a compaction left is its own though its sidecar is damaged or lost', async () => {
  const { before, after, history } = await prepare()
  const idx = Buffer.from(after.contents(path('.idx')))
  const lost = decided(before, after)
  const damaged = decided(before, after)
  damaged.putFile(path('.cpx'), idx)
  damaged.putFile(path('.cps'), damagedSums(after))
  const renamed = decided(before, after)
  renamed.putFile(path('.idx'), idx)
  renamed.putFile(path('.cps'), damagedSums(after))
  for (const [what, disk] of Object.entries({ lost, damaged, renamed })) {
    await verifyDisk(disk.copy(), history, what)
    const last = Buffer.from(disk.contents(path('.dat'))).length
    disk.flip(path('.dat'), last - 300, 1)
    const store = await SimStore.open(disk, { history })
    // Without the new index, a damaged record at the end is one that was cut off.
    if (what !== 'lost') assert.equal(await readKey(store.volume(), 60), 'damaged', what)
    for (let key = 1; key < 60; key++) {
      const found = await readKey(store.volume(), key)
      assert.ok(found !== 'damaged', `${what}: key ${key}`)
      assert.equal(found === undefined, history.allowed(key)[0] === undefined, `${what}: key ${key}`)
    }
    await store.stop()
    for (const extension of ['.cpx', '.cps']) assert.equal(disk.stat(path(extension)), undefined)
  }
})
