/** Who owns a data directory. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryDirectory } from '../../test/support/real-store.ts'
import { DirectoryLock } from './directory-lock.ts'

const TRY_MS = 50

test('one owner, readers while there is none, and a directory that cannot be used', (t) => {
  const { path, remove } = temporaryDirectory()
  t.after(remove)
  assert.equal(DirectoryLock.isKnownIn(path), false)
  assert.equal(DirectoryLock.takeForReading(path, TRY_MS), undefined)
  const owner = DirectoryLock.take(path, TRY_MS)
  assert.throws(() => DirectoryLock.take(path, TRY_MS), { code: 'in_use' })
  assert.throws(() => DirectoryLock.takeForReading(path, TRY_MS), { code: 'in_use' })
  owner.release()
  const readers = [DirectoryLock.takeForReading(path, TRY_MS), DirectoryLock.takeForReading(path, TRY_MS)]
  assert.throws(() => DirectoryLock.take(path, TRY_MS), { code: 'in_use' })
  for (const reader of readers) reader!.release()
  DirectoryLock.take(path, TRY_MS).release()
  assert.throws(() => DirectoryLock.take(join(path, 'absent'), TRY_MS), { code: 'io_error' })
})
