/** A process that writes metadata until it is killed, and says on its standard output what was acknowledged. */
import { writeSync } from 'node:fs'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { openMetaStore } from '../../src/meta/open-meta-store.ts'
import { addOnce, ITEMS } from './meta-scripts.ts'

const LANES = 16
const [directory, prefix] = process.argv.slice(2)
const store = await openMetaStore(directory!, {
  clock: systemClock,
  random: systemRandom,
  migrations: [ITEMS],
})
let next = 0
const lane = async () => {
  for (;;) {
    const key = `${prefix}-${next++}`
    await store.write(addOnce, { key: Buffer.from(key), counter: Buffer.from('counter') })
    writeSync(1, `${key}\n`)
  }
}
await Promise.all(Array.from({ length: LANES }, lane))
