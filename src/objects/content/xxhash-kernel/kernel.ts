/**
 * XXH64 and XXH3 (64 and 128 bits), with seed 0, in AssemblyScript: 64-bit arithmetic that JavaScript only has slowly. It is not
 * run as it is: `node script/build-kernel.ts` compiles it into `../xxhash-module.ts`. An instance computes one hash.
 * https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
 *
 * The caller puts bytes at the place that `room` gives, then calls `more`. What cannot be taken in yet stays at the front.
 */

/** Here the caller puts the secret of XXH3. */
export const SECRET: usize = 0x100
const SECRET_BYTES: usize = 192
const ACCUMULATORS: usize = 0x200
const WINDOW: usize = 0x400
/** So many bytes may come at a time. */
export const PIECE_BYTES: usize = 32768

const P32_1: u64 = 0x9e3779b1
const P32_2: u64 = 0x85ebca77
const P32_3: u64 = 0xc2b2ae3d
const P64_1: u64 = 0x9e3779b185ebca87
const P64_2: u64 = 0xc2b2ae3d27d4eb4f
const P64_3: u64 = 0x165667b19e3779f9
const P64_4: u64 = 0x85ebca77c2b2ae63
const P64_5: u64 = 0x27d4eb2f165667c5
const MIX_1: u64 = 0x165667919e3779f9
const MIX_2: u64 = 0x9fb21c651e98df25

const SHORT_BYTES_MAX: u64 = 240
const STRIPE_BYTES: usize = 64
const STRIPES_OF_BLOCK: usize = 16
const LANES_BYTES: usize = 32

let isXxh3: bool = false
let totalBytes: u64 = 0
/** In the window: bytes that are taken in but may be needed again, and those that wait behind them. */
let keptBytes: usize = 0
let waitingBytes: usize = 0
let stripe: usize = 0
/** The upper half of what `end128` has computed. */
let high: u64 = 0

export function start(asXxh3: bool): void {
  isXxh3 = asXxh3
  if (asXxh3) {
    lane(0, P32_3)
    lane(1, P64_1)
    lane(2, P64_2)
    lane(3, P64_3)
    lane(4, P64_4)
    lane(5, P32_2)
    lane(6, P64_5)
    lane(7, P32_1)
  } else {
    lane(0, P64_1 + P64_2)
    lane(1, P64_2)
    lane(2, 0)
    lane(3, 0 - P64_1)
  }
}

function lane(at: usize, value: u64): void {
  store<u64>(ACCUMULATORS + at * 8, value)
}

/** Where the next bytes go. */
export function room(): usize {
  return WINDOW + keptBytes + waitingBytes
}

export function more(lengthBytes: usize): void {
  totalBytes += lengthBytes
  waitingBytes += lengthBytes
  let at = WINDOW + keptBytes
  const end = at + waitingBytes
  if (!isXxh3) {
    for (; at + LANES_BYTES <= end; at += LANES_BYTES) takeLanes(at)
    waitingBytes = end - at
    memory.copy(WINDOW, at, waitingBytes)
    return
  }
  if (totalBytes <= SHORT_BYTES_MAX) return
  // The last stripe is always left for the end, where it may reach back into bytes that are taken in.
  for (; at + STRIPE_BYTES < end; at += STRIPE_BYTES) takeStripe(at)
  const from = max(at - STRIPE_BYTES, WINDOW)
  keptBytes = at - from
  waitingBytes = end - at
  memory.copy(WINDOW, from, end - from)
}

// XXH64

function round64(sum: u64, input: u64): u64 {
  return rotl(sum + input * P64_2, 31) * P64_1
}

function takeLanes(at: usize): void {
  for (let i: usize = 0; i < LANES_BYTES; i += 8) {
    store<u64>(ACCUMULATORS + i, round64(load<u64>(ACCUMULATORS + i), load<u64>(at + i)))
  }
}

function avalanche64(hash: u64): u64 {
  hash = (hash ^ (hash >> 33)) * P64_2
  hash = (hash ^ (hash >> 29)) * P64_3
  return hash ^ (hash >> 32)
}

function end64(): u64 {
  let hash = P64_5
  if (totalBytes >= LANES_BYTES) {
    const a = load<u64>(ACCUMULATORS)
    const b = load<u64>(ACCUMULATORS, 8)
    const c = load<u64>(ACCUMULATORS, 16)
    const d = load<u64>(ACCUMULATORS, 24)
    hash = rotl(a, 1) + rotl(b, 7) + rotl(c, 12) + rotl(d, 18)
    hash = (hash ^ round64(0, a)) * P64_1 + P64_4
    hash = (hash ^ round64(0, b)) * P64_1 + P64_4
    hash = (hash ^ round64(0, c)) * P64_1 + P64_4
    hash = (hash ^ round64(0, d)) * P64_1 + P64_4
  }
  hash += totalBytes
  let at = WINDOW
  const end = WINDOW + waitingBytes
  for (; at + 8 <= end; at += 8) hash = rotl(hash ^ round64(0, load<u64>(at)), 27) * P64_1 + P64_4
  for (; at + 4 <= end; at += 4) hash = rotl(hash ^ (<u64>load<u32>(at) * P64_1), 23) * P64_2 + P64_3
  for (; at < end; at++) hash = rotl(hash ^ (<u64>load<u8>(at) * P64_5), 11) * P64_1
  return avalanche64(hash)
}

