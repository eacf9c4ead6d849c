import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { ERASURE_KERNEL, kernelModule } from '../../../script/build-kernel.ts'
import { randomOf } from '../../../test/support/seeds.ts'
import { Kernel } from './kernel.ts'
import { PlainBlobHash } from './xxhash.ts'

test('kernel-module.ts is what script/build-kernel.ts makes of kernel/kernel.ts', () => {
  const committed = readFileSync(new URL('./kernel-module.ts', import.meta.url), 'utf8')
  assert.equal(committed, kernelModule(ERASURE_KERNEL), 'run: node script/build-kernel.ts')
})

test('the hash is XXH64', () => {
  const known: [string, bigint][] = [
    ['', 0xef46db3751d8e999n],
    ['a', 0xd24ec4f1a98c6e5bn],
    ['abc', 0x44bc2cf5ad770999n],
    ['Nobody inspects the spammish repetition', 0xfbcea83c8a378bf1n],
  ]
  for (const hasher of [new Kernel(), new PlainBlobHash()]) {
    for (const [text, hash] of known) assert.equal(hasher.hash(Buffer.from(text)), hash, text)
  }
})

test('the kernel hashes as the plain code does, at every length', () => {
  const [kernel, plain] = [new Kernel(), new PlainBlobHash()]
  const bytes = randomOf(1).bytes(100_000)
  const lengths = [...Array(130).keys(), 32_767, 32_768, 32_769, 65_535, 65_536, 65_537, 99_999]
  for (const length of lengths) {
    const some = bytes.subarray(length % 3, length)
    assert.equal(kernel.hash(some), plain.hash(some), `${length} bytes`)
  }
})
