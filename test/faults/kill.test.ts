/** `kill -9` of the real server at random moments under 16 writers. A thousand rounds: `npm run long -- kill`. */
import { test } from 'node:test'
import { killRounds } from '../support/kill-rounds.ts'
import { randomOf, seedsToRun } from '../support/seeds.ts'

const TESTS = 3
const ROUNDS = 10

for (let part = 0; part < TESTS; part++) {
  const seed = seedsToRun(0)[0]!
  test(`killed ${ROUNDS} times, moments from seed ${seed}`, { timeout: 280_000 }, () =>
    killRounds(randomOf(seed), { rounds: ROUNDS, afterMsMin: 200, afterMsMax: 900 }),
  )
}
