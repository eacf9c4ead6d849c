/** Two of six servers are killed under load, three times: no read fails, nothing is lost, all six have all again. */
import { test } from 'node:test'
import { noPostgres } from '../support/postgres.ts'
import { noRabbit } from '../support/rabbitmq.ts'
import { seedsToRun, withSeed } from '../support/seeds.ts'
import { ALL_PAIRS, killPairs } from './pairs.ts'

const [seed] = seedsToRun(0) as [number]

test(`three pairs of six servers, seed ${seed}`, { skip: noPostgres || noRabbit }, (t) =>
  withSeed(seed, (random) => {
    const pairs = [0, 5, 10].map((from) => ALL_PAIRS[from + random.below(5)]!)
    return killPairs(random, pairs, (line) => t.diagnostic(line))
  }),
)
