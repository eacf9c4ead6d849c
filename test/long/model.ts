/** `npm run long -- model [RUNS] [FIRST-SEED]`: long random walks of the volume beside its model. */
import { randomWalk } from '../support/random-walk.ts'
import { withSeed } from '../support/seeds.ts'

const [runs = 200, first = 1] = process.argv.slice(2).map(Number)
const STEPS = 1500
for (let seed = first; seed < first + runs; seed++) {
  await withSeed(seed, (random) => randomWalk(random, STEPS))
  console.log(`seed ${seed}: ${STEPS} steps as the model`)
}
