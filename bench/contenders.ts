/**
 * Servers that take turns under the same load generator, round after round, and are compared by their medians. So a machine
 * that is slow, or busy for a while, changes all figures and few ratios.
 */
import { processorSeconds } from './processes.ts'
import { runWrk } from './wrk.ts'

export interface Contender {
  name: string
  /** Which contender's figure is the measure; '' for a measure itself. */
  against: string
  /** 0 for one that only shows what the machine can do. */
  passMark: number
  goal: number
  /** Process whose processor time is counted. */
  pid: number
  /** Seconds that a round takes; absent: those that were asked for. */
  secondsMax?: number
  run(seconds: number): Promise<Turn>
  /** Before each of its turns; not counted. */
  prepare?(): Promise<void>
}

/** What came of one round. */
export interface Turn {
  requestsPerSecond: number
  errors: number
  p99Ms: number
  /** How long it took, where that is not what was asked for. */
  seconds?: number
}

/** Which server a contender asks, how often, and for what. */
export interface WrkContender {
  name: string
  server: { url: string; pid: number }
  /** The script of the next round. */
  script: (seconds: number) => string | Promise<string>
  connections?: number
}

export type Measured = Pick<Contender, 'name' | 'pid' | 'run'>

export function wrkContender({ name, server, script, connections }: WrkContender): Measured {
  return {
    name,
    pid: server.pid,
    async run(seconds) {
      const options = { url: server.url, script: await script(seconds), seconds }
      const { requestsPerSecond, errors, latencyMs } = await runWrk(
        connections === undefined ? options : { ...options, connections },
      )
      return { requestsPerSecond, errors, p99Ms: latencyMs.p99 }
    },
  }
}

export interface Row {
  name: string
  against: string
  /** Medians of requests per second, of the measure and of what is measured. */
  measure: number
  rate: number
  ratio: number
  passMark: number
  goal: number
  p99Ms: number
  /** Processor time of the server for each request, in microseconds: less upset by other work on the machine. */
  measureCpuUs: number
  cpuUs: number
  measureRounds: number[]
  rounds: number[]
}

interface Figures {
  rates: number[]
  p99Ms: number[]
  cpuUs: number[]
}

export interface TurnsOptions {
  rounds: number
  seconds: number
  log: (line: string) => void
}

/** One second of warming up for each, then the rounds. Throws where a request failed. */
export async function takeTurns(contenders: readonly Contender[], options: TurnsOptions): Promise<Row[]> {
  const figures = new Map<string, Figures>()
  for (const contender of contenders) {
    figures.set(contender.name, { rates: [], p99Ms: [], cpuUs: [] })
    await contender.run(1)
  }
  for (let round = 1; round <= options.rounds; round++) {
    for (const contender of contenders)
      await takeTurn(contender, figures.get(contender.name)!, { ...options, round })
  }
  return toRows(contenders, figures)
}

async function takeTurn(
  contender: Contender,
  figures: Figures,
  { round, seconds: asked, log }: TurnsOptions & { round: number },
): Promise<void> {
  const { name, pid } = contender
  const seconds = Math.min(asked, contender.secondsMax ?? asked)
  await contender.prepare?.()
  const cpuBefore = processorSeconds(pid)
  const turn = await contender.run(seconds)
  const requests = turn.requestsPerSecond * (turn.seconds ?? seconds)
  const cpuUs = ((processorSeconds(pid) - cpuBefore) * 1e6) / requests
  if (turn.errors > 0) throw new Error(`${name}: ${turn.errors} requests failed`)
  figures.rates.push(turn.requestsPerSecond)
  figures.p99Ms.push(turn.p99Ms)
  figures.cpuUs.push(cpuUs)
  const rate = `${rateText(turn.requestsPerSecond)}/s`.padStart(9)
  log(`round ${round}  ${name.padEnd(28)} ${rate} ${cpuUs.toFixed(1).padStart(8)} us of processor each`)
}

function toRows(contenders: readonly Contender[], figures: ReadonlyMap<string, Figures>): Row[] {
  const rows: Row[] = []
  for (const { name, against, passMark, goal } of contenders) {
    const [measure, own] = [figures.get(against), figures.get(name)!]
    if (measure === undefined) continue
    const [measureRate, rate] = [median(measure.rates), median(own.rates)]
    rows.push({
      ...{ name, against, passMark, goal, measure: measureRate, rate, ratio: rate / measureRate },
      p99Ms: median(own.p99Ms),
      measureCpuUs: median(measure.cpuUs),
      cpuUs: median(own.cpuUs),
      measureRounds: measure.rates,
      rounds: own.rates,
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
    '| row | measured against | its req/s | req/s | ratio | pass mark | goal | | p99, ms | CPU µs each, of the measure | of the row |',
    '|---|---|---:|---:|---:|---:|---:|---|---:|---:|---:|',
  ]
  for (const row of rows) {
    const cells = [row.name, row.against, rateText(row.measure), rateText(row.rate), row.ratio.toFixed(2)]
    const marks = row.passMark === 0 ? ['', ''] : [row.passMark, row.goal]
    const costs = [row.p99Ms.toFixed(2), row.measureCpuUs.toFixed(1), row.cpuUs.toFixed(1)]
    lines.push(`| ${[...cells, ...marks, verdictOf(row), ...costs].join(' | ')} |`)
  }
  return lines.join('\n')
}

function verdictOf({ passMark, goal, ratio }: Row): string {
  if (passMark === 0) return 'reference'
  if (ratio >= goal) return 'goal met'
  return ratio >= passMark ? 'pass' : 'BELOW'
}

const rateText = (rate: number) => (rate < 1_000 ? rate.toFixed(1) : String(Math.round(rate)))
