/** As pairs.test.ts, of servers that keep shards as files: one pair, of which one server comes back without them. */
import { test } from 'node:test'
import { noPostgres } from '../support/postgres.ts'
import { noRabbit } from '../support/rabbitmq.ts'
import { seedsToRun, withSeed } from '../support/seeds.ts'
import { ALL_PAIRS, killPairs } from './pairs.ts'

const [seed] = seedsToRun(0) as [number]

test(`a pair of six servers with --layout files, seed ${seed}`, { skip: noPostgres || noRabbit }, (t) =>
  withSeed(seed, (random) => {
    const pair = ALL_PAIRS[random.below(ALL_PAIRS.length)]!
    return killPairs(random, [pair], (line) => t.diagnostic(line), { files: true })
  }),
)
