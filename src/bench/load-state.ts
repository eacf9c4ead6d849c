/** What the load of one thread is asked for, what its lanes share, and what it gives. */
import type { Clock } from '../base/clock.ts'
import type { HistogramState } from '../base/histogram.ts'
import type { Random } from '../base/random.ts'
import type { CairnClient } from '../client/cairn-client.ts'
import type { FidTable } from './fid-table.ts'
import type { Payload } from './payload.ts'

export interface LoadSpec {
  phase: 'write' | 'read'
  /** `host:port`. */
  masters: string[]
  /** Write: the places of the table that this thread fills, from `start` up to `end`. Read: only their number counts. */
  start: number
  end: number
  connections: number
  sizeBytes: number
  assign: { collection?: string; replication?: string; ttl?: string }
  /** Ids that one assign asks for. */
  assignBatch: number
  /** Share of the written files that are deleted at once, 0 to 100. */
  deletePercent: number
  /** Compare what is read with what was written. */
  verify: boolean
  timeoutMs: number
  seed: number
  /** A FidTable's memory. */
  fids: SharedArrayBuffer
  /** Requests answered and failed so far, two Int32 for each thread; then one that stops all threads when it is not 0. */
  progress: SharedArrayBuffer
  thread: number
}

export interface LoadResult {
  /** Microseconds of the requests that succeeded. */
  times: HistogramState
  completed: number
  failed: number
  deleted: number
  /** Bytes of file content sent or received. */
  contentBytes: number
  /** How often each failure happened, the first kinds of them. */
  failures: Record<string, number>
}

/** What the lanes of one thread share. */
export interface LoadState {
  spec: LoadSpec
  clock: Clock
  random: Random
  payload: Payload
  fids: FidTable
  client: CairnClient
  result: Omit<LoadResult, 'times'>
}
