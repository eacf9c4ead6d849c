/**
 * The field GF(2^8) with polynomial 0x11D, and matrices over it: all that Reed-Solomon coding needs besides the multiplication
 * of long rows, which `RowProduct` does. The coding matrix is the default one of the Go library klauspost/reedsolomon, so
 * that shards of both agree.
 */
import { assert } from '../../base/assert.ts'

/** Rows of field elements. */
export type Matrix = readonly Uint8Array[]

const POLYNOMIAL = 0x11d
const ORDER = 255

/** Powers of 2, twice over so that a sum of two logarithms is an index, and logarithms. */
const { POWERS, LOGARITHMS } = powerTables()

function powerTables(): { POWERS: Uint8Array; LOGARITHMS: Uint8Array } {
  const [powers, logarithms] = [new Uint8Array(2 * ORDER), new Uint8Array(256)]
  let value = 1
  for (let exponent = 0; exponent < ORDER; exponent++) {
    powers[exponent] = value
    powers[exponent + ORDER] = value
    logarithms[value] = exponent
    value <<= 1
    if (value > 0xff) value ^= POLYNOMIAL
  }
  return { POWERS: powers, LOGARITHMS: logarithms }
}

/** Addition and subtraction are both `^`. */
export function multiply(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : POWERS[LOGARITHMS[a]! + LOGARITHMS[b]!]!
}

export function inverse(a: number): number {
  assert(a !== 0, 'zero has no inverse')
  return POWERS[ORDER - LOGARITHMS[a]!]!
}

function power(base: number, exponent: number): number {
  let result = 1
  for (let i = 0; i < exponent; i++) result = multiply(result, base)
  return result
}

/**
 * The matrix that makes k+m shards of k: a Vandermonde matrix made systematic, so its first k rows are the identity and
 * any k of its rows can be inverted. k + m is at most 256.
 */
export function codingMatrix(k: number, m: number): Matrix {
  const vandermonde = Array.from({ length: k + m }, (_, row) =>
    Uint8Array.from({ length: k }, (_, column) => power(row, column)),
  )
  return multiplyMatrices(vandermonde, invertMatrix(vandermonde.slice(0, k)))
}

export function multiplyMatrices(left: Matrix, right: Matrix): Matrix {
  const columns = right[0]!.length
  return left.map((row) =>
    Uint8Array.from({ length: columns }, (_, column) =>
      row.reduce((sum, value, i) => sum ^ multiply(value, right[i]![column]!), 0),
    ),
  )
}

/** Gauss-Jordan elimination. The matrix must be square, and is a bug of the caller where it has no inverse. */
export function invertMatrix(matrix: Matrix): Matrix {
  const size = matrix.length
  // Each row with the identity's beside it.
  const rows = matrix.map((row, at) => {
    const wide = new Uint8Array(2 * size)
    wide.set(row)
    wide[size + at] = 1
    return wide
  })
  for (let column = 0; column < size; column++) {
    const pivot = rows.findIndex((row, at) => at >= column && row[column] !== 0)
    assert(pivot !== -1, 'a matrix of coding rows has an inverse')
    const row = rows[pivot]!
    rows[pivot] = rows[column]!
    rows[column] = row
    const factor = inverse(row[column]!)
    for (let i = 0; i < row.length; i++) row[i] = multiply(row[i]!, factor)
    for (const other of rows) {
      const times = other[column]!
      if (other === row || times === 0) continue
      for (let i = 0; i < other.length; i++) other[i]! ^= multiply(times, row[i]!)
    }
  }
  return rows.map((row) => row.subarray(size))
}
