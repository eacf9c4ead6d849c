/** The short form of `npm run long -- parsers`. */
import { test } from 'node:test'
import { fuzzParser, PARSERS } from '../support/parser-fuzz.ts'
import { seedsToRun, withSeed } from '../support/seeds.ts'

const INPUTS = 3_000

for (const name of Object.keys(PARSERS)) {
  for (const seed of seedsToRun(1)) {
    test(`mangled: ${name}, seed ${seed}`, () => withSeed(seed, (random) => fuzzParser(name, random, INPUTS)))
  }
}
