/**
 * Reed-Solomon coding: k shards of data and m of parity, of which any k give back all. A code is made byte by byte, so pieces of
 * shards can be coded and rebuilt as whole ones are, as long as all are from the same place.
 */
import { assert } from '../../base/assert.ts'
import { codingMatrix, invertMatrix, type Matrix, multiplyMatrices } from './galois.ts'
import { Kernel } from './kernel.ts'
import type { RowProduct } from './row-product.ts'

/** Elements of the field, so the most rows that can differ. */
const SHARDS_MAX = 256
/** Patterns of losses whose matrices are kept. */
const PATTERNS_KEPT_MAX = 1_024

export interface ReedSolomonOptions {
  /** Shards of data, at least 1. */
  k: number
  /** Shards of parity, at least 1; k + m is at most 256. */
  m: number
  /** Who multiplies; the kernel unless a test wants otherwise. */
  product?: RowProduct
}

export class ReedSolomon {
  readonly k: number
  readonly m: number
  readonly #matrix: Matrix
  readonly #product: RowProduct
  readonly #rebuildRows = new Map<string, Matrix>()

  constructor(options: ReedSolomonOptions) {
    const { k, m } = options
    assert(Number.isInteger(k) && k >= 1, 'there is a shard of data')
    assert(Number.isInteger(m) && m >= 1 && k + m <= SHARDS_MAX, 'there are 1 to 256 - k shards of parity')
    this.k = k
    this.m = m
    this.#matrix = codingMatrix(k, m)
    this.#product = options.product ?? new Kernel()
  }

  /** Bytes of each shard of a blob. */
  shardBytes(blobBytes: number): number {
    return Math.ceil(blobBytes / this.k)
  }

  /** `outputs` become the shards of parity with these indexes, k to k+m-1. Shards of data may end before their zeros do. */
  makeParity(data: readonly Buffer[], indexes: readonly number[], outputs: readonly Buffer[]): void {
    assert(data.length === this.k, 'parity is made from all data')
    this.#product.multiply(
      indexes.map((index) => this.#matrix[index]!),
      data,
      outputs,
    )
  }

  /**
   * `outputs` become the shards `missing`, made from k of those that are given at their index. An output that is shorter
   * gets the beginning of its shard; a shard of data may end before its zeros do. At least k must be given.
   */
  rebuild(
    shards: readonly (Buffer | undefined)[],
    missing: readonly number[],
    outputs: readonly Buffer[],
  ): void {
    const given = [...shards.keys()].filter((index) => shards[index] !== undefined).slice(0, this.k)
    assert(given.length === this.k, 'k shards make the others')
    this.#product.multiply(
      this.#rowsFor(given, missing),
      given.map((index) => shards[index]!),
      outputs,
    )
  }

  /** How the missing shards come from the given ones. */
  #rowsFor(given: readonly number[], missing: readonly number[]): Matrix {
    const pattern = `${given.join()}:${missing.join()}`
    const known = this.#rebuildRows.get(pattern)
    if (known !== undefined) return known
    const rowsOf = (indexes: readonly number[]) => indexes.map((index) => this.#matrix[index]!)
    const rows = multiplyMatrices(rowsOf(missing), invertMatrix(rowsOf(given)))
    if (this.#rebuildRows.size >= PATTERNS_KEPT_MAX) this.#rebuildRows.clear()
    this.#rebuildRows.set(pattern, rows)
    return rows
  }
}
