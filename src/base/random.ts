/** Randomness, by argument: the system's for real use, a seeded one for tests that must replay. */
import { randomBytes } from 'node:crypto'

export interface Random {
  /** A whole number from 0 to 2^32 - 1. */
  u32(): number
  /** A whole number from 0 to `below - 1`; `below` from 1 to 2^32. */
  below(below: number): number
  /** `length` random bytes. */
  bytes(length: number): Buffer
}

const POOL_BYTES = 4096
/** Longer ones are fetched for themselves. */
const POOLED_BYTES_MAX = 32
let pool = Buffer.alloc(0)
let poolUsed = 0

/** The operating system's generator, fetched in blocks. Fit for cookies, salts and secrets. */
export const systemRandom: Random = {
  u32() {
    const at = takeFromPool(4)
    return pool.readUInt32LE(at)
  },
  below: (below) => Math.floor((systemRandom.u32() / 2 ** 32) * below),
  bytes(length) {
    if (length > POOLED_BYTES_MAX) return randomBytes(length)
    const at = takeFromPool(length)
    const bytes = Buffer.allocUnsafe(length)
    pool.copy(bytes, 0, at, at + length)
    // Nothing that was given out stays here.
    pool.fill(0, at, at + length)
    return bytes
  },
}

/** Place of bytes that nobody has had, valid until the next call. */
function takeFromPool(length: number): number {
  if (poolUsed + length > pool.length) {
    pool = randomBytes(POOL_BYTES)
    poolUsed = 0
  }
  poolUsed += length
  return poolUsed - length
}

/** xorshift128 seeded by a number: the same seed gives the same run. Never for secrets. */
export function seededRandom(seed: number): Random {
  // Neighbouring seeds are mixed apart, or their first numbers would resemble each other.
  let [x, y, z, w] = [mix(seed) || 1, mix(seed + 1), mix(seed + 2), mix(seed + 3)]
  const u32 = () => {
    const t = x ^ (x << 11)
    x = y
    y = z
    z = w
    w = (w ^ (w >>> 19) ^ t ^ (t >>> 8)) >>> 0
    return w
  }
  for (let i = 0; i < 16; i++) u32()
  return {
    u32,
    below: (below) => Math.floor((u32() / 2 ** 32) * below),
    bytes(length) {
      const bytes = Buffer.allocUnsafe(length)
      for (let i = 0; i < length; i++) bytes[i] = u32()
      return bytes
    },
  }
}

/** The finalizer of MurmurHash3: every bit of the input moves half the bits of the result. */
function mix(value: number): number {
  let hash = value >>> 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
