/**
 * A random walk of the real volume beside a plain map: writes, overwrites, deletes, reads, checkpoints, compactions, restarts,
 * kills and power losses. Replay a failure with CAIRN_SEED, or run more by `npm run long -- model`.
 */
import { test } from 'node:test'
import { randomWalk } from '../support/random-walk.ts'
import { seedsToRun, withSeed } from '../support/seeds.ts'

for (const seed of seedsToRun(3)) {
  test(`the volume does as the model, seed ${seed}`, () =>
    withSeed(seed, (random) => randomWalk(random, 150)))
}
