import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import { listFiles, safeName, type TransferOutput, transferAll } from './transfer.ts'

test('stored names never lead out of the directory', () => {
  assert.equal(safeName('photo.jpg'), 'photo.jpg')
  assert.equal(safeName('../../etc/passwd'), 'passwd')
  assert.equal(safeName('C:\\temp\\x.txt'), 'x.txt')
  assert.equal(safeName('.bashrc'), 'bashrc')
  assert.equal(safeName('a\nb\0c'), 'a_b_c')
  for (const name of [undefined, '', '..', 'a/..', '/']) assert.equal(safeName(name), undefined)
})

test('files and whole directories are found, links to directories are not followed', async () => {
  const root = await mkdtemp(join(tmpdir(), 'cairn-'))
  try {
    await mkdir(join(root, 'photos', 'old'), { recursive: true })
    for (const name of ['one', 'photos/two', 'photos/old/three']) await writeFile(join(root, name), name)
    await symlink(root, join(root, 'photos', 'loop'))
    await symlink(join(root, 'one'), join(root, 'photos', 'linked'))
    const files = await listFiles([join(root, 'one')], [join(root, 'photos')])
    assert.deepEqual(files.map((file) => file.shownName).sort(), ['linked', 'old/three', 'one', 'two'])
    await assert.rejects(listFiles([], [join(root, 'none')]), /cannot read the directory/)
  } finally {
    await rm(root, { recursive: true })
  }
})

test('all items are tried, so many at a time, and each failure is named', async () => {
  const failures: string[] = []
  const output: TransferOutput = {
    line: () => undefined,
    failure: (what, error) => void failures.push(`${what}: ${error.message}`),
    progress: { write: () => undefined, isTerminal: false },
    clock: systemClock,
  }
  let [active, most] = [0, 0]
  const failed = await transferAll(
    [1, 2, 3, 4, 5, 6, 7],
    {
      label: 'x',
      parallel: 3,
      nameOf: (item) => `item ${item}`,
      async work(item) {
        most = Math.max(most, ++active)
        await systemClock.sleep(1)
        active--
        if (item % 3 === 0) throw new StoreError('not_found', 'is gone')
      },
    },
    output,
  )
  assert.equal(failed, 2)
  assert.equal(most, 3)
  assert.deepEqual(failures, ['item 3: is gone', 'item 6: is gone'])
})
