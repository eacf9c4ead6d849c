/**
 * `cairn benchmark volume`: measures a store of small files, this one or any other with the same HTTP API.
 * `cairn benchmark s3` is a command of its own.
 */
import { appendFileSync, readFileSync } from 'node:fs'
import { runLoad } from '../../bench/load.ts'
import { formatReport, reportToJson } from '../../bench/report.ts'
import { type LoadThread, runVolumeBenchmark } from '../../bench/volume-benchmark.ts'
import { progressOutput } from '../client-settings.ts'
import { type Context, defineCommand } from '../command.ts'
import { LoadWorker } from '../load-worker.ts'
import { UsageError } from '../usage-error.ts'
import { benchmarkS3 } from './benchmark-s3.ts'

export const benchmark = defineCommand({
  name: 'benchmark',
  summary: 'Measure a store: write files, then read them in random order',
  usage: '<volume>',
  actions: [benchmarkS3],
  settings: [
    'server',
    'requests',
    'sizeBytes',
    'concurrency',
    'threads',
    'write',
    'read',
    'collection',
    'replication',
    'ttl',
    'list',
    'deletePercent',
    'assignBatch',
    'verify',
    'timeoutMs',
    'json',
  ],
  async run(config, context) {
    if (context.args[0] !== 'volume') {
      throw new UsageError(`there is no benchmark ${context.args[0]}; there are: volume, s3`)
    }
    if (!config.write && !config.read) throw new UsageError('--no-write and --no-read leave nothing to do')
    const fids = config.write || config.list === '' ? undefined : readList(config.list)
    const workers = config.threads > 1 ? Array.from({ length: config.threads }, () => new LoadWorker()) : []
    const { server: masters, ...options } = config
    try {
      const result = await runVolumeBenchmark(
        { ...options, masters: [...masters], fids },
        {
          threads: workers.length > 0 ? workers : [onThisThread(context)],
          clock: context.clock,
          random: context.random,
          progress: progressOutput(context.stderr),
          signal: context.signal,
          onPhase: (figures) => {
            if (!config.json) context.stdout.write(`\n${formatReport(figures)}`)
          },
        },
      )
      if (config.write && config.list !== '') appendList(config.list, result.fids.texts())
      const report = { server: masters, sizeBytes: config.sizeBytes, phases: result.phases.map(reportToJson) }
      if (config.json) context.stdout.write(`${JSON.stringify(report)}\n`)
      return result.phases.some((phase) => phase.failed > 0) ? 1 : 0
    } finally {
      for (const worker of workers) await worker.close()
    }
  },
})

function onThisThread(context: Context): LoadThread {
  return { run: (spec) => runLoad(spec, context.clock) }
}

function readList(path: string): string[] {
  try {
    return readFileSync(path, 'utf8')
      .split(/\s+/)
      .filter((line) => line !== '')
  } catch (error) {
    throw new UsageError(`--list: ${(error as Error).message}`)
  }
}

const LINES_PER_WRITE = 10_000

function appendList(path: string, fids: Iterable<string>): void {
  let lines: string[] = []
  const flush = () => {
    if (lines.length > 0) appendFileSync(path, `${lines.join('\n')}\n`)
    lines = []
  }
  for (const fid of fids) if (lines.push(fid) >= LINES_PER_WRITE) flush()
  flush()
}
