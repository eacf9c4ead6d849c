/**
 * Where log lines go: straight to the descriptor, synchronously, from whatever thread has them. No line is lost when the
 * process ends at once, and worker threads need no forwarding. A line is one write, so those of several threads do not mix.
 */
import { writeSync } from 'node:fs'

/** Writes to a descriptor at once. Lines are dropped when its reader is gone, because a log must not stop a store. */
export function descriptorWriter(descriptor: number): (line: string) => void {
  return (line) => {
    const bytes = Buffer.from(line)
    let written = 0
    for (let tries = 0; written < bytes.length && tries < WRITE_TRIES_MAX; tries++) {
      try {
        written += writeSync(descriptor, bytes, written)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return
        pauseMs(WRITE_RETRY_MS)
      }
    }
  }
}

/** A pipe that its reader leaves full is retried this often, 1 s in all, before a line is dropped. */
const WRITE_TRIES_MAX = 200
const WRITE_RETRY_MS = 5

function pauseMs(durationMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs)
}
