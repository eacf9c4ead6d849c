import { test } from 'node:test'
import { seedsToRun, withSeed } from '../support/seeds.ts'
import { FUZZERS } from './fuzz.ts'

const INPUTS = 500

for (const [name, fuzz] of Object.entries(FUZZERS)) {
  test(`random ${name}: no crash, and nothing taken that was not meant`, async () => {
    for (const seed of seedsToRun(2)) {
      await withSeed(seed, (random) => {
        for (let i = 0; i < INPUTS; i++) fuzz(random)
      })
    }
  })
}
