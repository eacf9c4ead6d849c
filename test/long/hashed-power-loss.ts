/** `npm run long -- hashed-power-loss [RUNS] [FIRST-SEED]`: values of a memcached node, and a power loss at every third call to the disk. */
import { walkWithLosses } from '../memcached/power-loss-walk.ts'
import { withSeed } from '../support/seeds.ts'

const [runs = 100, first = 1] = process.argv.slice(2).map(Number)
let looks = 0
for (let seed = first; seed < first + runs; seed++) {
  await withSeed(seed, async (random) => {
    looks += await walkWithLosses(random, { rounds: 150, callsBetween: 3 })
  })
  console.log(`seed ${seed}: ${looks} losses so far, nothing lost`)
}
