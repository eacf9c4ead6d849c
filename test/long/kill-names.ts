/** `npm run long -- kill-names [ROUNDS] [SEED]`: `kill -9` of the real server under a mixed load through the filer and S3. */
import { systemRandom } from '../../src/base/random.ts'
import { killNames } from '../names-faults/kill-names.ts'
import { randomOf } from '../support/seeds.ts'

const [rounds = 200, seed = systemRandom.u32()] = process.argv.slice(2).map(Number)
console.log(`moments from seed ${seed}`)
await killNames(randomOf(seed), {
  rounds,
  afterMsMin: 0,
  afterMsMax: 2000,
  report: (line) => console.log(line),
})
