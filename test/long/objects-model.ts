/** `npm run long -- objects-model [STEPS] [SEEDS] [FIRST-SEED]`: long random walks of the object store beside its model, on both engines. */
import { postgresObjects, sqliteObjects } from '../objects/objects-kit.ts'
import { ObjectsWalk } from '../objects/walk.ts'
import { withSeed } from '../support/seeds.ts'

const [steps = 100_000, seeds = 20, first = 1] = process.argv.slice(2).map(Number)
for (const engine of [sqliteObjects(), postgresObjects()]) {
  if (engine.skip) console.log(`${engine.name}: left out, ${engine.skip}`)
  if (engine.skip) continue
  await engine.begin()
  for (let seed = first; seed < first + seeds; seed++) {
    await withSeed(seed, async (random) => {
      const kit = await engine.open()
      try {
        await ObjectsWalk.run(kit, random, steps)
      } finally {
        await kit.close()
      }
    })
    console.log(`${engine.name}, seed ${seed}: ${steps} steps as the model`)
  }
  await engine.end()
}
