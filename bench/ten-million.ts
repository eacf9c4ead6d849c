/**
 * Ten million needles in one volume: `npm run bench -- ten-million [--needles N] [--bytes B] [--json FILE] [--no-http]`.
 * What each costs in memory, for keys that a master assigned and for random ones; whether the last million is written
 * as fast as the first; how long a start takes after a kill; and whether reading is as fast as with 10,000 needles, in
 * the engine and over HTTP. Data is small, so that the files stay in the page cache and the index is what is measured.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { seededRandom } from '../src/base/random.ts'
import { startCairn } from './cairn-process.ts'
import { median } from './contenders.ts'
import { type Engine, openEngine, plainNeedle } from './engine.ts'
import { cleanUpAtExit, temporaryDirectory } from './processes.ts'
import { runWrk, writeScript } from './wrk.ts'

const COOKIE = 0x5eed5eed
const BIG_VOLUME = 1
const SMALL_VOLUME = 2
const RANDOM_VOLUME = 3
const SMALL_NEEDLES = 10_000
const ENGINE_READS = 1_000_000
/** Writes between two turns of the keeper, which has a thread of its own in a server. */
const WRITES_PER_TURN = 250_000
const STEPS = 10
const HTTP_ROUNDS = 5
const HTTP_SECONDS = 3

interface Keys {
  high(at: number): number
  low(at: number): number
}

/** As a master gives them: rising. */
const assignedKeys: Keys = { high: () => 0, low: (at) => at + 1 }

/** Spread over all 64 bits, and each found again from its number alone. */
const randomKeys: Keys = {
  high: (at) => mix(at * 2 + 1),
  low: (at) => mix(at * 2),
}

function mix(value: number): number {
  let x = value | 0
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d)
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
  return (x ^ (x >>> 16)) >>> 0
}

interface FillFigures {
  bytesEach: number
  /** Nanoseconds a write in each tenth. */
  nsEach: number[]
}

async function fill(
  engine: Engine,
  options: { volumeId: number; keys: Keys; needles: number; bytes: number },
): Promise<FillFigures> {
  const { keys, needles } = options
  await engine.keeper.createVolume({ id: options.volumeId, collection: '', replicaPlacement: 0, ttl: 0 })
  const volume = engine.volumes.get(options.volumeId)!
  const indexBytesBefore = engine.context.arena.bytesUsed
  const needle = plainNeedle(seededRandom(1).bytes(options.bytes), COOKIE)
  const nsEach: number[] = []
  for (let step = 0; step < STEPS; step++) {
    const [from, to] = [Math.floor((needles * step) / STEPS), Math.floor((needles * (step + 1)) / STEPS)]
    let spentMs = 0
    for (let at = from; at < to; ) {
      const turnEnd = Math.min(to, at + WRITES_PER_TURN)
      const startedMs = performance.now()
      for (; at < turnEnd; at++) {
        needle.keyHigh = keys.high(at)
        needle.keyLow = keys.low(at)
        needle.data.writeUInt32BE(at, 0)
        atOnce(volume.write(needle))
      }
      spentMs += performance.now() - startedMs
      await engine.keeper.tend()
    }
    nsEach.push((spentMs * 1e6) / (to - from))
    console.error(`volume ${options.volumeId}: ${to} needles, ${Math.round(nsEach.at(-1)!)} ns a write`)
  }
  return { bytesEach: (engine.context.arena.bytesUsed - indexBytesBefore) / needles, nsEach }
}

function atOnce<T>(result: T | Promise<T>): T {
  if (result instanceof Promise) throw new Error('a small record is written at once')
  return result
}

/** Nanoseconds a verified read of a random needle. */
async function readNs(engine: Engine, volumeId: number, keys: Keys, needles: number): Promise<number> {
  const volume = engine.volumes.get(volumeId)!
  const random = seededRandom(9)
  const fid = { volumeId, keyHigh: 0, keyLow: 0, cookie: COOKIE }
  const startedMs = performance.now()
  for (let i = 0; i < ENGINE_READS; i++) {
    const at = random.below(needles)
    fid.keyHigh = keys.high(at)
    fid.keyLow = keys.low(at)
    const read = volume.read(fid)
    // After a slow read the engine reads asynchronously for a while.
    const needle = read instanceof Promise ? await read : read
    if (needle?.data?.readUInt32BE(0) !== at) throw new Error(`needle ${at} is not what was written`)
  }
  return ((performance.now() - startedMs) * 1e6) / ENGINE_READS
}

