/**
 * A seqlock: one thread at a time changes, under a lock of its own, while any number read without one.
 *
 * The sequence number is odd during a change. A reader whose work did not see the same even number before and after
 * repeats it. A writer without pause would starve readers for ever, so one that failed often asks for a gap.
 *
 * JavaScript's atomic operations are in one order for all threads, but ordinary reads and writes may move past some of
 * them on processors other than x86. Hence the extra store before a reader's last look, and the extra load in `begin`.
 */
import { assert } from '../base/assert.ts'
import { backOff } from './index-arena.ts'

/** The words that the seqlock takes, from the first on. Zeros are a fresh one. */
export const SEQLOCK_WORDS = 2
const SEQ = 0
const STARVING = 1

/** A reader that failed so often asks the writer for a gap. */
const TRIES_BEFORE_STARVING = 8
/** How long a writer waits for those that asked: pauses of some 40 ns. A reader that lost its processor is not waited for. */
const GAP_PAUSES_MAX = 100

export class Seqlock {
  private readonly words: Int32Array
  /** Only this thread writes here. */
  private readonly fence = new Int32Array(1)

  constructor(words: Int32Array) {
    this.words = words
  }

  /** The number to give to `isStill`. When odd, reading is useless now. */
  sequence(): number {
    return Atomics.load(this.words, SEQ)
  }

  /** True when nothing changed since `sequence` answered this even number: what was read meanwhile is true. */
  isStill(sequence: number): boolean {
    Atomics.store(this.fence, 0, 0)
    return Atomics.load(this.words, SEQ) === sequence
  }

  /** Opens a change. Nothing between here and `end` may throw, unless it is a bug. */
  begin(): void {
    const words = this.words
    if (words[STARVING] !== 0) this.leaveGap()
    const sequence = words[SEQ] as number
    assert((sequence & 1) === 0, 'one thread at a time changes an index')
    Atomics.store(words, SEQ, sequence + 1)
    Atomics.load(words, SEQ)
  }

  end(): void {
    Atomics.store(this.words, SEQ, (this.words[SEQ] as number) + 1)
  }

  /** Repeats `read` until nothing changed meanwhile, beside the busiest writer too. */
  readPatiently<T>(read: () => T): T {
    const words = this.words
    let seen = 0
    let triesSinceSeen = 0
    let starving = false
    try {
      for (let tries = 0; ; tries++) {
        const sequence = this.sequence()
        if (sequence !== seen) triesSinceSeen = 0
        seen = sequence
        if ((sequence & 1) === 1) backOff(words, SEQ, sequence, triesSinceSeen++)
        else {
          const result = read()
          if (this.isStill(sequence)) return result
        }
        if (tries === TRIES_BEFORE_STARVING) {
          Atomics.add(words, STARVING, 1)
          starving = true
        }
      }
    } finally {
      if (starving) Atomics.sub(words, STARVING, 1)
    }
  }

  private leaveGap(): void {
    for (let i = 0; i < GAP_PAUSES_MAX && Atomics.load(this.words, STARVING) !== 0; i++) Atomics.pause()
  }
}
