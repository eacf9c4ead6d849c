/** Writes that wait for what is soon over, such as the rename of a directory above their key. */
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import { OBJECT_WAIT_MS_MAX, OBJECT_WAIT_STEP_MS, OBJECT_WAIT_STEP_MS_MAX } from '../base/limits.ts'
import type { Unsynced } from '../base/unsynced.ts'
import type { MetaStore, Script } from '../meta/meta-store.ts'

export class PatientWrites {
  readonly #meta: MetaStore
  readonly #clock: Clock

  constructor(meta: MetaStore, clock: Clock) {
    this.#meta = meta
    this.#clock = clock
  }

  /** As `MetaStore.write`, tried again while that throws `unavailable`, up to OBJECT_WAIT_MS_MAX. */
  async run<A, R>(script: Script<A, R>, args: A, unsynced?: Unsynced): Promise<R> {
    const startMs = this.#clock.monotonicMs()
    let waitMs = OBJECT_WAIT_STEP_MS
    for (;;) {
      try {
        return await this.#meta.write(script, args, unsynced)
      } catch (error) {
        if (!(error instanceof StoreError) || error.code !== 'unavailable') throw error
        if (this.#clock.monotonicMs() - startMs + waitMs > OBJECT_WAIT_MS_MAX) throw error
        await this.#clock.sleep(waitMs)
        waitMs = Math.min(waitMs * 2, OBJECT_WAIT_STEP_MS_MAX)
      }
    }
  }
}
