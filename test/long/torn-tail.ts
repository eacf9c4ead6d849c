/** `npm run long -- torn-tail [FROM] [TO]`: the last record torn at every byte, also the one of 1.1 MiB, in every way. */
import { KIB, MIB } from '../support/needles.ts'
import { checkTear, offsetsOf, prepareTorn, TEARS } from '../support/torn-tail.ts'

const PROGRESS_EVERY = 10_000
const [from = 0, to = Number.POSITIVE_INFINITY] = process.argv.slice(2).map(Number)
for (const lengthBytes of [1, 4 * KIB, Math.floor(1.1 * MIB)]) {
  for (const [how, tear] of Object.entries(TEARS)) {
    for (const stopped of [false, true]) {
      const base = await prepareTorn(lengthBytes, stopped)
      // Zeros and garbage are searched through byte by byte: at every 16th place they take long enough.
      const stride = how === 'cut off' || lengthBytes < MIB ? 1 : 16
      for (const at of offsetsOf(base, stride)) {
        const place = at - base.start
        if (place < from || place > to) continue
        await checkTear(base, tear, at, `${lengthBytes} bytes, ${how} at ${place}`)
        if (place % PROGRESS_EVERY === 0)
          console.log(`${lengthBytes} bytes, ${how}, stopped ${stopped}: ${place}`)
      }
    }
  }
}
console.log('every tear is healed')
