import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { randomOf, seedsToRun, withSeed } from '../../../test/support/seeds.ts'
import type { Random } from '../../base/random.ts'
import { inverse, invertMatrix, multiply, multiplyMatrices } from './galois.ts'
import { Kernel } from './kernel.ts'
import { ReedSolomon } from './reed-solomon.ts'
import { PlainRowProduct, type RowProduct } from './row-product.ts'

interface Vector {
  k: number
  m: number
  data: string
  shards: string[]
}

const VECTORS_URL = new URL('../../../test/golden/reed-solomon.json', import.meta.url)
const LAYOUTS = [
  { k: 4, m: 2 },
  { k: 2, m: 1 },
  { k: 1, m: 1 },
  { k: 3, m: 3 },
  { k: 6, m: 3 },
] as const
const SIZES = [0, 1, 2, 3, 4, 5, 31, 32, 33, 127, 128, 129, 1_000, 4_099]
const LARGE_BYTES = 4 * 1_024 * 1_024

for (const [name, product] of [
  ['plain', new PlainRowProduct()],
  ['kernel', new Kernel()],
] satisfies [string, RowProduct][]) {
  test(`${name}: shards are those of the Go library`, () => {
    for (const vector of JSON.parse(readFileSync(VECTORS_URL, 'utf8')) as Vector[]) {
      const code = new ReedSolomon({ ...vector, product })
      const shards = encode(code, Buffer.from(vector.data, 'base64'))
      assert.deepEqual(
        shards.map((shard) => shard.toString('base64')),
        vector.shards,
        `${vector.k}+${vector.m}`,
      )
    }
  })

  for (const layout of LAYOUTS) {
    test(`${name}: ${layout.k}+${layout.m} survives every loss of up to ${layout.m} shards`, () => {
      const code = new ReedSolomon({ ...layout, product })
      const random = randomOf(layout.k)
      for (const size of SIZES) {
        const shards = encode(code, random.bytes(size))
        for (const missing of losses(layout.k + layout.m, layout.m)) checkLoss(code, shards, missing)
      }
    })
  }

  test(`${name}: 4 MiB, and any two shards lost`, () => {
    const code = new ReedSolomon({ k: 4, m: 2, product })
    const shards = encode(code, randomOf(7).bytes(LARGE_BYTES))
    for (const missing of [[0, 3], [2], [4, 5]]) checkLoss(code, shards, missing)
  })
}

test('the kernel gives the product that the plain one gives', async () => {
  const [kernel, plain] = [new Kernel(), new PlainRowProduct()]
  for (const seed of seedsToRun(20)) {
    await withSeed(seed, (random) => {
      const [inputCount, outputCount] = [1 + random.below(20), 1 + random.below(7)]
      const length = random.below(random.below(2) === 0 ? 200 : 100_000)
      const matrix = Array.from({ length: outputCount }, () => random.bytes(inputCount))
      // Some end before the others do, some go on behind all outputs.
      const lengthNear = () => (random.below(3) > 0 ? length : random.below(length + 100))
      const inputs = Array.from({ length: inputCount }, () => random.bytes(lengthNear()))
      const outputs = matrix.map(() => random.bytes(lengthNear()))
      const expected = outputs.map((output) => Buffer.alloc(output.length))
      kernel.multiply(matrix, inputs, outputs)
      plain.multiply(matrix, inputs, expected)
      assert.deepEqual(outputs, expected)
    })
  }
})

test('random layouts, sizes and losses', async () => {
  const kernel = new Kernel()
  for (const seed of seedsToRun(20)) {
    await withSeed(seed, (random) => {
      const [k, m] = [1 + random.below(20), 1 + random.below(8)]
      const code = new ReedSolomon({ k, m, product: kernel })
      const shards = encode(code, random.bytes(random.below(50_000)))
      checkLoss(code, shards, someOf(random, k + m, m))
    })
  }
})

test('pieces of shards from one place are rebuilt as whole shards are', () => {
  const code = new ReedSolomon({ k: 4, m: 2 })
  const shards = encode(code, randomOf(9).bytes(4_000))
  for (const [start, end] of [
    [0, 1],
    [17, 500],
    [999, 1_000],
  ]) {
    checkLoss(
      code,
      shards.map((shard) => shard.subarray(start, end)),
      [1, 4],
    )
  }
})

test('layouts of up to 256 shards', () => {
  const random = randomOf(3)
  for (const layout of [
    { k: 100, m: 30 },
    { k: 1, m: 255 },
    { k: 255, m: 1 },
  ]) {
    const code = new ReedSolomon(layout)
    const plain = new ReedSolomon({ ...layout, product: new PlainRowProduct() })
    const blob = random.bytes(10_000)
    const shards = encode(code, blob)
    assert.deepEqual(shards, encode(plain, blob))
    checkLoss(code, shards, someOf(random, layout.k + layout.m, layout.m))
  }
})

test('every element but zero has an inverse, and a matrix times its inverse is the identity', () => {
  for (let a = 1; a < 256; a++) assert.equal(multiply(a, inverse(a)), 1)
  const matrix = [Uint8Array.of(0, 3, 7), Uint8Array.of(9, 0, 200), Uint8Array.of(1, 255, 0)]
  assert.deepEqual(multiplyMatrices(matrix, invertMatrix(matrix)), [
    Uint8Array.of(1, 0, 0),
    Uint8Array.of(0, 1, 0),
    Uint8Array.of(0, 0, 1),
  ])
})

/** All shards of a blob, those of data filled with zeros. */
function encode(code: ReedSolomon, blob: Buffer): Buffer[] {
  const shardBytes = code.shardBytes(blob.length)
  const all = Buffer.alloc(shardBytes * (code.k + code.m))
  blob.copy(all)
  const shards = Array.from({ length: code.k + code.m }, (_, i) =>
    all.subarray(i * shardBytes, (i + 1) * shardBytes),
  )
  const parityIndexes = Array.from({ length: code.m }, (_, i) => code.k + i)
  code.makeParity(shards.slice(0, code.k), parityIndexes, shards.slice(code.k))
  return shards
}

/** Makes the missing ones of shards that are right from the others, and compares. */
function checkLoss(code: ReedSolomon, shards: readonly Buffer[], missing: readonly number[]): void {
  const outputs = missing.map((index) => Buffer.alloc(shards[index]!.length, 0xff))
  const given = shards.map((shard, index) => (missing.includes(index) ? undefined : shard))
  code.rebuild(given, missing, outputs)
  missing.forEach((index, i) => {
    assert(outputs[i]!.equals(shards[index]!), `${code.k}+${code.m}, ${missing} missing: shard ${index}`)
  })
}

/** Every choice of 1 to `most` of so many shards. */
function losses(count: number, most: number): number[][] {
  const masks = Array.from({ length: 2 ** count }, (_, mask) => mask)
  return masks
    .map((mask) => [...Array(count).keys()].filter((index) => (mask & (1 << index)) !== 0))
    .filter((lost) => lost.length >= 1 && lost.length <= most)
}

function someOf(random: Random, count: number, most: number): number[] {
  const indexes = [...Array(count).keys()]
  return Array.from({ length: 1 + random.below(most) }, () =>
    indexes.splice(random.below(indexes.length), 1),
  ).flat()
}
