/** How far a long task over many bytes is: a bar on a terminal, elsewhere a line every few seconds. On stderr. */
import type { Context } from './command.ts'

const REDRAW_MS = 200
const NEW_LINE_MS = 5_000
const BAR_CELLS = 24
const MIB = 1024 * 1024

export interface ByteProgress {
  context: Context
  label: string
  totalBytes: number
  doneBytes: () => number
}

/** Starts to show it; the returned function stops. */
export function startByteProgress(options: ByteProgress): () => void {
  const { clock, stderr } = options.context
  const startMs = clock.monotonicMs()
  const isTerminal = stderr.isTTY === true
  let drawn = false
  const draw = () => {
    const line = byteProgressLine(options, clock.monotonicMs() - startMs)
    stderr.write(isTerminal ? `\r${line}\x1b[K` : `${line}\n`)
    drawn = true
  }
  const stop = clock.every(isTerminal ? REDRAW_MS : NEW_LINE_MS, draw)
  return () => {
    stop()
    if (drawn && isTerminal) stderr.write('\r\x1b[K')
  }
}

/** `checking [######..................]  25 %  250/1000 MiB  81 MiB/s  9 s left`. */
export function byteProgressLine(
  { label, totalBytes, doneBytes }: Omit<ByteProgress, 'context'>,
  elapsedMs: number,
): string {
  const done = Math.min(doneBytes(), totalBytes)
  const share = totalBytes === 0 ? 1 : done / totalBytes
  const cells = Math.floor(share * BAR_CELLS)
  const rate = elapsedMs > 0 ? (done * 1000) / elapsedMs : 0
  const parts = [
    `${label} [${'#'.repeat(cells)}${'.'.repeat(BAR_CELLS - cells)}]`,
    `${Math.floor(share * 100)} %`,
    `${Math.floor(done / MIB)}/${Math.ceil(totalBytes / MIB)} MiB`,
    `${Math.round(rate / MIB)} MiB/s`,
  ]
  if (share > 0.01 && done < totalBytes) parts.push(`${Math.ceil((totalBytes - done) / rate)} s left`)
  return parts.join('  ')
}
