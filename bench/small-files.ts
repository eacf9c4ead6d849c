/**
 * Small files over HTTP, as ratios to nginx: the servers take turns, round after round, under the same load generator,
 * and the medians are compared. So a machine that is slow, or busy for a while, changes all figures and few ratios.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { assignRanges, type CairnServer, preload, startCairn } from './cairn-process.ts'
import { type NginxServer, startNginx } from './nginx.ts'
import {
  freePort,
  processorSeconds,
  startProcess,
  stopProcess,
  temporaryDirectory,
  waitForHttp,
} from './processes.ts'
import { runWrk, writeGetScript, writePostScript } from './wrk.ts'

export const KIB = 1024
const SMALL_BYTES = KIB
/** The size of the files in the table that the project's benchmark takes after. */
const MEDIUM_BYTES = 50 * KIB
const SMALL_FILES = 15_000
const MEDIUM_FILES = 1_000
/** Both servers have the same files. nginx keeps each of them open, and 20,000 open files is a usual limit. */
const FILES = new Map([
  [SMALL_BYTES, SMALL_FILES],
  [MEDIUM_BYTES, MEDIUM_FILES],
])
/** Ids for the writes of one round: more than any server here can write in it. */
const POST_RANGES = 8
const POST_IDS_PER_SECOND = 200_000

export interface SmallFilesOptions {
  rounds: number
  seconds: number
  /** Extra flags for `cairn server`. */
  cairnFlags: string[]
  log: (line: string) => void
}

export interface Row {
  name: string
  /** Medians of requests per second. */
  nginx: number
  cairn: number
  ratio: number
  passMark: number
  goal: number
  p99Ms: number
  /** Processor time of the server for each request, in microseconds: less upset by other work on the machine. */
  nginxCpuUs: number
  cairnCpuUs: number
  nginxRounds: number[]
  cairnRounds: number[]
}

interface Contender {
  name: string
  /** Which contender's figure is the measure. */
  against: string
  /** 0 for one that only shows what the machine can do. */
  passMark: number
  goal: number
  server: { url: string; pid: number }
  /** The script of the next round. */
  script: () => string | Promise<string>
  rates: number[]
  p99Ms: number[]
  cpuUs: number[]
}

