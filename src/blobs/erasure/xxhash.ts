/** XXH64, a hash of 64 bits against accidents, not against forgers. */

export interface BlobHash {
  /** XXH64 with seed 0. */
  hash(bytes: Buffer): bigint
}

const [P1, P2, P3, P4, P5] = [
  0x9e3779b185ebca87n,
  0xc2b2ae3d27d4eb4fn,
  0x165667b19e3779f9n,
  0x85ebca77c2b2ae63n,
  0x27d4eb2f165667c5n,
] as const
const LANES_BYTES = 32

const u64 = (value: bigint) => BigInt.asUintN(64, value)
const rotate = (value: bigint, bits: bigint) => u64((value << bits) | (value >> (64n - bits)))
const round = (sum: bigint, input: bigint) => u64(rotate(u64(sum + input * P2), 31n) * P1)
const mergeRound = (hash: bigint, lane: bigint) => u64((hash ^ round(0n, lane)) * P1 + P4)

/** In plain TypeScript, slowly: the reference for the tests of the kernel. */
export class PlainBlobHash implements BlobHash {
  hash(bytes: Buffer): bigint {
    let at = 0
    let hash: bigint = P5
    if (bytes.length >= LANES_BYTES) {
      const lanes = [u64(P1 + P2), P2, 0n, u64(-P1)]
      for (; at + LANES_BYTES <= bytes.length; at += LANES_BYTES) {
        for (let i = 0; i < 4; i++) lanes[i] = round(lanes[i]!, bytes.readBigUInt64LE(at + 8 * i))
      }
      const rotations = [1n, 7n, 12n, 18n]
      hash = u64(lanes.reduce((sum, lane, i) => sum + rotate(lane, rotations[i]!), 0n))
      for (const lane of lanes) hash = mergeRound(hash, lane)
    }
    hash = u64(hash + BigInt(bytes.length))
    for (; at + 8 <= bytes.length; at += 8) {
      hash = u64(rotate(hash ^ round(0n, bytes.readBigUInt64LE(at)), 27n) * P1 + P4)
    }
    for (; at + 4 <= bytes.length; at += 4) {
      hash = u64(rotate(hash ^ u64(BigInt(bytes.readUInt32LE(at)) * P1), 23n) * P2 + P3)
    }
    for (; at < bytes.length; at++) hash = u64(rotate(hash ^ u64(BigInt(bytes[at]!) * P5), 11n) * P1)
    hash = u64((hash ^ (hash >> 33n)) * P2)
    hash = u64((hash ^ (hash >> 29n)) * P3)
    return hash ^ (hash >> 32n)
  }
}
