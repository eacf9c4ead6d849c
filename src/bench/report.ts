/** What a benchmark prints: the table that users of such tools know, and the same as JSON. */
import type { Histogram } from '../base/histogram.ts'

const PERCENTILES = [50, 66, 75, 80, 90, 95, 98, 99, 100] as const

export interface PhaseFigures {
  title: string
  concurrency: number
  elapsedMs: number
  completed: number
  failed: number
  deleted: number
  /** Bytes of file content. */
  contentBytes: number
  /** In microseconds. */
  times: Histogram
  failures: Record<string, number>
}

/** The text of one phase, several lines, each ended. */
export function formatReport(figures: PhaseFigures): string {
  const { times } = figures
  const seconds = figures.elapsedMs / 1_000
  const lines = [
    `------------ ${figures.title} ----------`,
    `Concurrency Level:      ${figures.concurrency}`,
    `Time taken for tests:   ${seconds.toFixed(3)} seconds`,
    `Complete requests:      ${figures.completed}`,
    `Failed requests:        ${figures.failed}`,
    `Total transferred:      ${figures.contentBytes} bytes`,
    `Requests per second:    ${perSecond(figures.completed, seconds).toFixed(2)} [#/sec]`,
    `Transfer rate:          ${perSecond(figures.contentBytes / 1024, seconds).toFixed(2)} [Kbytes/sec]`,
    '',
    'Connection Times (ms)',
    '              min      avg        max      std',
    `Total:        ${[
      ms(times.min).padEnd(8),
      ms(times.mean).padEnd(10),
      ms(times.max).padEnd(8),
      ms(times.deviation),
    ].join(' ')}`,
    '',
    'Percentage of the requests served within a certain time (ms)',
    ...PERCENTILES.map(
      (percent) => `${String(percent).padStart(5)}% ${ms(times.percentile(percent)).padStart(9)} ms`,
    ),
  ]
  const failures = Object.entries(figures.failures)
  if (failures.length > 0) lines.push('', 'Failures')
  for (const [message, count] of failures) lines.push(`${String(count).padStart(8)}  ${message}`)
  return `${lines.join('\n')}\n`
}

/** The same figures with names and units, for programs. Times keep their microseconds. */
export function reportToJson(figures: PhaseFigures): Record<string, unknown> {
  const { times } = figures
  const seconds = figures.elapsedMs / 1_000
  const exactMs = (microseconds: number) => Math.round(microseconds) / 1_000
  return {
    title: figures.title,
    concurrency: figures.concurrency,
    elapsedMs: exactMs(figures.elapsedMs * 1_000),
    completedRequests: figures.completed,
    failedRequests: figures.failed,
    deletedFiles: figures.deleted,
    transferredBytes: figures.contentBytes,
    requestsPerSecond: Number(perSecond(figures.completed, seconds).toFixed(2)),
    transferKibPerSecond: Number(perSecond(figures.contentBytes / 1024, seconds).toFixed(2)),
    timesMs: {
      min: exactMs(times.min),
      avg: exactMs(times.mean),
      max: exactMs(times.max),
      std: exactMs(times.deviation),
    },
    percentilesMs: Object.fromEntries(
      PERCENTILES.map((percent) => [percent, exactMs(times.percentile(percent))]),
    ),
    failures: figures.failures,
  }
}

function ms(microseconds: number): string {
  return (microseconds / 1_000).toFixed(1)
}

function perSecond(amount: number, seconds: number): number {
  return seconds > 0 ? amount / seconds : 0
}
