/** Memory for shards and blobs of many lengths that comes back: new memory for each would cost as much as all else. */
import { PACKED_BYTES_KEPT_MIN, PACKED_KEPT_BYTES_MAX } from '../../base/limits.ts'
import { type LentPiece, PieceBuffers } from '../../base/piece-buffers.ts'

/** Sizes above this differ by it. */
const STEP_BYTES = 128 * 1024
/** Of each size: the shards of a few blobs that are read at once. */
const KEPT_MIN = 12

export class LentMemory {
  /** By the size of the buffers. */
  readonly #buffers = new Map<number, PieceBuffers>()

  /** `bytes` of memory, to be given back where that can be done; they may be anything. */
  lend(bytes: number): LentPiece {
    if (bytes < PACKED_BYTES_KEPT_MIN) return Buffer.allocUnsafe(bytes)
    const wholeBytes =
      bytes > STEP_BYTES ? Math.ceil(bytes / STEP_BYTES) * STEP_BYTES : 2 ** Math.ceil(Math.log2(bytes))
    let buffers = this.#buffers.get(wholeBytes)
    if (buffers === undefined) {
      buffers = new PieceBuffers(wholeBytes, Math.max(KEPT_MIN, PACKED_KEPT_BYTES_MAX / wholeBytes))
      this.#buffers.set(wholeBytes, buffers)
    }
    return buffers.lend(buffers.take(), 0, bytes)
  }
}

const SLICE_BYTES = 1024 * 1024

/**
 * A part of bytes that lie in several pieces, in slices, so that the first can be sent while the last waits. When all slices were given
 * back, `giveBack` is called.
 */
export function* lentSlices(
  pieces: readonly Buffer[],
  { start, end }: { start: number; end: number },
  giveBack: () => void,
): Generator<LentPiece> {
  const slices: LentPiece[] = []
  let base = 0
  for (const piece of pieces) {
    const stop = Math.min(end - base, piece.length)
    for (let at = Math.max(0, start - base); at < stop; at += SLICE_BYTES)
      slices.push(piece.subarray(at, Math.min(stop, at + SLICE_BYTES)))
    base += piece.length
  }
  let left = slices.length
  if (left === 0) giveBack()
  for (const slice of slices) {
    slice.giveBack = () => {
      slice.giveBack = undefined
      left--
      if (left === 0) giveBack()
    }
    yield slice
  }
}
