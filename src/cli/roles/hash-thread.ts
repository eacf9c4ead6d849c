/** A thread that computes digests for those that serve. */
import { workerData } from 'node:worker_threads'
import { serveHashing } from './hash-pool.ts'
import type { HashThreadData } from './thread-data.ts'

for (const port of (workerData as HashThreadData).ports) serveHashing(port)
