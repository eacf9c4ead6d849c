/** The repair of erasure groups against a model: what was deleted stays so, and what can be healed is. */
import { test } from 'node:test'
import { seedsToRun, withSeed } from '../support/seeds.ts'
import { RepairModel } from './repair-model.ts'

for (const name of ['rs-4-2', 'rs-2-1'] as const) {
  for (const seed of seedsToRun(9)) {
    test(`repair of ${name}, seed ${seed}`, () =>
      withSeed(seed, (random) => new RepairModel(random, name).run(400)))
  }
}
