/**
 * `npm run long -- objects-model [STEPS [SEEDS [FIRST-SEED [ENGINE]]]]`: long random walks of the object store beside its model:
 * 100,000 steps with each of 20 seeds, on both engines, or on `sqlite` or `postgres` alone. What was interrupted goes on with the
 * first seed that is missing.
 */
import { postgresObjects, sqliteObjects } from '../objects/objects-kit.ts'
import { ObjectsWalk } from '../objects/walk.ts'
import { withSeed } from '../support/seeds.ts'

const STEPS_PER_LINE = 10_000
const [steps = 100_000, seeds = 20, first = 1] = process.argv.slice(2, 5).map(Number)
const only = process.argv[5]
for (const engine of [sqliteObjects(), postgresObjects()]) {
  if (only !== undefined && only !== engine.name.toLowerCase().replace('postgresql', 'postgres')) continue
  if (engine.skip) console.log(`${engine.name}: left out, ${engine.skip}`)
  if (engine.skip) continue
  await engine.begin()
  for (let seed = first; seed < first + seeds; seed++) {
    const what = `${engine.name}, seed ${seed}`
    const onProgress = (done: number) => {
      if (done % STEPS_PER_LINE === 0 && done < steps) console.log(`${what}: ${done} steps so far`)
    }
    await withSeed(seed, async (random) => {
      const kit = await engine.open()
      try {
        await ObjectsWalk.run(kit, random, steps, onProgress)
      } finally {
        await kit.close()
      }
    })
    console.log(`${what}: ${steps} steps as the model`)
  }
  await engine.end()
}
