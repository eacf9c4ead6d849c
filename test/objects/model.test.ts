/** The object store does what its model does, on both engines of metadata. */
import { after, before, describe, test } from 'node:test'
import { seedsToRun, withSeed } from '../support/seeds.ts'
import { postgresObjects, sqliteObjects } from './objects-kit.ts'
import { ObjectsWalk } from './walk.ts'

const RUNS = [
  { engine: sqliteObjects(), steps: 1700, fixed: 2 },
  { engine: postgresObjects(), steps: 500, fixed: 1 },
]

for (const { engine, steps, fixed } of RUNS) {
  describe(`as the model, on ${engine.name}`, { skip: engine.skip }, () => {
    before(() => engine.begin())
    after(() => engine.end())
    for (const seed of seedsToRun(fixed)) {
      test(`seed ${seed}`, async () => {
        await withSeed(seed, async (random) => {
          const kit = await engine.open()
          try {
            await ObjectsWalk.run(kit, random, steps)
          } finally {
            await kit.close()
          }
        })
      })
    }
  })
}
