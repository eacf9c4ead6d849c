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

/** A part of lent memory in slices, so that the first can be sent while the last waits. It goes back when all of them do. */
export function* lentSlices(whole: LentPiece, start: number, end: number): Generator<LentPiece> {
  let left = Math.ceil((end - start) / SLICE_BYTES)
  const giveBack = () => {
    left--
    if (left === 0) whole.giveBack?.()
  }
  for (let at = start; at < end; at += SLICE_BYTES) {
    const slice: LentPiece = whole.subarray(at, Math.min(end, at + SLICE_BYTES))
    slice.giveBack = giveBack
    yield slice
  }
}
