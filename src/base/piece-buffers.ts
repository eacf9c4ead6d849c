/**
 * Memory for the pieces of long bodies, used again when their last taker gives it back. To get as much anew for each piece
 * makes the runtime's collector run all the time, at twice the cost of all else. Who does not give a piece back only leaves
 * it to the collector.
 */
import { assert } from './assert.ts'

/** A piece that is its taker's to keep, or to give back when nobody uses it any more. */
export type LentPiece = Buffer & {
  /** Call it at most once; then the bytes are anything. */
  giveBack?: (() => void) | undefined
}

export class PieceBuffers {
  readonly #free: Buffer[] = []
  readonly #pieceBytes: number
  readonly #freeMax: number

  /** Keeps up to `freeMax` buffers that nobody uses. */
  constructor(pieceBytes: number, freeMax: number) {
    this.#pieceBytes = pieceBytes
    this.#freeMax = freeMax
  }

  /** A buffer of `pieceBytes`; its bytes are anything. */
  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#pieceBytes)
  }

  /** The part of a taken buffer that is given out. */
  lend(whole: Buffer, start: number, end: number): LentPiece {
    const piece: LentPiece = whole.subarray(start, end)
    let isLent = true
    piece.giveBack = () => {
      piece.giveBack = undefined
      // What is given back twice would be given out twice.
      assert(isLent, 'a piece is given back once')
      isLent = false
      this.giveBack(whole)
    }
    return piece
  }

  /** Takes back a whole buffer that nobody uses any more. */
  giveBack(whole: Buffer): void {
    if (this.#free.length < this.#freeMax) this.#free.push(whole)
  }
}

/** For the end of a write of a piece to a stream: once it is over, its memory is free. After a failure it may not be. */
export function givingBack(piece: LentPiece): ((error?: Error | null) => void) | undefined {
  if (piece.giveBack === undefined) return undefined
  return (error) => {
    if (error === undefined || error === null) piece.giveBack?.()
  }
}
