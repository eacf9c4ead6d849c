/**
 * The answers of one connection in their order, and how much memory they take that cannot leave yet: one of a few bytes may
 * stand before many long ones.
 */
import {
  MEMCACHED_COMMANDS_IN_FLIGHT_MAX,
  MEMCACHED_READ_BYTES_MAX,
  MEMCACHED_UNREAD_BYTES_MAX,
} from '../../base/limits.ts'

/** Parts of one answer: a failure is its end, and what stands behind it is not said. */
export interface AnswerParts {
  hasFailed: boolean
}

/** Of one answer, or one part of it. */
export interface Turn {
  /** Undefined: it is not there yet. */
  answer: Buffer | undefined
  readonly parts: AnswerParts | undefined
  /** The answer says that it failed. */
  isFailure: boolean
  heldBytes: number
  /** Nobody knows yet how much it will hold. */
  isUnknown: boolean
}

const NO_ANSWERS: readonly Buffer[] = []

export class Turns {
  readonly #turns: Turn[] = []
  readonly #unknownMax: number
  #heldBytes = 0
  #unknown = 0

  /** Any answer may be about a value of `valueBytesMax`. */
  constructor(valueBytesMax: number) {
    this.#unknownMax = Math.max(1, Math.floor(MEMCACHED_READ_BYTES_MAX / valueBytesMax))
  }

  get length(): number {
    return this.#turns.length
  }

  get isFull(): boolean {
    return (
      this.#turns.length >= MEMCACHED_COMMANDS_IN_FLIGHT_MAX ||
      this.#heldBytes > MEMCACHED_UNREAD_BYTES_MAX ||
      this.#unknown >= this.#unknownMax
    )
  }

  /** All answers are there. */
  get isAnswered(): boolean {
    return this.#turns.every(({ answer }) => answer !== undefined)
  }

  /** The next turn: of an answer of a few bytes, unless `waits` says otherwise. */
  begin(parts?: AnswerParts): Turn {
    const turn = { answer: undefined, parts, isFailure: false, heldBytes: 0, isUnknown: false }
    this.#turns.push(turn)
    return turn
  }

  /** It holds as many bytes until it is answered; undefined: nobody knows. */
  waits(turn: Turn, heldBytes: number | undefined): void {
    this.#letGo(turn)
    turn.heldBytes = heldBytes ?? 0
    turn.isUnknown = heldBytes === undefined
    this.#heldBytes += turn.heldBytes
    if (turn.isUnknown) this.#unknown++
  }

  answer(turn: Turn, answer: Buffer): void {
    this.waits(turn, answer.length)
    turn.answer = answer
  }

  /** The answers whose turn it is, which are the caller's now. */
  take(): readonly Buffer[] {
    let ready = 0
    while (ready < this.#turns.length && this.#turns[ready]!.answer !== undefined) ready++
    if (ready === 0) return NO_ANSWERS
    const answers: Buffer[] = []
    for (const turn of this.#turns.splice(0, ready)) {
      this.#letGo(turn)
      const { parts } = turn
      if (parts?.hasFailed === true) continue
      if (parts !== undefined && turn.isFailure) parts.hasFailed = true
      answers.push(turn.answer!)
    }
    return answers
  }

  #letGo(turn: Turn): void {
    this.#heldBytes -= turn.heldBytes
    if (turn.isUnknown) this.#unknown--
  }
}
