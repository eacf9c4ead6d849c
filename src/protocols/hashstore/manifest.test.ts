import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  chunkPath,
  decodeManifest,
  encodeManifest,
  isChunkPath,
  isMark,
  type Manifest,
  markOf,
} from './manifest.ts'

const manifest: Manifest = {
  format: 1,
  size: 25,
  chunkSize: 10,
  upload: '0f'.repeat(16),
  chunks: ['a', 'b', 'c'].map((digit) => digit.repeat(64)),
}

test('a manifest comes back as it was', () => {
  assert.deepEqual(decodeManifest(encodeManifest(manifest)), manifest)
  assert.ok(isMark(markOf(manifest)))
  assert.ok(isChunkPath(chunkPath(manifest, 2).toString()))
  assert.ok(!isChunkPath('cairn-chunk/notes.txt'))
})

test('what is no manifest is damaged, or of another version', () => {
  const wrong = [
    { size: -1 },
    { size: 1e300 },
    { size: '25' },
    { chunkSize: 0 },
    { upload: '../x' },
    { chunks: null },
    { chunks: manifest.chunks.slice(1) },
    { chunks: [1, 2, 3] },
  ].map((change) => JSON.stringify({ ...manifest, ...change }))
  for (const text of ['null', '5', '"1"', '', '{', ...wrong])
    assert.throws(() => decodeManifest(Buffer.from(text)), { code: 'corrupt' }, text)
  for (const text of ['{}', '[]', '{"format":2}'])
    assert.throws(() => decodeManifest(Buffer.from(text)), { code: 'unsupported' }, text)
})
