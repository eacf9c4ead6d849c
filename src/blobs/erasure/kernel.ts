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
  memory: { buffer: ArrayBuffer }
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

export class Kernel implements RowProduct, BlobHash {
  readonly #exports: KernelExports
  readonly #memory: Buffer
  readonly #factors: number
  readonly #rows: number
  readonly #rowsBytes: number
  readonly #stepBytes: number

  constructor() {
    const module = new WebAssembly.Module(Buffer.from(KERNEL_BASE64, 'base64'))
    this.#exports = new WebAssembly.Instance(module).exports as KernelExports
    this.#memory = Buffer.from(this.#exports.memory.buffer)
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

  hash(bytes: Buffer): bigint {
    this.#exports.hashStart()
    let start = 0
    for (; bytes.length - start > PIECE_BYTES_MAX; start += PIECE_BYTES_MAX) {
      bytes.copy(this.#memory, this.#rows, start, start + PIECE_BYTES_MAX)
      this.#exports.hashMore(this.#rows, PIECE_BYTES_MAX)
    }
    bytes.copy(this.#memory, this.#rows, start)
    return BigInt.asUintN(64, this.#exports.hashEnd(this.#rows, bytes.length - start))
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
