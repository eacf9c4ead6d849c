/** File ids taken from the master several at a time, for many small files in a row. Ids that stay over are lost, which costs nothing. */
import type { Clock } from '../base/clock.ts'
import { formatFid, parseFid } from '../base/fid.ts'
import { CLIENT_ASSIGN_BATCH_MS_MAX } from '../base/limits.ts'
import type { Assignment, AssignOptions, MasterClient } from './master-client.ts'

interface Batch {
  assignment: Assignment
  used: number
  expiresMs: number
}

export class AssignBatches {
  readonly #master: MasterClient
  readonly #clock: Clock
  readonly #count: number
  readonly #batches = new Map<string, Promise<Batch>>()

  constructor(options: { master: MasterClient; clock: Clock; count: number }) {
    this.#master = options.master
    this.#clock = options.clock
    this.#count = options.count
  }

  /** One id. Throws what the master's assign throws. */
  async next(options: AssignOptions): Promise<Assignment> {
    const kind = JSON.stringify(options)
    for (;;) {
      let waiting = this.#batches.get(kind)
      if (waiting === undefined) {
        waiting = this.#fetch(options)
        this.#batches.set(kind, waiting)
        const mine = waiting
        waiting.catch(() => this.#drop(kind, mine))
      }
      const batch = await waiting
      if (batch.used < batch.assignment.count && this.#clock.monotonicMs() < batch.expiresMs) {
        return idOf(batch.assignment, batch.used++)
      }
      this.#drop(kind, waiting)
    }
  }

  /** Forgets the ids at hand: the volume they belong to takes no more. */
  forget(): void {
    this.#batches.clear()
  }

  async #fetch(options: AssignOptions): Promise<Batch> {
    const assignment = await this.#master.assign({ ...options, count: this.#count })
    const expiresMs = this.#clock.monotonicMs() + CLIENT_ASSIGN_BATCH_MS_MAX
    return { assignment: { ...assignment, count: Math.max(1, assignment.count) }, used: 0, expiresMs }
  }

  #drop(kind: string, batch: Promise<Batch>): void {
    if (this.#batches.get(kind) === batch) this.#batches.delete(kind)
  }
}

/** A token names the first id of its batch, so with one the others keep the form `fid_1`. */
function idOf(assignment: Assignment, index: number): Assignment {
  if (index === 0) return { ...assignment, count: 1 }
  const fid = `${assignment.fid}_${index}`
  return {
    ...assignment,
    fid: assignment.authorization === undefined ? formatFid(parseFid(fid)) : fid,
    count: 1,
  }
}
