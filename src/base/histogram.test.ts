import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Histogram } from './histogram.ts'
import { seededRandom } from './random.ts'

test('an empty histogram is all zeros', () => {
  const histogram = new Histogram()
  assert.deepEqual(
    [histogram.count, histogram.min, histogram.max, histogram.mean, histogram.deviation],
    [0, 0, 0, 0, 0],
  )
  assert.equal(histogram.percentile(50), 0)
})

test('count, least, greatest, mean and deviation are exact', () => {
  const histogram = new Histogram()
  for (const value of [2, 4, 4, 4, 5, 5, 7, 9]) histogram.add(value)
  assert.equal(histogram.count, 8)
  assert.equal(histogram.min, 2)
  assert.equal(histogram.max, 9)
  assert.equal(histogram.mean, 5)
  assert.equal(histogram.deviation, 2)
  assert.equal(histogram.percentile(100), 9)
})

test('percentiles are within 1 % of the sorted list, over nine orders of magnitude', () => {
  const random = seededRandom(7)
  const histogram = new Histogram()
  const values: number[] = []
  for (let i = 0; i < 20_000; i++) {
    const value = 200 * 10 ** (random.below(1_000_000) / 200_000)
    values.push(value)
    histogram.add(value)
  }
  values.sort((a, b) => a - b)
  for (const percent of [0, 1, 50, 66, 75, 90, 99, 99.9]) {
    const exact = values[Math.max(0, Math.ceil((percent / 100) * values.length) - 1)]!
    const found = histogram.percentile(percent)
    assert.ok(Math.abs(found - exact) <= exact / 100, `${percent} %: ${found}, exact ${exact}`)
  }
})

test('powers of two and their neighbours fall in growing buckets', () => {
  const histogram = new Histogram()
  for (let bit = 0; bit < 45; bit++) {
    const single = new Histogram()
    single.add(2 ** bit)
    assert.equal(single.percentile(50), 2 ** bit)
    histogram.add(2 ** bit)
    histogram.add(2 ** bit - 1)
  }
  let before = 0
  for (let percent = 1; percent <= 100; percent++) {
    const value = histogram.percentile(percent)
    assert.ok(value >= before)
    before = value
  }
})

test('merging two is as if one had seen all', () => {
  const [a, b, both] = [new Histogram(), new Histogram(), new Histogram()]
  for (let i = 1; i <= 1000; i++) {
    const target = i % 3 === 0 ? a : b
    target.add(i * 17)
    both.add(i * 17)
  }
  a.merge(structuredClone(b.state()))
  assert.deepEqual(a.state(), both.state())
  a.merge(new Histogram().state())
  assert.equal(a.min, 17)
})

test('a negative value is a bug', () => {
  assert.throws(() => new Histogram().add(-1), /negative/)
})
