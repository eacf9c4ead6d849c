/** Sealed blobs: every range comes back, and nothing else than what was sealed opens. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { PieceBuffers } from '../../base/piece-buffers.ts'
import { seededRandom } from '../../base/random.ts'
import {
  openPieces,
  openWhole,
  SEAL_BLOCK_BYTES,
  sealBlob,
  sealedLength,
  sealedRange,
} from './sealed-blob.ts'

const B = SEAL_BLOCK_BYTES
const random = seededRandom(20)
const KEY = random.bytes(32)
const BUFFERS = new PieceBuffers(2 * B, 4)

async function* cut(bytes: Buffer, pieceBytes: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
}

test('ranges of blobs of all lengths, in pieces of all lengths', async () => {
  for (const length of [1, 2, 1000, B - 1, B, B + 1, 2 * B, 3 * B + 17]) {
    const bytes = random.bytes(length)
    const sealed = sealBlob(KEY, bytes)
    assert.equal(sealed.length, sealedLength(length))
    assert.equal(sealed.indexOf(bytes.subarray(0, 16)), length < 16 ? sealed.indexOf(bytes) : -1)
    const ends = [1, B - 1, B, B + 1, length].filter((end) => end <= length)
    for (const end of ends) {
      for (const start of new Set([0, 1, end >> 1, B, end - 1])) {
        if (start >= end) continue
        const range = { key: KEY, sizeBytes: length, start, end }
        const wanted = bytes.subarray(start, end)
        assert.ok(openWhole(sealed, range).equals(wanted), `${start} to ${end} of ${length}`)
        const place = sealedRange(range)
        const stored = sealed.subarray(place.start, place.end)
        for (const pieceBytes of [7_919, B + 16, B + 17, 1 << 20]) {
          const pieces = await Array.fromAsync(openPieces(cut(stored, pieceBytes), range, BUFFERS))
          assert.ok(Buffer.concat(pieces).equals(wanted), `${start} to ${end} in ${pieceBytes}`)
        }
      }
    }
  }
})

test('blocks that are changed, swapped, cut off, or of another blob do not open', async () => {
  const bytes = random.bytes(3 * B)
  const sealed = sealBlob(KEY, bytes)
  const stored = B + 16
  const range = { key: KEY, sizeBytes: bytes.length, start: 0, end: bytes.length }
  const refuses = async (other: Buffer, asked = range) => {
    assert.throws(() => openWhole(other, asked), { code: 'corrupt' })
    await assert.rejects(Array.fromAsync(openPieces(cut(other, 100_000), asked, BUFFERS)), {
      code: 'corrupt',
    })
  }
  for (const at of [0, B, B + 15, stored, sealed.length - 1]) {
    const flipped = Buffer.from(sealed)
    flipped[at]! ^= 1
    await refuses(flipped)
  }
  const [first, second, third] = [0, 1, 2].map((block) =>
    sealed.subarray(block * stored, (block + 1) * stored),
  )
  await refuses(Buffer.concat([second!, first!, third!]))
  await refuses(Buffer.concat([first!, first!, third!]))
  await refuses(Buffer.concat([first!, second!]))
  await refuses(Buffer.concat([first!, second!]), { ...range, sizeBytes: 2 * B, end: 2 * B })
  await refuses(sealed.subarray(0, -1))
  await refuses(sealed, { ...range, key: random.bytes(32) })
})

test('what is stored stays as it is', () => {
  const sealed = sealBlob(Buffer.alloc(32, 1), Buffer.alloc(70_000, 2))
  const digest = createHash('sha256').update(sealed).digest('hex')
  assert.equal(digest, '056464aa1d26249b3e8bc9012a02206dfc718857592cf01a8eeb5b5bd24f684f')
})
