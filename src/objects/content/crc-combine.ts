/**
 * The CRC of a whole from the CRCs of its parts, without the bytes. A CRC (with equal start and end value) of `a + b` is
 * CRC(a) moved through as many zero bytes as `b` has, and CRC(b) added to it. Moving through zeros is a multiplication by
 * x^(8 × bytes) modulo the polynomial, whose powers of two are squared once.
 */
import { assert } from '../../base/assert.ts'

/** A reflected polynomial: the highest bit is the lowest power of x. One of 32 bits is in the upper half. */
interface Polynomial {
  high: number
  low: number
}

const CRCS = {
  crc32: { bits: 32, high: 0xedb88320, low: 0 },
  crc32c: { bits: 32, high: 0x82f63b78, low: 0 },
  crc64nvme: { bits: 64, high: 0x9a6c9329, low: 0xac4bc9b5 },
} as const

type Crc = Polynomial & { bits: 32 | 64 }

export type CrcName = keyof typeof CRCS

const ONE: Polynomial = { high: 0x80000000, low: 0 }
const X_TO_8: Polynomial = { high: 0x00800000, low: 0 }

/** CRC of all parts one behind the other. Each CRC is its bytes, big-endian, as clients send them. */
export function combineCrcs(name: CrcName, parts: readonly { crc: Buffer; sizeBytes: number }[]): Buffer {
  const crc = CRCS[name]
  const squares: Polynomial[] = [X_TO_8]
  let whole: Polynomial = { high: 0, low: 0 }
  let [lastSize, lastPower] = [0, ONE]
  for (const part of parts) {
    assert(part.crc.length * 8 === crc.bits, 'a CRC has the length of its kind')
    // All parts but the last one mostly have the same length.
    if (part.sizeBytes !== lastSize) lastPower = powerOfX(crc, part.sizeBytes, squares)
    lastSize = part.sizeBytes
    whole = multiply(crc, whole, lastPower)
    whole.high ^= part.crc.readUInt32BE(0)
    if (crc.bits === 64) whole.low ^= part.crc.readUInt32BE(4)
  }
  const result = Buffer.allocUnsafe(crc.bits / 8)
  result.writeInt32BE(whole.high | 0, 0)
  if (crc.bits === 64) result.writeInt32BE(whole.low | 0, 4)
  return result
}

/** x^(8 × bytes) modulo the polynomial. `squares`: x^8, x^16, x^32, …, as far as they were needed. */
function powerOfX(crc: Crc, bytes: number, squares: Polynomial[]): Polynomial {
  let result = ONE
  for (let left = bytes, at = 0; left > 0; left = Math.floor(left / 2), at++) {
    if (at === squares.length) squares.push(multiply(crc, squares[at - 1]!, squares[at - 1]!))
    if (left % 2 === 1) result = multiply(crc, result, squares[at]!)
  }
  return result
}

function multiply(crc: Crc, a: Polynomial, b: Polynomial): Polynomial {
  const product: Polynomial = { high: 0, low: 0 }
  let { high, low } = b
  for (let bit = 0; bit < crc.bits; bit++) {
    const factor = bit < 32 ? a.high << bit : a.low << (bit - 32)
    if (factor < 0) {
      product.high ^= high
      product.low ^= low
    }
    const carry = (crc.bits === 64 ? low : high) & 1
    low = (low >>> 1) | ((high & 1) << 31)
    high >>>= 1
    if (carry === 1) {
      high ^= crc.high
      low ^= crc.low
    }
    if (crc.bits === 32) low = 0
  }
  return product
}
