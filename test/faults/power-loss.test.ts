/** Power loss at every point of a workload of writes, overwrites, deletes, checkpoints, compactions and the volume's creation. */
import { test } from 'node:test'
import { checkPowerLoss } from '../support/power-loss.ts'
import { seedsToRun, withSeed } from '../support/seeds.ts'

for (const seed of seedsToRun(2)) {
  test(`power loss, seed ${seed}`, () =>
    withSeed(seed, async (random) => void (await checkPowerLoss(random, { steps: 30, every: 2 }))))
}
