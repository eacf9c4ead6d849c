/**
 * CRC32C (Castagnoli, polynomial 0x1EDC6F41 reflected, as in RFC 3720), which SeaweedFS's needles and ours use. The version of the
 * package matters: docs/decisions/0014-crc32c-built-for-sse42.md.
 */
import { crc32c as nativeCrc32c } from '@node-rs/crc32'

/**
 * CRC32C of `bytes`, as an unsigned 32-bit number.
 * `previous` continues an earlier result: `crc32c(b, crc32c(a))` equals `crc32c(a + b)`. The start is 0.
 */
export function crc32c(bytes: Buffer, previous = 0): number {
  return nativeCrc32c(bytes, previous)
}

const POLYNOMIAL_REFLECTED = 0x82f63b78
const TABLE = crcTable()

function crcTable(): Int32Array {
  const table = new Int32Array(256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) !== 0 ? (crc >>> 1) ^ POLYNOMIAL_REFLECTED : crc >>> 1
    table[byte] = crc
  }
  return table
}

/** Up to this many bytes, the call into native code and the window that it needs cost more than the sum itself. */
const SHORT_BYTES_MAX = 64

/** `crc32c` of the bytes from `start` up to `end`; made for pieces of a few bytes. */
export function crc32cBetween(bytes: Buffer, start: number, end: number, previous = 0): number {
  if (end - start > SHORT_BYTES_MAX) return nativeCrc32c(bytes.subarray(start, end), previous)
  let crc = ~previous
  for (let at = start; at < end; at++) crc = TABLE[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8)
  return ~crc >>> 0
}

/**
 * The start value with which a message of `lengthBytes` has the CRC `crc`, when it has `crcFromZero` from 0. A CRC is linear
 * in its start value, so there is exactly one; it is found by running the division backwards.
 */
export function solveCrc32cStart(crc: number, crcFromZero: number, lengthBytes: number): number {
  let state = (crc ^ crcFromZero) >>> 0
  for (let bit = 0; bit < lengthBytes * 8; bit++) {
    const carried = (state & 0x80000000) !== 0
    state = (carried ? ((state ^ POLYNOMIAL_REFLECTED) << 1) | 1 : state << 1) >>> 0
  }
  return state
}

/** The power of x that stands for `bytes` zero bytes, for `joinCrc32c`: x^(8 × bytes) modulo the polynomial. */
export function crc32cShift(bytes: number): number {
  let [power, square] = [0x80000000, 0x00800000]
  for (let left = bytes; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) power = multiplied(power, square)
    square = multiplied(square, square)
  }
  return power
}

/** CRC32C of `a + b` from those of both; `shift` is `crc32cShift` of the length of `b`. */
export function joinCrc32c(a: number, b: number, shift: number): number {
  return (multiplied(a, shift) ^ b) >>> 0
}

/** Of polynomials, whose highest bit is the lowest power of x. */
function multiplied(a: number, b: number): number {
  let [product, factor] = [0, b]
  for (let bit = 0; bit < 32; bit++) {
    if (a << bit < 0) product ^= factor
    factor = (factor & 1) !== 0 ? (factor >>> 1) ^ POLYNOMIAL_REFLECTED : factor >>> 1
  }
  return product
}
