/**
 * What a million names change: `npm run bench -- names-scale [--long] [--keep DIR [--fill]] [--json FILE]`. Two sets of
 * metadata on SQLite, a small and a large one, are asked in turns for puts, reads and pages of a listing, in this process and
 * without blobs, so that nothing hides a difference; then as users ask, through the filer (`names-door.ts`). `--long` adds 10 million names, for which it needs 4 GB of disk and half
 * an hour: `--keep` leaves the sets in a directory for later runs, and `--fill` only makes them, going on where it was ended.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { systemClock } from '../src/base/clock.ts'
import { systemRandom } from '../src/base/random.ts'
import type { MetaStore } from '../src/meta/meta-store.ts'
import { openMetaStore } from '../src/meta/open-meta-store.ts'
import { createBucket } from '../src/objects/bucket-steps.ts'
import { findVersion } from '../src/objects/find-steps.ts'
import { listObjects } from '../src/objects/list-steps.ts'
import { putObject } from '../src/objects/put-version.ts'
import { median } from './contenders.ts'
import { askThroughFiler, DOOR_KINDS, type DoorTimes } from './names-door.ts'
import { cleanUpAtExit, temporaryDirectory } from './processes.ts'

const SMALL = 10_000
const LARGE = 1_000_000
const LONG = 10_000_000
const BUCKET_ID = 7
const ROUNDS = 7
const PUTS_AT_ONCE = 16
const FILL_AT_ONCE = 512
const FILL_STEP = 100_000
const PUTS_PER_ROUND = 1_600
const GETS_PER_ROUND = 10_000
const PAGES_PER_ROUND = 10
const PAGE_KEYS = 1_000
const FLAT_MAX = 1.5
const ENDS_MAX = 2
/** Scatters names over the whole range of keys, each number once: prime, so it divides no power of ten. */
const SCATTER = 2_654_435_761
const KEY_RANGE = 2 ** 32

type Kind = 'put' | 'get' | 'page, front' | 'page, middle' | 'page, end'
const KINDS: readonly Kind[] = ['put', 'get', 'page, front', 'page, middle', 'page, end']

interface Names {
  meta: MetaStore
  /** Holds the count: what was put is there when the count says so. */
  countFile: string
  count: number
  /** Microseconds of each round, by kind. */
  times: Map<Kind, number[]>
}

function keyOf(i: number): Buffer {
  const scattered = Number((BigInt(i) * BigInt(SCATTER)) % BigInt(KEY_RANGE))
  const hex = scattered.toString(16).padStart(8, '0')
  return Buffer.from(`photos/${hex.slice(0, 3)}/${hex}.jpg`)
}

async function put(names: Names): Promise<void> {
  const i = names.count++
  await names.meta.write(putObject, {
    ...{ bucketId: BUCKET_ID, key: keyOf(i), nowMs: 1_700_000_000_000 + i, usagePart: 0 },
    nonce: Buffer.alloc(16),
    content: { kind: 'inline', blobs: Buffer.alloc(20, i) },
    ...{ sizeBytes: 1024, etag: 'd41d8cd98f00b204e9800998ecf8427e', attributes: '{}', tags: null },
    event: 'ObjectCreated:Put',
  })
}

async function putMany(names: Names, count: number, atOnce: number): Promise<void> {
  for (let left = count; left > 0; left -= atOnce)
    await Promise.all(Array.from({ length: Math.min(left, atOnce) }, () => put(names)))
}

async function openNames(directory: string, wanted: number): Promise<Names> {
  const path = join(directory, String(wanted))
  const countFile = join(path, 'count')
  const count = existsSync(countFile) ? Number(readFileSync(countFile, 'utf8')) : 0
  if (count === 0) rmSync(path, { recursive: true, force: true })
  mkdirSync(path, { recursive: true })
  const meta = await openMetaStore(path, { clock: systemClock, random: systemRandom })
  if (count === 0) {
    const names = { bucketId: BUCKET_ID, name: 'names', owner: 'bench' }
    await meta.write(createBucket, { ...names, objectLock: false, configs: {}, nowMs: 1 })
  }
  const names: Names = { meta, countFile, count, times: new Map(KINDS.map((kind) => [kind, []])) }
  while (names.count < wanted) {
    // A name that was put after the count was written is put again, which leaves the same names.
    await putMany(names, Math.min(FILL_STEP, wanted - names.count), FILL_AT_ONCE)
    writeFileSync(countFile, String(names.count))
    console.error(`${names.count.toLocaleString('en')} names`)
  }
  return names
}

async function close({ meta, count, countFile }: Names): Promise<void> {
  await meta.close()
  writeFileSync(countFile, String(count))
}

async function timed(
  names: Names,
  kind: Kind,
  count: number,
  work: () => void | Promise<void>,
): Promise<void> {
  const start = performance.now()
  await work()
  names.times.get(kind)!.push(((performance.now() - start) * 1_000) / count)
}

