/** The power goes under a hashed store. See `power-loss-walk.ts`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seedsToRun, withSeed } from '../support/seeds.ts'
import { walkWithLosses } from './power-loss-walk.ts'

for (const seed of seedsToRun(3)) {
  test(`the power goes, seed ${seed}`, () =>
    withSeed(seed, async (random) => {
      const looks = await walkWithLosses(random, { rounds: 60, callsBetween: 20 })
      assert.ok(looks > 5, `${looks} looks`)
    }))
}
