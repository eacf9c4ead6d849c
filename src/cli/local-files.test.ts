/** Files that are no ordinary ones, or change while they are read, are refused rather than stored as something else. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { localFile, readBuffers } from './hashstore-files.ts'
import { contentOf, statOf } from './local-files.ts'

const { signal } = new AbortController()
const directory = mkdtempSync(join(tmpdir(), 'cairn-local-files-'))
after(() => rmSync(directory, { recursive: true, force: true }))

test('a pipe and a device are no files', () => {
  const pipe = join(directory, 'pipe')
  execFileSync('mkfifo', [pipe])
  for (const path of [pipe, '/dev/null']) {
    assert.throws(() => statOf(path), {
      name: 'UsageError',
      message: /neither an ordinary file nor a folder/,
    })
    assert.throws(() => contentOf(path), { name: 'UsageError' })
    assert.throws(() => localFile(path, readBuffers(), signal), { name: 'UsageError' })
  }
})

async function readAll(path: string, change: () => void): Promise<number> {
  const file = localFile(path, readBuffers(), signal)
  change()
  let sizeBytes = 0
  for await (const piece of file.read(0, file.sizeBytes)) sizeBytes += piece.length
  return sizeBytes
}

test('a file ends where it was to, or what was read of it is not used', async () => {
  const path = join(directory, 'file')
  const wrongEnd = { code: 'conflict', message: /does not end after \d+ bytes/ }
  // Empty, short, one buffer, and a byte on each side of that.
  for (const size of [0, 5, 262_143, 262_144, 262_145, 1_000_000]) {
    writeFileSync(path, Buffer.alloc(size))
    assert.equal(contentOf(path).length, size)
    assert.equal(await readAll(path, () => undefined), size)
    await assert.rejects(
      readAll(path, () => appendFileSync(path, 'x')),
      wrongEnd,
    )
    if (size === 0) continue
    await assert.rejects(
      readAll(path, () => truncateSync(path, size - 1)),
      wrongEnd,
    )
  }
})

test('a part of a file is read as such', async () => {
  const path = join(directory, 'parts')
  writeFileSync(path, '0123456789')
  const file = localFile(path, readBuffers(), signal)
  const parts: string[] = []
  for (const [start, end] of [
    [0, 4],
    [4, 8],
    [8, 10],
  ] as const)
    for await (const piece of file.read(start, end)) parts.push(String(piece))
  assert.deepEqual(parts, ['0123', '4567', '89'])
})

test('a file of the system that says nothing of its length', {
  skip: process.platform !== 'linux',
}, async () => {
  assert.throws(() => contentOf('/proc/cpuinfo'), { code: 'conflict' })
  await assert.rejects(
    readAll('/proc/cpuinfo', () => undefined),
    { code: 'conflict' },
  )
})
