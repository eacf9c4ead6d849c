/** `npm run long -- power-loss [RUNS] [FIRST-SEED]`: long random workloads, and a power loss before every call of each. */
import { checkPowerLoss } from '../support/power-loss.ts'
import { withSeed } from '../support/seeds.ts'

const [runs = 100, first = 1] = process.argv.slice(2).map(Number)
let states = 0
for (let seed = first; seed < first + runs; seed++) {
  await withSeed(seed, async (random) => {
    states += await checkPowerLoss(random, { steps: 20 + random.below(80), every: 1 })
  })
  console.log(`seed ${seed}: ${states} states so far, nothing lost`)
}
