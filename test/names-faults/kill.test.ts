/** A few rounds of `kill -9`; `npm run long -- kill-names` has more. */
import { test } from 'node:test'
import { seedsToRun, withSeed } from '../support/seeds.ts'
import { killNames } from './kill-names.ts'

test('killed under a mixed load through filer and S3, no operation is lost or half visible', {
  timeout: 280_000,
}, async () => {
  await withSeed(seedsToRun(0)[0]!, (random) =>
    killNames(random, { rounds: 5, afterMsMin: 100, afterMsMax: 1200 }),
  )
})
