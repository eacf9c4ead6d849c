/**
 * The last record is cut off, overwritten with zeros or with garbage at every byte of it: the volume opens, all other
 * records are there, the torn one is wholly there or absent, and the volume is writable. Every byte of the large one in
 * `npm run long -- torn-tail`.
 */
import { test } from 'node:test'
import { KIB, MIB } from '../support/needles.ts'
import { checkTear, offsetsOf, prepareTorn, TEARS } from '../support/torn-tail.ts'

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
