/**
 * How fast erasure coding is on one core: `npm run bench -- erasure [--quick]`.
 *
 * "code" makes parity of data that lies in memory, the copies into the kernel's memory and out of it included; "plain" is the
 * same in TypeScript. "pack" makes all that is stored: hash, heads, a copy of the data, parity. "join" gives the blob back
 * from shards of data, "rebuild" from shards of which as many data are lost as may be; both check its hash. Figures are GB of the
 * blob a second of processor time, medians of rounds in which all have their turn.
 */
import process from 'node:process'
import { parseArgs } from 'node:util'
import { seededRandom } from '../src/base/random.ts'
import { type Shard, ShardCodec } from '../src/blobs/erasure/packed-shard.ts'
import { ReedSolomon } from '../src/blobs/erasure/reed-solomon.ts'
import { PlainRowProduct } from '../src/blobs/erasure/row-product.ts'
import { busyShare } from './processes.ts'

const LAYOUTS = [
  { k: 4, m: 2 },
  { k: 2, m: 1 },
]
const SHARD_BYTES = [1_024, 4_096, 65_536, 1_048_576]
const CONTENDERS = ['code', 'plain', 'pack', 'join', 'rebuild'] as const
/** What 4+2 has to reach from shards of this size on. */
const MARK = { shardBytes: 4_096, gigabytes: 3, ratio: 3 }
const WARM_UP_MS = 100
/** Others take caches and memory away even where they take no time. */
const BUSY_SHARE_MAX = 0.3

type Contender = (typeof CONTENDERS)[number]

function contendersOf({ k, m }: { k: number; m: number }, shardBytes: number): Record<Contender, () => void> {
  const blob = seededRandom(1).bytes(k * shardBytes)
  const data = Array.from({ length: k }, (_, i) => blob.subarray(i * shardBytes, (i + 1) * shardBytes))
  const parity = Array.from({ length: m }, () => Buffer.alloc(shardBytes))
  const indexes = parity.map((_, i) => k + i)
  const code = new ReedSolomon({ k, m })
  const plain = new ReedSolomon({ k, m, product: new PlainRowProduct() })
  const codec = new ShardCodec({ k, m })
  const shards = Array.from(codec.pack(blob), (packed, index) => codec.unpack(packed, index))
  const rest: (Shard | undefined)[] = shards.map((shard, index) => (index < m ? undefined : shard))
  return {
    code: () => code.makeParity(data, indexes, parity),
    plain: () => plain.makeParity(data, indexes, parity),
    pack: () => codec.pack(blob).giveBack?.(),
    join: () => codec.join(shards),
    rebuild: () => codec.join(rest),
  }
}

/** GB of `bytes` a second of processor time, that of the collector's threads included. */
function rateOf(work: () => void, bytes: number, milliseconds: number): number {
  const start = process.cpuUsage()
  let [count, usedUs] = [0, 0]
  for (let batch = 1; usedUs < 1_000 * milliseconds; batch = Math.min(1_024, 2 * batch)) {
    for (let i = 0; i < batch; i++) work()
    count += batch
    const { user, system } = process.cpuUsage(start)
    usedUs = user + system
  }
  return (count * bytes) / usedUs / 1e3
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!
}

async function main(argv: string[]): Promise<number> {
  const { values } = parseArgs({ args: argv, options: { quick: { type: 'boolean', default: false } } })
  const [rounds, roundMs] = values.quick ? [3, 50] : [7, 200]
  const busy = await busyShare()
  console.log(`| layout | shard | ${CONTENDERS.join(' | ')} | code : plain | |`)
  console.log(`|---|---:|${'---:|'.repeat(CONTENDERS.length + 1)}---|`)
  let isBelow = false
  for (const layout of LAYOUTS) {
    for (const shardBytes of SHARD_BYTES) {
      const bytes = layout.k * shardBytes
      const works = contendersOf(layout, shardBytes)
      for (const name of CONTENDERS) rateOf(works[name], bytes, WARM_UP_MS)
      const turns = Array.from({ length: rounds }, () =>
        CONTENDERS.map((name) => rateOf(works[name], bytes, roundMs)),
      )
      const rates = CONTENDERS.map((_, i) => median(turns.map((turn) => turn[i]!)))
      const ratio = rates[0]! / rates[1]!
      const hasMark = layout.k === 4 && shardBytes >= MARK.shardBytes
      const isPassed = rates[0]! >= MARK.gigabytes && ratio >= MARK.ratio
      if (hasMark && !isPassed) isBelow = true
      const cells = [`${layout.k}+${layout.m}`, sizeText(shardBytes), ...rates.map((rate) => rate.toFixed(2))]
      const verdict = hasMark ? (isPassed ? 'pass' : 'BELOW') : ''
      console.log(`| ${cells.join(' | ')} | ${ratio.toFixed(1)} | ${verdict} |`)
    }
  }
  if (busy > BUSY_SHARE_MAX) {
    console.log(
      `\nThe machine was ${Math.round(busy * 100)} % busy with other work: do not trust these figures.`,
    )
  }
  return isBelow ? 1 : 0
}

const sizeText = (bytes: number) => (bytes < 2 ** 20 ? `${bytes / 2 ** 10} KiB` : `${bytes / 2 ** 20} MiB`)

process.exitCode = await main(process.argv.slice(2))
