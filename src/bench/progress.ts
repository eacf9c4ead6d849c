/** One line that says how far a long task is: redrawn in place on a terminal, now and then a new one elsewhere. */
import type { Clock } from '../base/clock.ts'

const REDRAW_MS = 200
const NEW_LINE_MS = 5_000
const BAR_CELLS = 24

export interface ProgressOutput {
  write(text: string): void
  isTerminal: boolean
}

export interface ProgressState {
  done: number
  failed: number
}

export interface ProgressOptions {
  output: ProgressOutput
  clock: Clock
  label: string
  total: number
  state: () => ProgressState
}

/** Starts to show progress; the returned function shows it for the last time and stops. */
export function startProgress(options: ProgressOptions): () => void {
  const { output, clock } = options
  const startedMs = clock.monotonicMs()
  const draw = () => {
    const line = progressLine(options, clock.monotonicMs() - startedMs)
    output.write(output.isTerminal ? `\r${line}\x1b[K` : `${line}\n`)
  }
  const stop = clock.every(output.isTerminal ? REDRAW_MS : NEW_LINE_MS, draw)
  return () => {
    stop()
    draw()
    if (output.isTerminal) output.write('\n')
  }
}

/** `writing [######··················]  25 %  250/1000  81/s  0 failed  9 s left`. */
export function progressLine(options: ProgressOptions, elapsedMs: number): string {
  const { done, failed } = options.state()
  const ended = done + failed
  const share = options.total === 0 ? 1 : Math.min(1, ended / options.total)
  const cells = Math.floor(share * BAR_CELLS)
  const rate = elapsedMs > 0 ? (ended * 1_000) / elapsedMs : 0
  const parts = [
    `${options.label} [${'#'.repeat(cells)}${'.'.repeat(BAR_CELLS - cells)}]`,
    `${Math.floor(share * 100)} %`,
    `${ended}/${options.total}`,
    `${Math.round(rate)}/s`,
    `${failed} failed`,
  ]
  if (rate > 0 && ended < options.total) parts.push(`${Math.ceil((options.total - ended) / rate)} s left`)
  return parts.join('  ')
}
