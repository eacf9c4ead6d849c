/**
 * `npm run long -- hashstore-fuzz [SECONDS] [SEED]`: random input for all that the hash store reads of strangers, for so long
 * (default 600), by turns. It ends with an error at the first crash.
 */
import { FUZZERS } from '../hashstore/fuzz.ts'
import { randomOf } from '../support/seeds.ts'

const BATCH = 200
const [seconds = 600, firstSeed = Math.floor(performance.timeOrigin) >>> 0] = process.argv
  .slice(2)
  .map(Number)
const until = performance.now() + seconds * 1_000
const counts = new Map<string, number>()

for (let seed = firstSeed; performance.now() < until; seed++) {
  for (const [name, fuzz] of Object.entries(FUZZERS)) {
    const random = randomOf(seed)
    for (let i = 0; i < BATCH; i++) {
      try {
        fuzz(random)
      } catch (error) {
        console.error(`${name}: failed with seed ${seed}, input ${i}`)
        throw error
      }
    }
    counts.set(name, (counts.get(name) ?? 0) + BATCH)
  }
}
for (const [name, count] of counts) console.log(`${name.padEnd(10)} ${count} inputs`)
