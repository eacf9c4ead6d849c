/**
 * The last record is cut off, overwritten with zeros or with garbage at every byte of it: the volume opens, all other
 * records are there, the torn one is wholly there or absent, and the volume is writable, unless what was synced is cut off. Every byte of the large one in
 * `npm run long -- torn-tail`.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KIB, MIB } from '../support/needles.ts'
import { readKey, SimStore } from '../support/sim-store.ts'
import { checkTear, DAT, offsetsOf, prepareTorn, prepareTornMany, TEARS } from '../support/torn-tail.ts'

const SIZES: [name: string, lengthBytes: number, stride: number][] = [
  ['1 byte', 1, 1],
  ['4 KiB', 4 * KIB, 1],
  ['1.1 MiB', Math.floor(1.1 * MIB), 9973],
]

for (const [name, lengthBytes, stride] of SIZES) {
  for (const [how, tear] of Object.entries(TEARS)) {
    for (const stopped of [false, true]) {
      // The plain cut is tried at every byte; what the file system may leave there instead, at some.
      const step = how === 'cut off' && !stopped ? stride : stride * 29 + 6
      test(`last record of ${name}, ${how}, ${stopped ? 'after a stop' : 'after a kill'}`, async () => {
        const base = await prepareTorn(lengthBytes, stopped)
        for (const at of offsetsOf(base, lengthBytes === 1 ? 1 : step)) {
          await checkTear(base, tear, at, `${name}, ${how} at ${at - base.start} of ${base.end - base.start}`)
        }
      })
    }
  }
}

test('of several records by one write, those before the tear are there, and none behind it', async () => {
  const base = await prepareTornMany()
  for (let at = base.start; at <= base.end; at += 3) {
    const disk = base.disk.kill()
    disk.corrupt(DAT, (bytes) => bytes.subarray(0, at))
    const whole = base.ends.filter((end) => end <= at).length
    const store = await SimStore.open(disk)
    const lengthOf = async (key: number) => {
      const found = await readKey(store.volume(), key)
      return found === 'damaged' ? found : found?.data.length
    }
    const expected = [
      [undefined, 333, undefined],
      [300, 333, undefined],
      [300, 70, undefined],
      [500, 70, undefined],
      [500, 70, 1],
    ][whole]
    assert.deepEqual([await lengthOf(20), await lengthOf(2), await lengthOf(21)], expected, `torn at ${at}`)
    assert.equal(disk.contents(DAT).length, whole === 0 ? base.start : base.ends[whole - 1])
    assert.equal(await store.write(30, 1, 40), 'ok')
    await store.stop()
  }
})