interface HttpFigures {
  /** From the start of the process to the first served read. */
  servingAgainMs: number
  residentBytes: number
  smallPerSecond: number
  bigPerSecond: number
}

/** Starts a real server on the files, as after a kill, and reads from both volumes in turns. */
async function overHttp(directory: string, data: string, needles: number): Promise<HttpFigures> {
  const server = await startCairn({ directory: data })
  try {
    const reply = await fetch(
      `${server.volumeUrl}/${BIG_VOLUME},${needles.toString(16).padStart(8, '0')}${COOKIE.toString(16)}`,
    )
    if (reply.status !== 200) throw new Error(`the last needle: status ${reply.status}`)
    await reply.arrayBuffer()
    const scripts = [SMALL_VOLUME, BIG_VOLUME].map((volumeId) =>
      writeScript(
        directory,
        `read-${volumeId}`,
        randomReads(volumeId, volumeId === BIG_VOLUME ? needles : SMALL_NEEDLES),
      ),
    )
    const rates: number[][] = [[], []]
    for (let round = 0; round <= HTTP_ROUNDS; round++) {
      for (const [at, script] of scripts.entries()) {
        const run = await runWrk({ url: server.volumeUrl, script, seconds: round === 0 ? 1 : HTTP_SECONDS })
        if (run.errors > 0) throw new Error(`${run.errors} reads failed`)
        if (round > 0) rates[at]!.push(run.requestsPerSecond)
      }
    }
    return {
      servingAgainMs: server.startMs,
      residentBytes: server.residentBytes(),
      smallPerSecond: median(rates[0]!),
      bigPerSecond: median(rates[1]!),
    }
  } finally {
    await server.stop()
  }
}

function randomReads(volumeId: number, needles: number): string {
  return `local random, format = math.random, string.format
math.randomseed(os.time())
request = function()
  return format("GET /${volumeId},%08x${COOKIE.toString(16)} HTTP/1.1\\r\\nHost: bench\\r\\n\\r\\n", random(${needles}))
end
`
}

async function main(argv: string[]): Promise<void> {
  const { values } = parseArgs({
    args: argv,
    options: {
      needles: { type: 'string', default: '10000000' },
      bytes: { type: 'string', default: '64' },
      json: { type: 'string' },
      'no-http': { type: 'boolean', default: false },
    },
  })
  const [needles, bytes] = [Number(values.needles), Number(values.bytes)]
  const directory = temporaryDirectory()
  const data = join(directory, 'data')
  mkdirSync(data)
  try {
    const engine = openEngine(data)
    // The small one first, so that the big one's first writes do not pay for the compilation of the code.
    await fill(engine, { volumeId: SMALL_VOLUME, keys: assignedKeys, needles: SMALL_NEEDLES, bytes })
    const assigned = await fill(engine, { volumeId: BIG_VOLUME, keys: assignedKeys, needles, bytes })
    const figures: Record<string, unknown> = { needles, dataBytes: bytes, assigned }
    // Twice, so that the first does not pay for the compilation of the code.
    for (let turn = 0; turn < 2; turn++) {
      figures.engineReadNsSmall = await readNs(engine, SMALL_VOLUME, assignedKeys, SMALL_NEEDLES)
      figures.engineReadNsBig = await readNs(engine, BIG_VOLUME, assignedKeys, needles)
    }
    // No checkpoint and no close: what the next one finds is what a killed process leaves.
    const startedMs = performance.now()
    const again = openEngine(data)
    figures.reopenAfterKillMs = performance.now() - startedMs
    await readNs(again, BIG_VOLUME, assignedKeys, needles)
    if (!values['no-http']) figures.http = await overHttp(directory, data, needles)
    const random = await fill(again, { volumeId: RANDOM_VOLUME, keys: randomKeys, needles, bytes })
    figures.random = random
    figures.engineReadNsRandom = await readNs(again, RANDOM_VOLUME, randomKeys, needles)
    console.log(JSON.stringify(figures, null, 2))
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

cleanUpAtExit()
await main(process.argv.slice(2))
