/**
 * Where several processes write to one set of names, each says that it lives, and since when it may have blobs under way that no
 * row names yet. The search for orphans leaves what is younger.
 */
import type { Clock } from '../base/clock.ts'
import { toStoreError } from '../base/errors.ts'
import { ORPHAN_GRACE_MS, WRITER_SEEN_PERIOD_MS } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { MetaStore } from '../meta/meta-store.ts'
import { removeWriter, seeWriter } from './content/sweep-scripts.ts'

export interface WriterPresenceOptions {
  meta: MetaStore
  clock: Clock
  log: Log
  /** Differs from that of every other thread of every process. */
  writerId: string
  /** Whose writes are meant. */
  writer: { readonly oldestStartMs: number | undefined }
}

export class WriterPresence {
  readonly #options: WriterPresenceOptions
  #stopTimer: (() => void) | undefined

  constructor(options: WriterPresenceOptions) {
    this.#options = options
  }

  /** Call it before the first write. Where nobody else can write, it does nothing. */
  async start(): Promise<void> {
    const { meta, clock, log } = this.#options
    if (!meta.capabilities.sharedBetweenProcesses) return
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

  async #see(): Promise<void> {
    const { meta, clock, writerId, writer } = this.#options
    const nowMs = clock.nowMs()
    const startedMs = writer.oldestStartMs ?? nowMs
    await meta.write(seeWriter, { writerId, startedMs, seenMs: nowMs, deadBeforeMs: nowMs - ORPHAN_GRACE_MS })
  }
}
