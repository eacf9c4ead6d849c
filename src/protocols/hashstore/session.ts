/** What all connections of a server have in common. */
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { HashstoreFiles } from './files.ts'
import type { HashstoreCounters } from './hashstore-counters.ts'
import type { HashstoreTree } from './tree.ts'
import type { WritesUnderWay } from './writes-under-way.ts'

export interface SessionParts {
  /** Undefined: this server has names only. */
  files: HashstoreFiles | undefined
  tree: HashstoreTree
  counters: HashstoreCounters
  writes: WritesUnderWay
  clock: Clock
  log: Log
  /** Openings and heads must arrive within this time. */
  headerTimeoutMs: number
}
