/**
 * The benchmark of a small-file store: writes so many files, then reads them in random order, over the HTTP API alone,
 * so that it measures any server of that API. Threads come from the caller.
 */
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import { Histogram } from '../base/histogram.ts'
import type { Random } from '../base/random.ts'
import { FidTable } from './fid-table.ts'
import type { LoadResult, LoadSpec } from './load-state.ts'
import { type ProgressOutput, startProgress } from './progress.ts'
import type { PhaseFigures } from './report.ts'

export interface VolumeBenchmarkOptions {
  masters: string[]
  requests: number
  sizeBytes: number
  concurrency: number
  write: boolean
  read: boolean
  /** Ids of files to read, instead of those written. */
  fids: string[] | undefined
  collection?: string
  replication?: string
  ttl?: string
  assignBatch: number
  deletePercent: number
  verify: boolean
  timeoutMs: number
}

/** Runs loads, on this thread or on another. */
export interface LoadThread {
  run(spec: LoadSpec): Promise<LoadResult>
}

export interface VolumeBenchmarkParts {
  threads: readonly LoadThread[]
  clock: Clock
  random: Random
  progress: ProgressOutput
  /** Ends the benchmark early: what is in flight is finished and counted. */
  signal?: AbortSignal
  /** Called with each phase's figures as soon as it is over. */
  onPhase: (figures: PhaseFigures) => void
}

export interface VolumeBenchmarkResult {
  phases: PhaseFigures[]
  /** The ids written and not deleted; those given when nothing was written. */
  fids: FidTable
}

/** Throws `bad_request` for options that do not fit together, and `unavailable` when the server is gone. */
export async function runVolumeBenchmark(
  options: VolumeBenchmarkOptions,
  parts: VolumeBenchmarkParts,
): Promise<VolumeBenchmarkResult> {
  checkOptions(options, parts)
  const phases: PhaseFigures[] = []
  let fids = options.fids === undefined ? undefined : FidTable.fromTexts(options.fids)
  if (options.write) {
    const table = FidTable.ofSize(options.requests)
    phases.push(await runPhase('write', table, options, parts))
    fids = table.compacted()
  }
  if (options.read && parts.signal?.aborted !== true) {
    if (fids === undefined || fids.length === 0)
      throw new StoreError('bad_request', 'there is no file to read')
    phases.push(await runPhase('read', fids, options, parts))
  }
  return { phases, fids: fids ?? FidTable.ofSize(0) }
}

function checkOptions(options: VolumeBenchmarkOptions, parts: VolumeBenchmarkParts): void {
  const { requests, sizeBytes, concurrency, assignBatch, deletePercent } = options
  const atLeastOne = { requests, sizeBytes, concurrency, assignBatch, threads: parts.threads.length }
  for (const [name, value] of Object.entries(atLeastOne)) {
    if (!(Number.isSafeInteger(value) && value >= 1))
      throw new StoreError('bad_request', `${name} must be at least 1`)
  }
  if (!(deletePercent >= 0 && deletePercent <= 100))
    throw new StoreError('bad_request', 'deletePercent is 0 to 100')
  if (concurrency < parts.threads.length) {
    throw new StoreError(
      'bad_request',
      'each thread needs a connection: concurrency is below the number of threads',
    )
  }
  if (!options.write && options.read && options.fids === undefined) {
    throw new StoreError('bad_request', 'reading alone needs a list of file ids')
  }
}

async function runPhase(
  phase: 'write' | 'read',
  table: FidTable,
  options: VolumeBenchmarkOptions,
  parts: VolumeBenchmarkParts,
): Promise<PhaseFigures> {
  const { clock, threads } = parts
  const progress = new SharedArrayBuffer(threads.length * 8 + 4)
  const counters = new Int32Array(progress, 0, threads.length * 2)
  const stop = () => void Atomics.store(new Int32Array(progress), threads.length * 2, 1)
  parts.signal?.addEventListener('abort', stop)
  const countOf = (first: number) => {
    let sum = 0
    for (let at = first; at < counters.length; at += 2) sum += counters[at]!
    return sum
  }
  const stopProgress = startProgress({
    output: parts.progress,
    clock,
    label: phase === 'write' ? 'writing' : 'reading',
    total: options.requests,
    state: () => ({ done: countOf(0), failed: countOf(1) }),
  })
  const startedMs = clock.monotonicMs()
  let results: LoadResult[]
  try {
    results = await Promise.all(
      threads.map((thread, at) => thread.run(specOf(phase, table, at, { options, parts, progress }))),
    )
  } finally {
    parts.signal?.removeEventListener('abort', stop)
    stopProgress()
  }
  const title = phase === 'write' ? 'Writing Benchmark' : 'Randomly Reading Benchmark'
  const figures = summarize(results, {
    title,
    concurrency: options.concurrency,
    elapsedMs: clock.monotonicMs() - startedMs,
  })
  parts.onPhase(figures)
  return figures
}

interface PhaseContext {
  options: VolumeBenchmarkOptions
  parts: VolumeBenchmarkParts
  progress: SharedArrayBuffer
}

/** The share of one thread: of the requests and of the connections. */
function specOf(phase: 'write' | 'read', table: FidTable, at: number, context: PhaseContext): LoadSpec {
  const { options, parts } = context
  const count = parts.threads.length
  const cut = (total: number, index: number) => Math.floor((total * index) / count)
  const { collection, replication, ttl } = options
  return {
    phase,
    masters: options.masters,
    start: cut(options.requests, at),
    end: cut(options.requests, at + 1),
    connections: cut(options.concurrency, at + 1) - cut(options.concurrency, at),
    sizeBytes: options.sizeBytes,
    assign: { collection, replication, ttl },
    assignBatch: options.assignBatch,
    deletePercent: options.deletePercent,
    verify: options.verify,
    timeoutMs: options.timeoutMs,
    seed: parts.random.u32(),
    fids: table.shared,
    progress: context.progress,
    thread: at,
  }
}

function summarize(
  results: LoadResult[],
  known: Pick<PhaseFigures, 'title' | 'concurrency' | 'elapsedMs'>,
): PhaseFigures {
  const figures: PhaseFigures = {
    ...known,
    completed: 0,
    failed: 0,
    deleted: 0,
    contentBytes: 0,
    times: new Histogram(),
    failures: {},
  }
  for (const result of results) {
    figures.completed += result.completed
    figures.failed += result.failed
    figures.deleted += result.deleted
    figures.contentBytes += result.contentBytes
    figures.times.merge(result.times)
    for (const [message, count] of Object.entries(result.failures)) {
      figures.failures[message] = (figures.failures[message] ?? 0) + count
    }
  }
  return figures
}