// XXH3

function takeStripe(at: usize): void {
  accumulate(at, SECRET + stripe * 8)
  if (++stripe < STRIPES_OF_BLOCK) return
  stripe = 0
  for (let i: usize = 0; i < 64; i += 8) {
    let sum = load<u64>(ACCUMULATORS + i)
    sum = (sum ^ (sum >> 47) ^ load<u64>(SECRET + SECRET_BYTES - 64 + i)) * P32_1
    store<u64>(ACCUMULATORS + i, sum)
  }
}

function accumulate(at: usize, secret: usize): void {
  for (let i: usize = 0; i < 64; i += 8) {
    const data = load<u64>(at + i)
    const key = data ^ load<u64>(secret + i)
    const beside = ACCUMULATORS + (i ^ 8)
    store<u64>(beside, load<u64>(beside) + data)
    const own = ACCUMULATORS + i
    store<u64>(own, load<u64>(own) + (key & 0xffffffff) * (key >> 32))
  }
}

/** The lower half of the product of 128 bits; the upper one is left in `high`. */
function multiply(a: u64, b: u64): u64 {
  const aLow = a & 0xffffffff
  const aHigh = a >> 32
  const bLow = b & 0xffffffff
  const bHigh = b >> 32
  const low = aLow * bLow
  const cross = (low >> 32) + ((aHigh * bLow) & 0xffffffff) + aLow * bHigh
  high = ((aHigh * bLow) >> 32) + (cross >> 32) + aHigh * bHigh
  return (cross << 32) | (low & 0xffffffff)
}

function folded(a: u64, b: u64): u64 {
  const low = multiply(a, b)
  return low ^ high
}

function avalanche(hash: u64): u64 {
  hash = (hash ^ (hash >> 37)) * MIX_1
  return hash ^ (hash >> 32)
}

function mixed(at: usize, secret: usize): u64 {
  return folded(load<u64>(at) ^ load<u64>(secret), load<u64>(at, 8) ^ load<u64>(secret, 8))
}

function merged(secret: usize, from: u64): u64 {
  let sum = from
  for (let i: usize = 0; i < 64; i += 16) {
    const a = load<u64>(ACCUMULATORS + i)
    const b = load<u64>(ACCUMULATORS + i, 8)
    sum += folded(a ^ load<u64>(secret + i), b ^ load<u64>(secret + i, 8))
  }
  return avalanche(sum)
}

function takeLast(): void {
  accumulate(WINDOW + keptBytes + waitingBytes - STRIPE_BYTES, SECRET + SECRET_BYTES - 71)
}

/** Of up to three bytes: all of them, and how many. */
function fewBytes(length: usize): u32 {
  const first = <u32>load<u8>(WINDOW)
  const middle = <u32>load<u8>(WINDOW + (length >> 1))
  const last = <u32>load<u8>(WINDOW + length - 1)
  return (first << 16) | (middle << 24) | last | ((<u32>length) << 8)
}

/** XXH64, or XXH3 with 64 bits. */
export function end(): u64 {
  if (!isXxh3) return end64()
  const length = <usize>totalBytes
  if (totalBytes > SHORT_BYTES_MAX) {
    takeLast()
    return merged(SECRET + 11, totalBytes * P64_1)
  }
  if (length > 16) return endOfMedium(length)
  const last = WINDOW + length
  if (length > 8) {
    const low = load<u64>(WINDOW) ^ load<u64>(SECRET, 24) ^ load<u64>(SECRET, 32)
    const upper = load<u64>(last - 8) ^ load<u64>(SECRET, 40) ^ load<u64>(SECRET, 48)
    return avalanche(totalBytes + bswap(low) + upper + folded(low, upper))
  }
  if (length >= 4) {
    const keyed =
      (<u64>load<u32>(last - 4) + ((<u64>load<u32>(WINDOW)) << 32)) ^
      load<u64>(SECRET, 8) ^
      load<u64>(SECRET, 16)
    let hash = (keyed ^ rotl(keyed, 49) ^ rotl(keyed, 24)) * MIX_2
    hash = (hash ^ ((hash >> 35) + totalBytes)) * MIX_2
    return hash ^ (hash >> 28)
  }
  if (length > 0) return avalanche64(<u64>(fewBytes(length) ^ load<u32>(SECRET) ^ load<u32>(SECRET, 4)))
  return avalanche64(load<u64>(SECRET, 56) ^ load<u64>(SECRET, 64))
}

