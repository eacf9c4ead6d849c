import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { silentLog } from '../../base/log.ts'
import { ownDirectories } from './directories.ts'

test('missing directories are made with those above, for the owner and the group', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'cairn-directories-'))
  t.after(() => rmSync(root, { recursive: true }))
  const owned = ownDirectories([join(root, 'a/b/c'), join(root, 'a/d')], silentLog)
  assert.deepEqual(owned.paths, [join(root, 'a/b/c'), join(root, 'a/d')])
  for (const path of [join(root, 'a'), ...owned.paths]) assert.equal(statSync(path).mode & 0o027, 0)
  owned.release()
  ownDirectories([join(root, 'a/d')], silentLog).release()
})

test('where none can be made that is said', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'cairn-directories-'))
  t.after(() => rmSync(root, { recursive: true }))
  writeFileSync(join(root, 'file'), '')
  for (const path of ['/proc/cairn/data', join(root, 'file'), join(root, 'file/data')])
    assert.throws(() => ownDirectories([path], silentLog), {
      code: 'io_error',
      message: /^cannot make the directory /,
    })
})
