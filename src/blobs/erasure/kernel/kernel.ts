/**
 * The loops of erasure coding in AssemblyScript, with 128-bit vectors: the product of a matrix over GF(2^8) and rows of bytes, and
 * XXH64. It is not run as it is: `node script/build-kernel.ts` compiles it into `../kernel-module.ts`.
 *
 * A product with one factor is looked up by half bytes: sixteen at a time by one instruction, which picks bytes from a
 * vector by the numbers in another. So each factor has two tables of sixteen products, of the low and of the high halves.
 */

// The memory: nothing but these areas, and no allocation.
/** For each factor its two tables. */
const PRODUCTS: usize = 0x2000
const PRODUCTS_EACH: usize = 32
/** The tables of two rows of the matrix, column by column, so that the inner loop reads them in order. */
const TABLES: usize = 0x4000
/** The four lanes of a hash, and the bytes that went into it. */
const HASH: usize = 0x1000
/** Here the caller puts the matrix, row by row. */
export const FACTORS: usize = 0x8000
/** Here the caller puts rows and finds rows; behind its end nothing may be written. */
export const ROWS: usize = 0x10000
export const ROWS_BYTES: usize = 0x40000
/** Rows are worked on in pieces of so many bytes; what follows a row up to a multiple of it is read and written too. */
export const STEP_BYTES: usize = 32

const POLYNOMIAL: u32 = 0x11d

/** Fills the tables; to be called once. */
export function prepare(): void {
  for (let factor: u32 = 0; factor < 256; factor++) {
    const table = PRODUCTS + <usize>factor * PRODUCTS_EACH
    for (let half: u32 = 0; half < 16; half++) {
      store<u8>(table + half, product(factor, half))
      store<u8>(table + half, product(factor, half << 4), 16)
    }
  }
}

function product(a: u32, b: u32): u8 {
  let sum: u32 = 0
  for (; b !== 0; b >>= 1) {
    if (b & 1) sum ^= a
    a <<= 1
    if (a & 0x100) a ^= POLYNOMIAL
  }
  return <u8>sum
}

/**
 * Rows of the matrix at FACTORS times the inputs. Row i of the inputs is at `inputs + i * inputStride`, and so on.
 * Two outputs are made in one pass over the inputs.
 */
export function multiply(
  outputCount: usize,
  inputCount: usize,
  inputs: usize,
  inputStride: usize,
  outputs: usize,
  outputStride: usize,
  length: usize,
): void {
  let factors = FACTORS
  let output = outputs
  for (; outputCount >= 2; outputCount -= 2) {
    copyTables(factors, inputCount, 0)
    copyTables(factors + inputCount, inputCount, PRODUCTS_EACH)
    multiplyTwo(inputCount, inputs, inputStride, output, output + outputStride, length)
    factors += 2 * inputCount
    output += 2 * outputStride
  }
  if (outputCount === 1) {
    copyTables(factors, inputCount, 0)
    multiplyOne(inputCount, inputs, inputStride, output, length)
  }
}

function copyTables(factors: usize, count: usize, offset: usize): void {
  for (let i: usize = 0; i < count; i++) {
    const from = PRODUCTS + <usize>load<u8>(factors + i) * PRODUCTS_EACH
    const to = TABLES + i * 2 * PRODUCTS_EACH + offset
    v128.store(to, v128.load(from))
    v128.store(to, v128.load(from, 16), 16)
  }
}

function multiplyTwo(
  inputCount: usize,
  inputs: usize,
  inputStride: usize,
  outputA: usize,
  outputB: usize,
  length: usize,
): void {
  const tablesEnd = TABLES + inputCount * 2 * PRODUCTS_EACH
  const mask = i8x16.splat(0x0f)
  for (let at: usize = 0; at < length; at += STEP_BYTES) {
    let a0 = i64x2.splat(0)
    let a1 = a0
    let b0 = a0
    let b1 = a0
    let input = inputs + at
    for (let table = TABLES; table < tablesEnd; table += 2 * PRODUCTS_EACH) {
      const x0 = v128.load(input)
      const x1 = v128.load(input, 16)
      const low0 = v128.and(x0, mask)
      const low1 = v128.and(x1, mask)
      const high0 = v128.and(i16x8.shr_u(x0, 4), mask)
      const high1 = v128.and(i16x8.shr_u(x1, 4), mask)
      const lowA = v128.load(table)
      const highA = v128.load(table, 16)
      a0 = v128.xor(a0, v128.xor(i8x16.relaxed_swizzle(lowA, low0), i8x16.relaxed_swizzle(highA, high0)))
      a1 = v128.xor(a1, v128.xor(i8x16.relaxed_swizzle(lowA, low1), i8x16.relaxed_swizzle(highA, high1)))
      const lowB = v128.load(table, 32)
      const highB = v128.load(table, 48)
      b0 = v128.xor(b0, v128.xor(i8x16.relaxed_swizzle(lowB, low0), i8x16.relaxed_swizzle(highB, high0)))
      b1 = v128.xor(b1, v128.xor(i8x16.relaxed_swizzle(lowB, low1), i8x16.relaxed_swizzle(highB, high1)))
      input += inputStride
    }
    v128.store(outputA + at, a0)
    v128.store(outputA + at, a1, 16)
    v128.store(outputB + at, b0)
    v128.store(outputB + at, b1, 16)
  }
}

