/** `npm run long -- parsers [INPUTS] [SEED]`: so many mangled inputs (10 million) for the parsers of small files, shared between them. */
import { fuzzParser, PARSERS } from '../support/parser-fuzz.ts'
import { withSeed } from '../support/seeds.ts'

const [inputs = 10_000_000, seed = 1] = process.argv.slice(2).map(Number)
const names = Object.keys(PARSERS)
for (const name of names) {
  await withSeed(seed, (random) => fuzzParser(name, random, Math.ceil(inputs / names.length)))
  console.log(`${name}: ${Math.ceil(inputs / names.length)} inputs`)
}
