/**
 * What the needle index costs in time and memory: `node bench/needle-index.ts [needles…]`, by default 10,000, 1 and 10 million.
 *
 * One thread. "get" asks for keys in random order, so that at 10 million nearly every look-up misses the caches.
 * "writers" are keys from 16 concurrent writers: each takes the next key and finishes at a random time.
 */
import { seededRandom } from '../src/base/random.ts'
import { IndexArena } from '../src/disk/index-arena.ts'
import { INDEX_STATE_WORDS, NeedleIndex } from '../src/disk/needle-index.ts'

const GETS = 1_000_000
const WRITERS = 16
const WARM_UP = 100_000
const KINDS = ['ascending', 'writers', 'random']

interface Keys {
  highs: Uint32Array
  lows: Uint32Array
}

function makeKeys(kind: string, count: number): Keys {
  const random = seededRandom(count)
  const keys = { highs: new Uint32Array(count), lows: new Uint32Array(count) }
  if (kind === 'random') {
    for (let i = 0; i < count; i++) {
      keys.highs[i] = random.u32()
      keys.lows[i] = random.u32()
    }
    return keys
  }
  const inFlight = Array.from({ length: WRITERS }, (_, i) => i + 1)
  for (let i = 0; i < count; i++) {
    const writer = kind === 'writers' ? random.below(WRITERS) : i % WRITERS
    keys.lows[i] = inFlight[writer] as number
    inFlight[writer] = i + 1 + WRITERS
  }
  return keys
}

function nsEach(count: number, work: () => void): number {
  const start = performance.now()
  work()
  return Math.round(((performance.now() - start) * 1e6) / count)
}

function run(kind: string, count: number, print: (line: string) => void): void {
  const keys = makeKeys(kind, count)
  const arena = IndexArena.create(2 ** 30)
  const index = new NeedleIndex(arena, new Int32Array(new SharedArrayBuffer(INDEX_STATE_WORDS * 4)))
  const { highs, lows } = keys
  const putNs = nsEach(count, () => {
    for (let i = 0; i < count; i++) index.put(highs[i] as number, lows[i] as number, i, 130, false)
  })
  const bytes = (index.pageCount * 2048) / count
  const random = seededRandom(7)
  // The keys asked for lie in the order of asking, so that fetching them costs next to nothing.
  const order = Uint32Array.from({ length: GETS }, () => random.below(count))
  const askedHighs = order.map((at) => highs[at] as number)
  const askedLows = order.map((at) => lows[at] as number)
  let found = 0
  const getNs = nsEach(GETS, () => {
    for (let i = 0; i < GETS; i++) {
      if (index.get(askedHighs[i] as number, askedLows[i] as number) && index.offsetUnits === order[i])
        found++
    }
  })
  const missNs = nsEach(GETS, () => {
    for (let i = 0; i < GETS; i++) if (index.get(0xf0000000, order[i] as number)) found++
  })
  const replaceNs = nsEach(GETS, () => {
    for (let i = 0; i < GETS; i++) {
      index.put(askedHighs[i] as number, askedLows[i] as number, i, 131, true)
    }
  })
  let visited = 0
  const visitNs = nsEach(count, () => index.forEach(() => void visited++))
  if (found !== GETS || visited !== count)
    throw new Error(`${kind}: found ${found} of ${GETS}, visited ${visited} of ${count}`)
  const figures = { put: putNs, get: getNs, miss: missNs, replace: replaceNs, visit: visitNs }
  const text = Object.entries(figures).map(([name, ns]) => `${name} ${String(ns).padStart(5)}`)
  print(
    `${kind.padEnd(9)} ${String(count).padStart(9)}  ns: ${text.join('  ')}  bytes/needle ${bytes.toFixed(2)}`,
  )
}

for (const kind of KINDS) run(kind, WARM_UP, () => {})
const counts = process.argv.slice(2).map(Number)
for (const count of counts.length > 0 ? counts : [10_000, 1_000_000, 10_000_000]) {
  for (const kind of KINDS) run(kind, count, console.log)
}
