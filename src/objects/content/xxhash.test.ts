/** XXH64 and XXH3 against the reference library, at every length at which they do something else. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { kernelModule, XXHASH_KERNEL } from '../../../script/build-kernel.ts'
import { XxHash, type XxHashName } from './xxhash.ts'

/** SHA-256 over the digests of the first n bytes of `DATA`, for each n of `LENGTHS`, made with the reference library. */
const EXPECTED: Record<XxHashName, string> = {
  xxhash64: '8faf0171136519c986b77c9036ec48845970efcde72da2e399a35087834447de',
  xxhash3: 'ef28714d636c0f6f60e74cb43dad33e6bfb29572249818f2cd91f7c63cc5738a',
  xxhash128: 'c68b7ded5c55fea57e0335ea6d72e9753c0be49356ecdda55bcb52a3677e0b60',
}
const SHORT = Array.from({ length: 513 }, (_, length) => length)
const LENGTHS = [...SHORT, 1_023, 1_024, 1_025, 1_088, 1_089, 32_768, 32_769, 100_000]
const DATA = Buffer.alloc(100_000)
for (let i = 0; i < DATA.length; i++) DATA[i] = i * i * 31 + i * 7 + (i >> 8)

for (const name of ['xxhash64', 'xxhash3', 'xxhash128'] as const) {
  for (const stepBytes of [DATA.length, 61]) {
    test(`${name} in steps of ${stepBytes} bytes`, () => {
      const sum = createHash('sha256')
      for (const length of LENGTHS) {
        const hashing = new XxHash(name)
        for (let at = 0; at < length; at += stepBytes)
          hashing.update(DATA.subarray(at, Math.min(length, at + stepBytes)))
        sum.update(hashing.digest())
      }
      assert.equal(sum.digest('hex'), EXPECTED[name])
    })
  }
}

test('xxhash-module.ts is what script/build-kernel.ts makes of xxhash-kernel/kernel.ts', () => {
  const committed = readFileSync(join(import.meta.dirname, 'xxhash-module.ts'), 'utf8')
  assert.equal(committed, kernelModule(XXHASH_KERNEL), 'run: node script/build-kernel.ts')
})