function multiplyOne(
  inputCount: usize,
  inputs: usize,
  inputStride: usize,
  output: usize,
  length: usize,
): void {
  const tablesEnd = TABLES + inputCount * 2 * PRODUCTS_EACH
  const mask = i8x16.splat(0x0f)
  for (let at: usize = 0; at < length; at += STEP_BYTES) {
    let sum0 = i64x2.splat(0)
    let sum1 = sum0
    let input = inputs + at
    for (let table = TABLES; table < tablesEnd; table += 2 * PRODUCTS_EACH) {
      const x0 = v128.load(input)
      const x1 = v128.load(input, 16)
      const low = v128.load(table)
      const high = v128.load(table, 16)
      sum0 = v128.xor(sum0, i8x16.relaxed_swizzle(low, v128.and(x0, mask)))
      sum1 = v128.xor(sum1, i8x16.relaxed_swizzle(low, v128.and(x1, mask)))
      sum0 = v128.xor(sum0, i8x16.relaxed_swizzle(high, v128.and(i16x8.shr_u(x0, 4), mask)))
      sum1 = v128.xor(sum1, i8x16.relaxed_swizzle(high, v128.and(i16x8.shr_u(x1, 4), mask)))
      input += inputStride
    }
    v128.store(output + at, sum0)
    v128.store(output + at, sum1, 16)
  }
}

const PRIME_1: u64 = 0x9e3779b185ebca87
const PRIME_2: u64 = 0xc2b2ae3d27d4eb4f
const PRIME_3: u64 = 0x165667b19e3779f9
const PRIME_4: u64 = 0x85ebca77c2b2ae63
const PRIME_5: u64 = 0x27d4eb2f165667c5
/** The lanes take so many bytes at a time. */
const HASH_STEP_BYTES: usize = 32

/** Begins an XXH64 with seed 0. */
export function hashStart(): void {
  store<u64>(HASH, PRIME_1 + PRIME_2)
  store<u64>(HASH, PRIME_2, 8)
  store<u64>(HASH, 0, 16)
  store<u64>(HASH, 0 - PRIME_1, 24)
  store<u64>(HASH, 0, 32)
}

/** Takes a multiple of 32 bytes. */
export function hashMore(from: usize, length: usize): void {
  let lane1 = load<u64>(HASH)
  let lane2 = load<u64>(HASH, 8)
  let lane3 = load<u64>(HASH, 16)
  let lane4 = load<u64>(HASH, 24)
  for (let at = from; at < from + length; at += HASH_STEP_BYTES) {
    lane1 = hashRound(lane1, load<u64>(at))
    lane2 = hashRound(lane2, load<u64>(at, 8))
    lane3 = hashRound(lane3, load<u64>(at, 16))
    lane4 = hashRound(lane4, load<u64>(at, 24))
  }
  store<u64>(HASH, lane1)
  store<u64>(HASH, lane2, 8)
  store<u64>(HASH, lane3, 16)
  store<u64>(HASH, lane4, 24)
  store<u64>(HASH, load<u64>(HASH, 32) + length, 32)
}

/** Takes the last bytes, as many as there are, and gives the hash. */
export function hashEnd(from: usize, length: usize): u64 {
  const whole = length & ~(HASH_STEP_BYTES - 1)
  if (whole !== 0) hashMore(from, whole)
  let at = from + whole
  const end = from + length
  const total = load<u64>(HASH, 32) + (length - whole)
  let hash = total < HASH_STEP_BYTES ? PRIME_5 : mergedLanes()
  hash += total
  for (; at + 8 <= end; at += 8) hash = rotl<u64>(hash ^ hashRound(0, load<u64>(at)), 27) * PRIME_1 + PRIME_4
  if (at + 4 <= end) {
    hash = rotl<u64>(hash ^ (<u64>load<u32>(at) * PRIME_1), 23) * PRIME_2 + PRIME_3
    at += 4
  }
  for (; at < end; at++) hash = rotl<u64>(hash ^ (<u64>load<u8>(at) * PRIME_5), 11) * PRIME_1
  hash = (hash ^ (hash >> 33)) * PRIME_2
  hash = (hash ^ (hash >> 29)) * PRIME_3
  return hash ^ (hash >> 32)
}

function mergedLanes(): u64 {
  const lane1 = load<u64>(HASH)
  const lane2 = load<u64>(HASH, 8)
  const lane3 = load<u64>(HASH, 16)
  const lane4 = load<u64>(HASH, 24)
  let hash = rotl<u64>(lane1, 1) + rotl<u64>(lane2, 7) + rotl<u64>(lane3, 12) + rotl<u64>(lane4, 18)
  hash = hashMerge(hash, lane1)
  hash = hashMerge(hash, lane2)
  hash = hashMerge(hash, lane3)
  return hashMerge(hash, lane4)
}

function hashMerge(hash: u64, lane: u64): u64 {
  return (hash ^ hashRound(0, lane)) * PRIME_1 + PRIME_4
}

function hashRound(sum: u64, input: u64): u64 {
  return rotl<u64>(sum + input * PRIME_2, 31) * PRIME_1
}
