/**
 * The hash store: `npm run bench -- hashstore [--quick] [--json FILE]`. One file of 1 GiB (256 MiB with `--quick`) through loopback, in
 * turns with `cp` on the same disk; and 10,000 files of 1 KiB, beside the volume server's rate with the same connections. Beside
 * both, a bare server that only reads, sends and writes. The clients are in this process, the servers are processes of their own.
 */
import { spawnSync } from 'node:child_process'
import { closeSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { systemClock } from '../src/base/clock.ts'
import { systemRandom } from '../src/base/random.ts'
import { runLoad } from '../src/bench/load.ts'
import type { PhaseFigures } from '../src/bench/report.ts'
import { runVolumeBenchmark } from '../src/bench/volume-benchmark.ts'
import { localFile, readBuffers, saveTo } from '../src/cli/hashstore-files.ts'
import { HashstoreClient } from '../src/protocols/hashstore/client.ts'
import { BareFiles } from './bare-files.ts'
import { startCairn } from './cairn-process.ts'
import { median } from './contenders.ts'
import { freeMemory } from './free-memory.ts'
import { cleanUpAtExit, freePort, startProcess, stopProcess, temporaryDirectory } from './processes.ts'

const MIB = 1024 * 1024
const PROGRAM = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url))
const ROUNDS = 5
const SMALL_FILES = 10_000
const SMALL_BYTES = 1024
const CONNECTIONS = 16
const START_MS_MAX = 30_000
const PASS_MARK = 0.5
/** What is measured with the large file. */
const COPY = 'cp'
const COPY_AND_SYNC = 'cp, then sync'
const PUT = 'put, on disk'
const GET = 'get, to a file'
const BARE = 'bare, to a file'
/** As much as a way may take beside the file itself. */
const MEMORY_SHARE = 1.25

cleanUpAtExit()
const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, json: { type: 'string' } },
})
const directory = temporaryDirectory()
const at = (name: string) => join(directory, name)

async function timed(work: () => unknown): Promise<number> {
  const startMs = performance.now()
  await work()
  return performance.now() - startMs
}

function run(program: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(program, args)
  if (status !== 0) throw new Error(`${program}: ${stderr}`)
}

function makeFile(path: string, bytes: number): void {
  const file = openSync(path, 'w')
  for (let done = 0; done < bytes; done += MIB) writeSync(file, systemRandom.bytes(MIB))
  closeSync(file)
  run('sync', path)
}

/** A data server, and a client of it. */
async function startDataServer() {
  const port = await freePort()
  const args = ['hashstore', 'serve', '--dir', at('server'), '--port', String(port), '--log-level', 'warn']
  const child = startProcess(process.execPath, [PROGRAM, ...args], ['ignore', 'ignore', 'inherit'])
  const client = new HashstoreClient({ host: '127.0.0.1', port }, { timeoutMs: START_MS_MAX })
  for (const startMs = performance.now(); ; ) {
    try {
      await client.stat(Buffer.from('nothing'))
    } catch (error) {
      if ((error as { code?: string }).code === 'not_found') break
      if (performance.now() - startMs > START_MS_MAX) throw error
      await systemClock.sleep(100)
    }
  }
  return { client, stop: () => stopProcess(child) }
}

/** Milliseconds of each way, medians. What a way has written stays until all had their turn, since a store frees no memory. */
async function largeFile(
  { client, bare }: { client: HashstoreClient; bare: BareFiles },
  bytes: number,
): Promise<Map<string, number>> {
  const [source, copy, synced, back, bareBack] = [
    at('large'),
    at('copy'),
    at('synced'),
    at('back'),
    at('bare'),
  ]
  const path = Buffer.from('large')
  const buffers = readBuffers()
  const file = localFile(source, buffers, new AbortController().signal)
  const pieces = () => file.read(0, bytes)
  const ways: [string, () => unknown][] = [
    [COPY, () => run('cp', source, copy)],
    [COPY_AND_SYNC, () => [run('cp', source, synced), run('sync', synced)]],
    [PUT, () => client.put(path, { sizeBytes: bytes, pieces })],
    [GET, async () => saveTo(back, (await client.get(path)).pieces(), systemRandom)],
    [BARE, () => bare.get(bareBack, bytes)],
  ]
  const times = new Map<string, number[]>(ways.map(([name]) => [name, []]))
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [name, way] of ways) {
      run('sync', '-f', directory)
      await freeMemory(directory, bytes * MEMORY_SHARE)
      const ms = await timed(way)
      if (round > 0) times.get(name)!.push(ms)
    }
    run('cmp', source, back)
    for (const each of [copy, synced, back, bareBack]) rmSync(each)
    console.error(`round ${round} of ${ROUNDS}`)
  }
  return new Map([...times].map(([name, all]) => [name, median(all)]))
}

