/** Counts of several threads, each in its own place of memory that all of them see, so that nobody waits and everybody can add them up. */
import { assert } from './assert.ts'

export class SharedCounters<Name extends string> {
  readonly #names: readonly Name[]
  readonly #at: ReadonlyMap<Name, number>
  readonly #all: Float64Array
  readonly #own: Float64Array

  /** Memory for so many places, to be posted to each thread. */
  static memory(names: readonly string[], places: number): SharedArrayBuffer {
    return new SharedArrayBuffer(places * names.length * Float64Array.BYTES_PER_ELEMENT)
  }

  /** `place`: where this one counts, from 0; nobody else counts there. */
  constructor(names: readonly Name[], shared: SharedArrayBuffer, place: number) {
    this.#names = names
    this.#at = new Map(names.map((name, at) => [name, at]))
    this.#all = new Float64Array(shared)
    assert((place + 1) * names.length <= this.#all.length, 'no place for these counters')
    this.#own = this.#all.subarray(place * names.length, (place + 1) * names.length)
  }

  add(name: Name, count = 1): void {
    this.#own[this.#at.get(name)!]! += count
  }

  /** By the number of a name, where a look-up by name costs too much. */
  protected addAt(at: number, count: number): void {
    this.#own[at]! += count
  }

  /** Own counts from 0 again. */
  reset(): void {
    this.#own.fill(0)
  }

  get places(): number {
    return this.#all.length / this.#names.length
  }

  /** What this place has counted. */
  own(): Record<Name, number> {
    return this.#sums(this.#own)
  }

  /** Sums over all places. */
  totals(): Record<Name, number> {
    return this.#sums(this.#all)
  }

  #sums(counts: Float64Array): Record<Name, number> {
    const sums = Object.fromEntries(this.#names.map((name) => [name, 0])) as Record<Name, number>
    for (let at = 0; at < counts.length; at++) sums[this.#names[at % this.#names.length]!] += counts[at]!
    return sums
  }
}
