/** CRC32C (Castagnoli, polynomial 0x1EDC6F41 reflected, as in RFC 3720), which SeaweedFS's needles and ours use. */
import { crc32c as nativeCrc32c } from '@node-rs/crc32'

/**
 * CRC32C of `bytes`, as an unsigned 32-bit number.
 * `previous` continues an earlier result: `crc32c(b, crc32c(a))` equals `crc32c(a + b)`. The start is 0.
 */
export function crc32c(bytes: Buffer, previous = 0): number {
  return nativeCrc32c(bytes, previous)
}

const POLYNOMIAL_REFLECTED = 0x82f63b78

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