interface Rates {
  put: number
  get: number
}

/** Files a second, of one way to put a file by its number, and one to get it. */
async function smallFiles(ways: Record<keyof Rates, (number: number) => Promise<unknown>>): Promise<Rates> {
  const inLanes = async (one: (number: number) => Promise<unknown>) => {
    let next = 0
    const lane = async () => {
      while (next < SMALL_FILES) await one(next++)
    }
    const ms = await timed(() => Promise.all(Array.from({ length: CONNECTIONS }, lane)))
    return (SMALL_FILES / ms) * 1_000
  }
  return { put: await inLanes(ways.put), get: await inLanes(ways.get) }
}

function hashStoreFiles(client: HashstoreClient): Promise<Rates> {
  const bytes = systemRandom.bytes(SMALL_BYTES)
  const pathOf = (number: number) => Buffer.from(`small\\${number}.gif`)
  const pieces = async function* () {
    yield bytes
  }
  return smallFiles({
    put: (number) => client.put(pathOf(number), { sizeBytes: bytes.length, pieces }),
    async get(number) {
      let length = 0
      for await (const piece of (await client.get(pathOf(number))).pieces()) length += piece.length
      if (length !== SMALL_BYTES) throw new Error('a file has another length')
    },
  })
}

function bareFiles(bare: BareFiles): Promise<Rates> {
  const bytes = systemRandom.bytes(SMALL_BYTES)
  return smallFiles({ put: () => bare.putSmall(bytes), get: (number) => bare.getSmall(number) })
}

async function volumeServer(): Promise<Rates> {
  const server = await startCairn({ directory: at('volumes') })
  try {
    const { phases } = await runVolumeBenchmark(
      {
        ...{
          masters: [server.master],
          requests: SMALL_FILES,
          sizeBytes: SMALL_BYTES,
          concurrency: CONNECTIONS,
        },
        ...{ write: true, read: true, fids: undefined, assignBatch: 1, deletePercent: 0, verify: true },
        timeoutMs: START_MS_MAX,
      },
      {
        threads: [{ run: (spec) => runLoad(spec, systemClock) }],
        ...{ clock: systemClock, random: systemRandom },
        progress: { write: () => undefined, isTerminal: true },
        onPhase: () => undefined,
      },
    )
    const rateOf = ({ completed, elapsedMs }: PhaseFigures) => (completed / elapsedMs) * 1_000
    return { put: rateOf(phases[0]!), get: rateOf(phases[1]!) }
  } finally {
    await server.stop()
  }
}

async function main(): Promise<number> {
  const bytes = (values.quick ? 256 : 1024) * MIB
  makeFile(at('large'), bytes)
  const server = await startDataServer()
  const bare = await BareFiles.start({ file: at('large'), small: at('small'), smallBytes: SMALL_BYTES })
  const large = await largeFile({ client: server.client, bare }, bytes)
  const small = await hashStoreFiles(server.client)
  const bareSmall = await bareFiles(bare)
  server.client.close()
  await server.stop()
  await bare.stop()
  const volumes = await volumeServer()
  const ratioOf = (way: string, measure: string) => large.get(measure)! / large.get(way)!
  const ratios = {
    'put, beside cp and sync': ratioOf(PUT, COPY_AND_SYNC),
    'put, beside cp': ratioOf(PUT, COPY),
    'get, beside cp': ratioOf(GET, COPY),
    'bare, beside cp': ratioOf(BARE, COPY),
    'get, beside bare': ratioOf(GET, BARE),
  }
  console.log(`one file of ${bytes / MIB} MiB, medians of ${ROUNDS} rounds`)
  for (const [way, ms] of large) console.log(`  ${way.padEnd(24)} ${Math.round(ms)} ms`)
  for (const [way, ratio] of Object.entries(ratios)) console.log(`  ${way.padEnd(24)} ${ratio.toFixed(2)}`)
  console.log(`${SMALL_FILES} files of ${SMALL_BYTES} bytes, ${CONNECTIONS} connections, a second`)
  for (const kind of ['put', 'get'] as const)
    console.log(
      `  ${kind.padEnd(4)} hash store ${Math.round(small[kind])}, volume server ${Math.round(volumes[kind])}: ` +
        `${(small[kind] / volumes[kind]).toFixed(2)}; bare ${Math.round(bareSmall[kind])}`,
    )
  if (values.json !== undefined) {
    const milliseconds = Object.fromEntries(large)
    const report = { node: process.version, bytes, milliseconds, ratios, small, volumes, bareSmall }
    writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`)
  }
  return ratios['put, beside cp and sync'] >= PASS_MARK && ratios['get, beside cp'] >= PASS_MARK ? 0 : 1
}

process.exitCode = await main()
