/**
 * `npm run long -- s3-auth-fuzz [SECONDS] [SEED]`: random input for all that S3 reads of strangers, for so long
 * (default 600), by turns. It ends with an error at the first crash, or input that takes over 100 ms.
 */

import { FUZZERS } from '../s3-auth/fuzz.ts'
import { randomOf } from '../support/seeds.ts'

const SLOW_MS = 100
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
      const beganMs = performance.now()
      try {
        fuzz(random)
      } catch (error) {
        console.error(`${name}: failed with seed ${seed}, input ${i}`)
        throw error
      }
      const tookMs = performance.now() - beganMs
      // The machine may pause; what is slow again is slow.
      if (tookMs > SLOW_MS) console.log(`${name}: ${tookMs.toFixed(0)} ms with seed ${seed}, input ${i}`)
    }
    counts.set(name, (counts.get(name) ?? 0) + BATCH)
  }
}
for (const [name, count] of counts) console.log(`${name.padEnd(10)} ${count} inputs`)
