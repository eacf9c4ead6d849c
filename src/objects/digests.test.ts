/** Digests against published values, in pieces and at once, and CRCs of wholes from those of parts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../base/random.ts'
import { type CrcName, combineCrcs, digestsOf, InlineHashing } from './digests.ts'
import type { DigestName } from './object-store.ts'

const ALL: readonly DigestName[] = [
  ...(['md5', 'sha1', 'sha256', 'sha512', 'crc32', 'crc32c', 'crc64nvme'] as const),
  ...(['xxhash64', 'xxhash3', 'xxhash128'] as const),
]

/** Of the text `123456789`, as the catalogues of checksums have them. */
const OF_DIGITS: Record<DigestName, string> = {
  md5: '25f9e794323b453885f5181f1b624d0b',
  sha1: 'f7c3bc1d808e04732adf679965ccc34ca7ae3441',
  sha256: '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225',
  sha512:
    'd9e6762dd1c8eaf6d61b3c6192fc408d4d6d5f1176d0c29169bc24e71c3f274ad27fcd5811b313d681f7e55ec02d73d499c95455b6b5bb503acf574fba8ffe85',
  crc32: 'cbf43926',
  crc32c: 'e3069283',
  crc64nvme: 'ae8b14860a799888',
  xxhash64: '8cb841db40e6ae83',
  xxhash3: '72dcb18b67a17dff',
  xxhash128: '33119477ede5dcd5e9716427681d5860',
}

const hexOf = (digests: Partial<Record<DigestName, Buffer>>) =>
  Object.fromEntries(Object.entries(digests).map(([name, bytes]) => [name, bytes.toString('hex')]))

test('digests have their published values', () => {
  assert.deepEqual(hexOf(digestsOf(ALL, Buffer.from('123456789'))), OF_DIGITS)
})

test('pieces of any length and alignment give what the whole gives', () => {
  const random = seededRandom(1)
  const whole = random.bytes(100_003)
  const hashing = new InlineHashing(ALL)
  for (let at = 0; at < whole.length; ) {
    const length = random.below(random.below(2) === 0 ? 40 : 9000)
    hashing.update(whole.subarray(at, at + length))
    at += length
  }
  assert.deepEqual(hexOf(hashing.finish()), hexOf(digestsOf(ALL, whole)))
  assert.deepEqual(hexOf(new InlineHashing(ALL).finish()), hexOf(digestsOf(ALL, Buffer.alloc(0))))
})

test('CRCs of parts give the CRC of the whole', () => {
  const random = seededRandom(2)
  for (const name of ['crc32', 'crc32c', 'crc64nvme'] as CrcName[]) {
    const parts = [0, 1, 70_000, 70_000, 0, 3, 65_536].map((length) => random.bytes(length))
    const crcs = parts.map((part) => ({ crc: digestsOf([name], part)[name]!, sizeBytes: part.length }))
    const whole = digestsOf([name], Buffer.concat(parts))[name]!
    assert.equal(combineCrcs(name, crcs).toString('hex'), whole.toString('hex'), name)
  }
})

test('parts longer than 4 GiB combine too', () => {
  // Zeros of 2^33 bytes, once as one part, once as 2^13 parts.
  const part = { crc: digestsOf(['crc64nvme'], Buffer.alloc(1 << 20)).crc64nvme!, sizeBytes: 1 << 20 }
  const half = combineCrcs('crc64nvme', new Array(1 << 13).fill(part))
  const whole = combineCrcs('crc64nvme', new Array(1 << 14).fill(part))
  const halves = [half, half].map((crc) => ({ crc, sizeBytes: 2 ** 33 }))
  assert.equal(combineCrcs('crc64nvme', halves).toString('hex'), whole.toString('hex'))
})
