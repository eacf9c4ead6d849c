/**
 * `npm run long -- collector [RACES [SEED]]`: random writes, copies, completions, appends and removals against the collector, on
 * real volumes and metadata; 100,000 by default. Ends with an audit of every reference and every blob.
 */
import { raceWithCollector } from '../objects-content/collector-races.ts'

const races = Number(process.argv[2] ?? 100_000)
const seed = Number(process.argv[3] ?? Math.floor(Math.random() * 2 ** 31))
console.log(`${races} races, seed ${seed}`)
await raceWithCollector({ races, seed, onProgress: (done) => done % 10_000 === 0 && console.log(done) })
console.log('nothing lost, nothing leaked')