async function runRound(names: Names): Promise<void> {
  const { meta } = names
  await timed(names, 'put', PUTS_PER_ROUND, () => putMany(names, PUTS_PER_ROUND, PUTS_AT_ONCE))
  const keys = Array.from({ length: GETS_PER_ROUND }, () => keyOf(systemRandom.below(names.count)))
  await timed(names, 'get', GETS_PER_ROUND, () => {
    // SQLite answers at once.
    for (const key of keys) void meta.read(findVersion, { bucketId: BUCKET_ID, key, version: undefined })
  })
  // Of the scattered keys, this is where the last page of the smaller set begins, and the last pages of the larger.
  const lastHex = Math.floor(KEY_RANGE * (1 - (1.2 * PAGE_KEYS) / names.count)).toString(16)
  const places: [Kind, string][] = [
    ['page, front', 'photos/'],
    ['page, middle', 'photos/800/'],
    ['page, end', `photos/${lastHex.slice(0, 3)}/${lastHex}`],
  ]
  for (const [kind, after] of places) {
    await timed(names, kind, PAGES_PER_ROUND, () => {
      for (let i = 0; i < PAGES_PER_ROUND; i++) listPage(names, after)
    })
  }
}

function listPage({ meta }: Names, after: string): void {
  const none = Buffer.alloc(0)
  const place = { bucketId: BUCKET_ID, prefix: none, delimiter: none, after: Buffer.from(after) }
  const page = meta.read(listObjects, { ...place, limit: PAGE_KEYS })
  if (page instanceof Promise || page.items.length !== PAGE_KEYS)
    throw new Error(`a short page after ${after}`)
}

interface ScaleRow {
  name: string
  small: number
  large: number
  ratio: number
  mark: number
}

function toRows(small: Names, large: Names): ScaleRow[] {
  const of = (names: Names, kind: Kind) => median(names.times.get(kind)!)
  const row = (name: string, before: number, after: number, mark: number) => ({
    ...{ name, small: before, large: after, ratio: after / before, mark },
  })
  return [
    ...KINDS.map((kind) => row(kind, of(small, kind), of(large, kind), FLAT_MAX)),
    row('page of the larger, front and end', of(large, 'page, front'), of(large, 'page, end'), ENDS_MAX),
  ]
}

function doorRows(small: DoorTimes, large: DoorTimes): ScaleRow[] {
  return DOOR_KINDS.map((kind) => {
    const [before, after] = [small, large].map(({ times }) => median(times.get(kind)!)) as [number, number]
    const name = `filer, ${kind}, processor`
    return { name, small: before, large: after, ratio: after / before, mark: FLAT_MAX }
  })
}

function print(rows: readonly ScaleRow[], [few, many]: [number, number]): void {
  const counts = [few, many].map((count) => `${count.toLocaleString('en')} names, µs`)
  console.log(`| each | ${counts.join(' | ')} | ratio | at most | |\n|---|---:|---:|---:|---:|---|`)
  for (const { name, small, large, ratio, mark } of rows) {
    const verdict = ratio <= mark ? 'pass' : 'ABOVE'
    console.log(
      `| ${[name, small.toFixed(1), large.toFixed(1), ratio.toFixed(2), mark, verdict].join(' | ')} |`,
    )
  }
}

async function main(argv: string[]): Promise<number> {
  const { values } = parseArgs({
    args: argv,
    options: {
      long: { type: 'boolean', default: false },
      keep: { type: 'string' },
      fill: { type: 'boolean', default: false },
      json: { type: 'string' },
    },
  })
  const directory = values.keep ?? temporaryDirectory()
  const all: Names[] = []
  try {
    const counts = values.long ? [SMALL, LARGE, LONG] : [SMALL, LARGE]
    for (const count of counts) all.push(await openNames(directory, count))
    if (values.fill) return 0
    for (let round = 0; round < ROUNDS; round++) for (const names of all) await runRound(names)
    for (const names of all) await close(names)
    const sets = all.map(({ count }, at) => ({
      directory: join(directory, String(counts[at])),
      count,
      keyOf,
    }))
    const doors = await askThroughFiler(sets, { bucket: 'names', directory: temporaryDirectory() })
    for (const [at, { set }] of doors.entries()) all[at]!.count = set.count
    const tables = all.slice(1).map((large, at) => ({
      counts: [counts[0], counts[at + 1]] as [number, number],
      rows: [...toRows(all[0]!, large), ...doorRows(doors[0]!, doors[at + 1]!)],
    }))
    for (const { rows, counts: pair } of tables) print(rows, pair)
    if (values.json !== undefined) {
      writeFileSync(values.json === '-' ? 1 : values.json, `${JSON.stringify(tables, null, 2)}\n`)
    }
    return tables.every(({ rows }) => rows.every(({ ratio, mark }) => ratio <= mark)) ? 0 : 1
  } finally {
    for (const names of all) await close(names)
    if (values.keep === undefined) rmSync(directory, { recursive: true, force: true })
  }
}

cleanUpAtExit()
process.exitCode = await main(process.argv.slice(2))