/** 17 to 240 bytes. */
function endOfMedium(length: usize): u64 {
  const last = WINDOW + length
  let sum = totalBytes * P64_1
  if (length <= 128) {
    for (let i = (length - 1) / 32 + 1; i > 0; i--) {
      sum += mixed(WINDOW + 16 * (i - 1), SECRET + 32 * (i - 1))
      sum += mixed(last - 16 * i, SECRET + 32 * (i - 1) + 16)
    }
    return avalanche(sum)
  }
  for (let i: usize = 0; i < 8; i++) sum += mixed(WINDOW + 16 * i, SECRET + 16 * i)
  sum = avalanche(sum)
  for (let i: usize = 8; i < length / 16; i++) sum += mixed(WINDOW + 16 * i, SECRET + 16 * (i - 8) + 3)
  return avalanche(sum + mixed(last - 16, SECRET + 119))
}

/** XXH3 with 128 bits: the lower half. The upper one is `upper`. */
export function end128(): u64 {
  const length = <usize>totalBytes
  if (totalBytes > SHORT_BYTES_MAX) {
    takeLast()
    const low = merged(SECRET + 11, totalBytes * P64_1)
    const above = merged(SECRET + SECRET_BYTES - 75, ~(totalBytes * P64_2))
    high = above
    return low
  }
  if (length > 16) return end128OfMedium(length)
  if (length > 8) return end128OfNine(length)
  if (length >= 4) {
    const last = WINDOW + length
    const input = <u64>load<u32>(WINDOW) + ((<u64>load<u32>(last - 4)) << 32)
    let low = multiply(input ^ load<u64>(SECRET, 16) ^ load<u64>(SECRET, 24), P64_1 + (totalBytes << 2))
    high += low << 1
    low ^= high >> 3
    low = (low ^ (low >> 35)) * MIX_2
    high = avalanche(high)
    return low ^ (low >> 28)
  }
  if (length > 0) {
    const few = fewBytes(length)
    high = avalanche64(<u64>(rotl(bswap(few), 13) ^ load<u32>(SECRET, 8) ^ load<u32>(SECRET, 12)))
    return avalanche64(<u64>(few ^ load<u32>(SECRET) ^ load<u32>(SECRET, 4)))
  }
  high = avalanche64(load<u64>(SECRET, 80) ^ load<u64>(SECRET, 88))
  return avalanche64(load<u64>(SECRET, 64) ^ load<u64>(SECRET, 72))
}

export function upper(): u64 {
  return high
}

/** 9 to 16 bytes. */
function end128OfNine(length: usize): u64 {
  const first = load<u64>(WINDOW)
  const last = load<u64>(WINDOW + length - 8)
  let low = multiply(first ^ last ^ load<u64>(SECRET, 32) ^ load<u64>(SECRET, 40), P64_1)
  low += (totalBytes - 1) << 54
  const flipped = last ^ load<u64>(SECRET, 48) ^ load<u64>(SECRET, 56)
  const above = high + flipped + (flipped & 0xffffffff) * (P32_2 - 1)
  low ^= bswap(above)
  const hash = multiply(low, P64_2)
  high = avalanche(high + above * P64_2)
  return avalanche(hash)
}

let sumLow: u64 = 0
let sumHigh: u64 = 0

/** Takes two times 16 bytes into both sums. */
function mixPair(a: usize, b: usize, secret: usize): void {
  sumLow = (sumLow + mixed(a, secret)) ^ (load<u64>(b) + load<u64>(b, 8))
  sumHigh = (sumHigh + mixed(b, secret + 16)) ^ (load<u64>(a) + load<u64>(a, 8))
}

/** 17 to 240 bytes. */
function end128OfMedium(length: usize): u64 {
  const last = WINDOW + length
  sumLow = totalBytes * P64_1
  sumHigh = 0
  if (length <= 128) {
    for (let i = (length - 1) / 32 + 1; i > 0; i--)
      mixPair(WINDOW + 16 * (i - 1), last - 16 * i, SECRET + 32 * (i - 1))
  } else {
    for (let i: usize = 0; i < 4; i++) mixPair(WINDOW + 32 * i, WINDOW + 32 * i + 16, SECRET + 32 * i)
    sumLow = avalanche(sumLow)
    sumHigh = avalanche(sumHigh)
    for (let i: usize = 4; i < length / 32; i++)
      mixPair(WINDOW + 32 * i, WINDOW + 32 * i + 16, SECRET + 3 + 32 * (i - 4))
    mixPair(last - 16, last - 32, SECRET + 103)
  }
  const hash = avalanche(sumLow + sumHigh)
  high = 0 - avalanche(sumLow * P64_1 + sumHigh * P64_4 + totalBytes * P64_2)
  return hash
}
