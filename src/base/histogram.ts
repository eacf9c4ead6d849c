/**
 * Times of many requests in a fixed amount of memory: buckets whose width grows with the value, so that each
 * value is known to within 0.8 %, whether it took 20 microseconds or 20 seconds. Count, least, greatest, mean and
 * deviation are exact.
 */
import { assert } from './assert.ts'

/** Each doubling of the value is cut into this many buckets; values below it have a bucket of their own. */
const SUB_BUCKETS = 128
const SUB_BUCKET_BITS = 7
/** Values at or above 2^40 (for microseconds: 12 days) share the last bucket. */
const VALUE_BITS_MAX = 40
const BUCKETS = (VALUE_BITS_MAX - SUB_BUCKET_BITS + 1) * SUB_BUCKETS

/** What a histogram sends from one thread to another. */
export interface HistogramState {
  counts: Float64Array<ArrayBuffer>
  count: number
  min: number
  max: number
  sum: number
  sumOfSquares: number
}

export class Histogram {
  readonly #counts: Float64Array<ArrayBuffer>
  #count = 0
  #min = Number.POSITIVE_INFINITY
  #max = 0
  #sum = 0
  #sumOfSquares = 0

  constructor() {
    this.#counts = new Float64Array(BUCKETS)
  }

  get count(): number {
    return this.#count
  }

  /** The least value, 0 when there is none. */
  get min(): number {
    return this.#count === 0 ? 0 : this.#min
  }

  get max(): number {
    return this.#max
  }

  get mean(): number {
    return this.#count === 0 ? 0 : this.#sum / this.#count
  }

  /** Standard deviation of all values (not an estimate from a sample). */
  get deviation(): number {
    if (this.#count === 0) return 0
    const mean = this.mean
    return Math.sqrt(Math.max(0, this.#sumOfSquares / this.#count - mean * mean))
  }

  /** Adds one value ≥ 0, in any unit. */
  add(value: number): void {
    assert(value >= 0, 'a histogram takes no negative value')
    this.#counts[bucketOf(value)]! += 1
    this.#count++
    if (value < this.#min) this.#min = value
    if (value > this.#max) this.#max = value
    this.#sum += value
    this.#sumOfSquares += value * value
  }

  /** The value that `percent` of all values do not pass, to within a bucket; exact for 100. */
  percentile(percent: number): number {
    assert(percent >= 0 && percent <= 100, 'a percentile is from 0 to 100')
    if (this.#count === 0) return 0
    if (percent === 100) return this.#max
    const rank = Math.max(1, Math.ceil((percent / 100) * this.#count))
    let seen = 0
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#counts[bucket]!
      if (seen >= rank) return Math.min(this.#max, Math.max(this.min, middleOf(bucket)))
    }
    return this.#max
  }

  /** Adds all that another one has seen. */
  merge(other: HistogramState): void {
    assert(other.counts.length === BUCKETS, 'histograms of one size')
    for (let bucket = 0; bucket < BUCKETS; bucket++) this.#counts[bucket]! += other.counts[bucket]!
    this.#count += other.count
    if (other.count > 0) this.#min = Math.min(this.#min, other.min)
    this.#max = Math.max(this.#max, other.max)
    this.#sum += other.sum
    this.#sumOfSquares += other.sumOfSquares
  }

  /** A copy of the state, for `merge` on another thread. */
  state(): HistogramState {
    return {
      counts: this.#counts.slice(),
      count: this.#count,
      min: this.min,
      max: this.#max,
      sum: this.#sum,
      sumOfSquares: this.#sumOfSquares,
    }
  }
}

function bucketOf(value: number): number {
  if (value < SUB_BUCKETS) return Math.floor(value)
  if (value >= 2 ** VALUE_BITS_MAX) return BUCKETS - 1
  const exponent = Math.floor(Math.log2(value))
  const width = 2 ** (exponent - SUB_BUCKET_BITS)
  const within = Math.min(SUB_BUCKETS - 1, Math.max(0, Math.floor(value / width) - SUB_BUCKETS))
  return (exponent - SUB_BUCKET_BITS + 1) * SUB_BUCKETS + within
}

function middleOf(bucket: number): number {
  if (bucket < SUB_BUCKETS) return bucket + 0.5
  const octave = Math.floor(bucket / SUB_BUCKETS) - 1
  const within = bucket % SUB_BUCKETS
  return (SUB_BUCKETS + within + 0.5) * 2 ** octave
}
