/** Damage in the `.idx` of a volume that SeaweedFS wrote, with deletions that only `.idx` can explain. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimDisk } from '../sim/sim-disk.ts'
import { asFound, deleteAt, seaweedVolume, surveyOf } from '../support/seaweed-volume.ts'
import { DIRECTORY, SimStore, VOLUME } from '../support/sim-store.ts'

const path = (extension: string) => `${DIRECTORY}/${VOLUME}${extension}`

for (const [where, entry] of [
  ['of a deletion', 301],
  ['of a file', 800],
] as const) {
  test(`one flipped bit in an entry ${where}`, async () => {
    const disk = seaweedVolume(new SimDisk(1), deleteAt(900, 300, [5, 6]))
    const first = await SimStore.open(disk)
    const before = await surveyOf(first, 900)
    assert.deepEqual(asFound(before, 'absent'), [5, 6])
    await first.stop()
    for (const at of [3, 7, 10, 14]) {
      const damaged = disk.copy()
      damaged.flip(path('.idx'), entry * 16 + at, 1)
      const again = await SimStore.open(damaged)
      assert.deepEqual(await surveyOf(again, 900), before, `byte ${at}`)
      assert.equal(await again.write(1000, 1, 100), 'ok')
      await again.stop()
    }
  })
}
