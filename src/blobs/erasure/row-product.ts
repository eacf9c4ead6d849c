/** The product of a matrix over GF(2^8) and long rows of bytes: where Reed-Solomon coding spends its time. */
import { type Matrix, multiply } from './galois.ts'

export interface RowProduct {
  /**
   * `outputs[r]` becomes the sum of `matrix[r][c] * inputs[c]`, byte by byte. An input that is shorter than an output goes
   * on with zeros; what it has beyond the longest output is not looked at. Inputs and outputs do not overlap.
   */
  multiply(matrix: Matrix, inputs: readonly Buffer[], outputs: readonly Buffer[]): void
}

/** Outputs that one look-up serves: a byte each of a 32-bit number. */
const OUTPUTS_AT_ONCE = 4
const BLOCK_BYTES = 4_096

/** In plain TypeScript, by tables: the reference for the tests of the kernel, and what it is compared with. */
export class PlainRowProduct implements RowProduct {
  readonly #sums = new Int32Array(BLOCK_BYTES)
  readonly #tables = new Map<string, Int32Array>()

  multiply(matrix: Matrix, inputs: readonly Buffer[], outputs: readonly Buffer[]): void {
    for (let row = 0; row < outputs.length; row += OUTPUTS_AT_ONCE) {
      const targets = outputs.slice(row, row + OUTPUTS_AT_ONCE)
      const rows = matrix.slice(row, row + targets.length)
      const tables = inputs.map((_, column) => this.#table(rows.map((each) => each[column]!)))
      const end = Math.max(...targets.map((target) => target.length))
      for (let start = 0; start < end; start += BLOCK_BYTES) {
        this.#sums.fill(0)
        for (const [column, input] of inputs.entries()) {
          addProducts(this.#sums, tables[column]!, input.subarray(start, start + BLOCK_BYTES))
        }
        for (const [at, target] of targets.entries()) {
          takeByte(this.#sums, 8 * at, target.subarray(start, start + BLOCK_BYTES))
        }
      }
    }
  }

  /** For each byte its products with up to four factors, the first in the lowest byte. */
  #table(factors: readonly number[]): Int32Array {
    const name = factors.join()
    const known = this.#tables.get(name)
    if (known !== undefined) return known
    const table = Int32Array.from({ length: 256 }, (_, byte) =>
      factors.reduce((all, factor, at) => all | (multiply(factor, byte) << (8 * at)), 0),
    )
    this.#tables.set(name, table)
    return table
  }
}

function addProducts(sums: Int32Array, table: Int32Array, input: Buffer): void {
  const { length } = input
  for (let i = 0; i < length; i++) sums[i] = sums[i]! ^ table[input[i]!]!
}

function takeByte(sums: Int32Array, shift: number, output: Buffer): void {
  const { length } = output
  for (let i = 0; i < length; i++) output[i] = sums[i]! >>> shift
}
