/** A scrub that follows records to files of their own gives others of its thread their turn. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimDisk } from '../../test/sim/sim-disk.ts'
import { MIB } from '../../test/support/needles.ts'
import { DIRECTORY, SimStore } from '../../test/support/sim-store.ts'
import { VolumeScrub } from './scrub-volume.ts'

test('between files that follow each other in one window', async () => {
  const disk = new SimDisk(1)
  disk.putDirectory(DIRECTORY)
  const store = await SimStore.open(disk)
  await store.create()
  for (let key = 1; key <= 20; key++) await store.write(key, 1, 100)
  const { context, slot } = store.volume()
  const followed: boolean[] = []
  let hadTurn = true
  const scrub = new VolumeScrub(context, slot, {
    onDamage: () => assert.fail('nothing is damaged'),
    onProgress: () => undefined,
    pace: async () => true,
    follow() {
      followed.push(hadTurn)
      hadTurn = false
      context.clock.soon(() => {
        hadTurn = true
      })
      return MIB
    },
  })
  assert.equal(await scrub.run(undefined), 'done')
  assert.deepEqual(followed, Array(20).fill(true))
  await store.stop()
})
