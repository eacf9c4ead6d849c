/** `npm run long -- kill [ROUNDS] [SEED]`: `kill -9` of the real server under 16 writers, on files that live on between the rounds. */
import { systemRandom } from '../../src/base/random.ts'
import { killRounds } from '../support/kill-rounds.ts'
import { randomOf } from '../support/seeds.ts'

const [rounds = 1000, seed = systemRandom.u32()] = process.argv.slice(2).map(Number)
console.log(`moments from seed ${seed}`)
await killRounds(randomOf(seed), {
  rounds,
  afterMsMin: 0,
  afterMsMax: 2000,
  firstWriteMsMax: 1000,
  report: (line) => console.log(line),
})