export async function runSmallFiles(options: SmallFilesOptions): Promise<Row[]> {
  const directory = temporaryDirectory()
  const stops: (() => Promise<void>)[] = []
  try {
    options.log('preparing files')
    const nginx = await startNginx({
      directory,
      files: FILES,
    })
    stops.push(nginx.stop)
    const contenders = await makeContenders({ directory, nginx, stops, options })
    await takeTurns(contenders, options)
    return toRows(contenders)
  } finally {
    for (const stop of stops) await stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

interface Setting {
  directory: string
  nginx: NginxServer
  stops: (() => Promise<void>)[]
  options: SmallFilesOptions
}

async function makeContenders(setting: Setting): Promise<Contender[]> {
  const { directory, nginx } = setting
  const batch = await startOne('batch', setting)
  const none = await startOne('none', setting)
  const small = await preload(batch, { files: SMALL_FILES, sizeBytes: SMALL_BYTES })
  const medium = await preload(batch, { files: MEDIUM_FILES, sizeBytes: MEDIUM_BYTES })
  const get = (name: string, server: Contender['server'], paths: readonly string[]) => {
    const script = writeGetScript(directory, name.replaceAll(' ', '-'), paths)
    return { name, server, script: () => script, rates: [], p99Ms: [], cpuUs: [] }
  }
  const volumes = { url: batch.volumeUrl, pid: batch.pid }
  const post = (name: string, server: CairnServer) => ({
    name,
    server: { url: server.volumeUrl, pid: server.pid },
    script: async () => {
      const idsEach = Math.ceil((POST_IDS_PER_SECOND * setting.options.seconds) / POST_RANGES)
      const ranges = await assignRanges(server, { ranges: POST_RANGES, idsEach })
      return writePostScript(directory, name.replaceAll(/[ ,]+/g, '-'), { ranges, contentBytes: SMALL_BYTES })
    },
    rates: [],
    p99Ms: [],
    cpuUs: [],
  })
  const bare = async (sync: string) => {
    const name = `bare server, sync ${sync}`
    const ranges = [{ volumeId: 1, firstKey: 1, cookie: 0, count: Number.MAX_SAFE_INTEGER }]
    const script = writePostScript(directory, name.replaceAll(/[ ,]+/g, '-'), {
      ranges,
      contentBytes: SMALL_BYTES,
    })
    return {
      name,
      server: await startBare(sync, setting),
      script: () => script,
      rates: [],
      p99Ms: [],
      cpuUs: [],
    }
  }
  const nginxSmall = 'nginx 1 KiB'
  const nginxMedium = 'nginx 50 KiB'
  return [
    { ...get(nginxSmall, nginx, nginx.paths.get(SMALL_BYTES)!), against: '', passMark: 0, goal: 0 },
    { ...get('1 KiB GET', volumes, small), against: nginxSmall, passMark: 0.65, goal: 0.85 },
    { ...post('1 KiB POST, sync none', none), against: nginxSmall, passMark: 0.5, goal: 0.6 },
    { ...post('1 KiB POST, sync batch', batch), against: nginxSmall, passMark: 0.35, goal: 0.5 },
    { ...(await bare('none')), against: nginxSmall, passMark: 0, goal: 0 },
    { ...(await bare('batch')), against: nginxSmall, passMark: 0, goal: 0 },
    { ...get(nginxMedium, nginx, nginx.paths.get(MEDIUM_BYTES)!), against: '', passMark: 0, goal: 0 },
    { ...get('50 KiB GET', volumes, medium), against: nginxMedium, passMark: 0.7, goal: 1 },
  ]
}

async function startOne(sync: string, setting: Setting): Promise<CairnServer> {
  const directory = join(setting.directory, sync)
  mkdirSync(directory)
  const server = await startCairn({ directory, flags: ['--sync', sync, ...setting.options.cairnFlags] })
  setting.stops.push(server.stop)
  return server
}

/** Starts `bare-server.ts`, the reference for durable writes. */
async function startBare(sync: string, setting: Setting): Promise<Contender['server']> {
  const directory = join(setting.directory, `bare-${sync}`)
  mkdirSync(directory)
  const port = await freePort()
  const program = fileURLToPath(new URL('./bare-server.ts', import.meta.url))
  const stdio = ['ignore', 'ignore', 'inherit'] as const
  const child = startProcess(process.execPath, [program, directory, String(port), sync], [...stdio])
  setting.stops.push(() => stopProcess(child))
  const url = `http://127.0.0.1:${port}`
  await waitForHttp(child, url)
  return { url, pid: child.pid! }
}

async function takeTurns(contenders: Contender[], options: SmallFilesOptions): Promise<void> {
  const { log, seconds } = options
  for (const contender of contenders) {
    await runWrk({ url: contender.server.url, script: await contender.script(), seconds: 1 })
  }
  for (let round = 1; round <= options.rounds; round++) {
    for (const contender of contenders) {
      const { url, pid } = contender.server
      const script = await contender.script()
      const cpuBefore = processorSeconds(pid)
      const run = await runWrk({ url, script, seconds })
      const cpuUs = ((processorSeconds(pid) - cpuBefore) * 1e6) / (run.requestsPerSecond * seconds)
      if (run.errors > 0) throw new Error(`${contender.name}: ${run.errors} requests failed`)
      contender.rates.push(run.requestsPerSecond)
      contender.p99Ms.push(run.latencyMs.p99)
      contender.cpuUs.push(cpuUs)
      const rate = `${Math.round(run.requestsPerSecond)}/s`.padStart(9)
      log(
        `round ${round}  ${contender.name.padEnd(24)} ${rate} ${cpuUs.toFixed(1).padStart(7)} us of processor each`,
      )
    }
  }
}

function toRows(contenders: Contender[]): Row[] {
  const rows: Row[] = []
  for (const contender of contenders) {
    const measure = contenders.find(({ name }) => name === contender.against)
    if (measure === undefined) continue
    const { name, passMark, goal } = contender
    const [nginx, cairn] = [median(measure.rates), median(contender.rates)]
    rows.push({
      name,
      nginx,
      cairn,
      ratio: cairn / nginx,
      passMark,
      goal,
      p99Ms: median(contender.p99Ms),
      nginxCpuUs: median(measure.cpuUs),
      cairnCpuUs: median(contender.cpuUs),
      nginxRounds: measure.rates,
      cairnRounds: contender.rates,
    })
  }
  return rows
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** The table as Markdown, ready for docs/performance.md. */
export function formatRows(rows: readonly Row[]): string {
  const lines = [
    '| row | nginx, req/s | Cairn, req/s | ratio | pass mark | goal | | p99, ms | CPU µs each, nginx | Cairn |',
    '|---|---:|---:|---:|---:|---:|---|---:|---:|---:|',
  ]
  for (const row of rows) {
    const isReference = row.passMark === 0
    const verdict = isReference
      ? 'reference'
      : row.ratio >= row.goal
        ? 'goal met'
        : row.ratio >= row.passMark
          ? 'pass'
          : 'BELOW'
    const cells = [row.name, Math.round(row.nginx), Math.round(row.cairn), row.ratio.toFixed(2)]
    const costs = [row.p99Ms.toFixed(2), row.nginxCpuUs.toFixed(1), row.cairnCpuUs.toFixed(1)]
    const marks = isReference ? ['', ''] : [row.passMark, row.goal]
    lines.push(`| ${[...cells, ...marks, verdict, ...costs].join(' | ')} |`)
  }
  return lines.join('\n')
}
