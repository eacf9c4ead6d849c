/**
 * Every thread that writes says since when it may have blobs under way that no row names yet: to the others of its process in memory,
 * and where several processes write to one set of names, by a row. The search for orphans leaves what is younger.
 */
import type { Clock } from '../base/clock.ts'
import { toStoreError } from '../base/errors.ts'
import { ORPHAN_GRACE_MS, WRITER_SEEN_PERIOD_MS } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { MetaStore } from '../meta/meta-store.ts'
import { oldestWrite, removeWriter, seeWriter } from './content/sweep-scripts.ts'

/** Memory for `threads` threads, to be posted to each of them. */
export const presenceMemory = (threads: number) =>
  new SharedArrayBuffer(threads * Float64Array.BYTES_PER_ELEMENT)

export interface WriterPresenceOptions {
  meta: MetaStore
  clock: Clock
  log: Log
  /** Differs from that of every other thread of every process. */
  writerId: string
  /** Memory of `presenceMemory`, and the place of this thread. */
  shared: SharedArrayBuffer
  thread: number
  /** Whose writes are meant. */
  writer: { readonly oldestStartMs: number | undefined }
}

export class WriterPresence {
  readonly #options: WriterPresenceOptions
  /** Of each thread of this process, in milliseconds since 1970; 0: it has not begun. */
  readonly #starts: Float64Array
  #stopTimer: (() => void) | undefined

  constructor(options: WriterPresenceOptions) {
    this.#options = options
    this.#starts = new Float64Array(options.shared)
  }

  /** Call it before the first write. */
  async start(): Promise<void> {
    const { clock, log } = this.#options
    await this.#see()
    this.#stopTimer = clock.every(WRITER_SEEN_PERIOD_MS, () => {
      this.#see().catch((error: unknown) => {
        const { code, message } = toStoreError(error)
        log.warn({ code, reason: message }, 'other processes cannot be told that this one writes')
      })
    })
  }

  /** After the last write. */
  async stop(): Promise<void> {
    const { meta, writerId } = this.#options
    this.#stopTimer?.()
    if (meta.capabilities.sharedBetweenProcesses) await meta.write(removeWriter, { writerId })
  }

  /** Blobs that were appended before this are named, or never will be. */
  async settledMs(): Promise<number> {
    const { meta, clock } = this.#options
    const nowMs = clock.nowMs()
    const deadBeforeMs = nowMs - ORPHAN_GRACE_MS
    const oldestMs = meta.capabilities.sharedBetweenProcesses
      ? await meta.read(oldestWrite, { deadBeforeMs })
      : Math.min(...this.#starts.filter((startedMs) => startedMs > 0))
    // What was stored a moment ago gets its name in another one.
    return Math.min(oldestMs ?? nowMs, nowMs) - ORPHAN_GRACE_MS
  }

  async #see(): Promise<void> {
    const { meta, clock, writerId, writer, thread } = this.#options
    const nowMs = clock.nowMs()
    const startedMs = writer.oldestStartMs ?? nowMs
    this.#starts[thread] = startedMs
    if (!meta.capabilities.sharedBetweenProcesses) return
    await meta.write(seeWriter, { writerId, startedMs, seenMs: nowMs, deadBeforeMs: nowMs - ORPHAN_GRACE_MS })
  }
}
