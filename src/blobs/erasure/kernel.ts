/** The kernel of erasure coding, ready for use: `kernel/kernel.ts` in WebAssembly with a memory of its own, one for each thread. */
import { assert } from '../../base/assert.ts'
import type { Matrix } from './galois.ts'
import { KERNEL_BASE64 } from './kernel-module.ts'
import type { RowProduct } from './row-product.ts'
import type { BlobHash } from './xxhash.ts'

/** What is used of the runtime's WebAssembly, which its types leave out. */
declare const WebAssembly: {
  Module: new (bytes: Buffer) => object
  Instance: new (module: object) => { exports: object }
}

/** What `kernel/kernel.ts` exports; numbers are addresses and sizes in its memory. */
interface KernelExports {
  memory: { buffer: ArrayBuffer; grow(pages: number): number }
  FACTORS: { value: number }
  ROWS: { value: number }
  ROWS_BYTES: { value: number }
  STEP_BYTES: { value: number }
  prepare(): void
  multiply(
    outputCount: number,
    inputCount: number,
    inputs: number,
    inputStride: number,
    outputs: number,
    outputStride: number,
    length: number,
  ): void
  hashStart(): void
  hashMore(from: number, length: number): void
  hashEnd(from: number, length: number): bigint
}

/**
 * Long rows and blobs pass through the kernel's memory in pieces that stay in the processor's second cache: more than this of a row
 * at a time was not faster, and of a hash neither.
 */
const PIECE_BYTES_MAX = 32 * 1_024
const PAGE_BYTES = 64 * 1_024
const ROOM_BYTES_MAX = 136 * PAGE_BYTES

export class Kernel implements RowProduct, BlobHash {
  /** For the rows of who wants them worked on where they are, without copies. What is behind one, up to STEP_BYTES, is lost. */
  readonly room: Buffer
  readonly #exports: KernelExports
  readonly #memory: Buffer
  readonly #factors: number
  readonly #rows: number
  readonly #rowsBytes: number
  readonly #stepBytes: number

  /** `roomBytes`: at most ROOM_BYTES_MAX. */
  constructor({ roomBytes = 0 }: { roomBytes?: number } = {}) {
    const module = new WebAssembly.Module(Buffer.from(KERNEL_BASE64, 'base64'))
    this.#exports = new WebAssembly.Instance(module).exports as KernelExports
    const { memory } = this.#exports
    assert(roomBytes <= ROOM_BYTES_MAX, 'the kernel was compiled for this much memory')
    const roomAt = memory.grow(Math.ceil(roomBytes / PAGE_BYTES)) * PAGE_BYTES
    this.#memory = Buffer.from(memory.buffer)
    this.room = this.#memory.subarray(roomAt)
    this.#factors = this.#exports.FACTORS.value
    this.#rows = this.#exports.ROWS.value
    this.#rowsBytes = this.#exports.ROWS_BYTES.value
    this.#stepBytes = this.#exports.STEP_BYTES.value
    this.#exports.prepare()
  }

  multiply(matrix: Matrix, inputs: readonly Buffer[], outputs: readonly Buffer[]): void {
    assert(inputs.length > 0 && inputs.length + outputs.length <= 256, 'the kernel has room for the tables')
    this.#putFactors(matrix, inputs.length, outputs.length)
    const length = outputs.reduce((most, output) => Math.max(most, output.length), 0)
    if (this.#multiplyInRoom(inputs, outputs, length)) return
    const room = Math.floor(this.#rowsBytes / (inputs.length + outputs.length))
    const stride = Math.min(PIECE_BYTES_MAX, room - (room % this.#stepBytes))
    const outputsAt = this.#rows + inputs.length * stride
    for (let start = 0; start < length; start += stride) {
      const end = Math.min(length, start + stride)
      for (let i = 0; i < inputs.length; i++) this.#putRow(inputs[i]!, start, end, this.#rows + i * stride)
      this.#exports.multiply(
        outputs.length,
        inputs.length,
        this.#rows,
        stride,
        outputsAt,
        stride,
        end - start,
      )
      for (let i = 0; i < outputs.length; i++) {
        const output = outputs[i]!
        const from = outputsAt + i * stride
        if (output.length > start) {
          this.#memory.copy(output, start, from, from + Math.min(end, output.length) - start)
        }
      }
    }
  }

  /** Without copies: false where the rows do not lie in the room, one as far behind the other as the next. */
  #multiplyInRoom(inputs: readonly Buffer[], outputs: readonly Buffer[], length: number): boolean {
    const inputStride = this.#strideInRoom(inputs)
    const outputStride = this.#strideInRoom(outputs)
    if (inputStride === undefined || outputStride === undefined) return false
    for (const input of inputs) {
      const end = input.byteOffset + input.length
      if (input.length < length) this.#memory.fill(0, end, end + length - input.length)
    }
    const [input, output] = [inputs[0]!.byteOffset, outputs[0]!.byteOffset]
    this.#exports.multiply(outputs.length, inputs.length, input, inputStride, output, outputStride, length)
    return true
  }

  #strideInRoom(rows: readonly Buffer[]): number | undefined {
    const stride = rows.length < 2 ? 0 : rows[1]!.byteOffset - rows[0]!.byteOffset
    const isRegular = rows.every(
      ({ buffer, byteOffset }, i) =>
        buffer === this.#memory.buffer && byteOffset === rows[0]!.byteOffset + i * stride,
    )
    return isRegular && stride >= 0 ? stride : undefined
  }

  hash(bytes: Buffer): bigint {
    return this.hashOf([bytes])
  }

  /** Of pieces, one behind the other. */
  hashOf(pieces: readonly Buffer[]): bigint {
    this.#exports.hashStart()
    /** Of the staging area, where pieces go that are not in the room, and the ends that have no whole steps. */
    let filled = 0
    for (const piece of pieces) {
      let at = 0
      if (filled === 0 && piece.buffer === this.#memory.buffer) {
        at = piece.length - (piece.length % this.#stepBytes)
        this.#exports.hashMore(piece.byteOffset, at)
      }
      while (at < piece.length) {
        if (filled === PIECE_BYTES_MAX) {
          this.#exports.hashMore(this.#rows, PIECE_BYTES_MAX)
          filled = 0
        }
        const taken = piece.copy(this.#memory, this.#rows + filled, at, at + PIECE_BYTES_MAX - filled)
        filled += taken
        at += taken
      }
    }
    return BigInt.asUintN(64, this.#exports.hashEnd(this.#rows, filled))
  }

  #putFactors(matrix: Matrix, inputCount: number, outputCount: number): void {
    let at = this.#factors
    for (let row = 0; row < outputCount; row++) {
      const factors = matrix[row]!
      for (let column = 0; column < inputCount; column++) this.#memory[at++] = factors[column]!
    }
  }

  /** Bytes `start` to `end` of a row, with zeros behind its end. */
  #putRow(row: Buffer, start: number, end: number, at: number): void {
    const given = Math.max(0, Math.min(end, row.length) - start)
    if (given > 0) row.copy(this.#memory, at, start, start + given)
    if (given < end - start) this.#memory.fill(0, at + given, at + end - start)
  }
}
