/** A compaction beside syncs that are under way: each sync keeps the file that it began with, and the next takes the new one. */
import assert from 'node:assert/strict'
import { fstatSync, statSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import type { Disk } from '../../src/disk/disk.ts'
import { realDisk } from '../../src/disk/real-disk.ts'
import { FLAG } from '../../src/disk/volume-table.ts'
import { RealStore, temporaryDirectory } from '../support/real-store.ts'

/** Files by their inodes; the next sync may be kept waiting. */
class WatchedDisk {
  readonly open = new Set<number>()
  readonly synced: number[] = []
  #gate: Promise<void> | undefined
  readonly disk: Disk = {
    ...realDisk,
    open: (path, mode) => {
      const handle = realDisk.open(path, mode)
      this.open.add(handle)
      return handle
    },
    close: (handle) => {
      this.#closed(handle)
      realDisk.close(handle)
    },
    closeSoon: (handle) => {
      this.#closed(handle)
      realDisk.closeSoon(handle)
    },
    fdatasync: async (handle) => {
      const before = fstatSync(handle).ino
      const gate = this.#gate
      this.#gate = undefined
      await gate
      assert.ok(this.open.has(handle) && fstatSync(handle).ino === before, 'a sync keeps its file open')
      this.synced.push(before)
      await realDisk.fdatasync(handle)
    },
  }

  #closed(handle: number): void {
    assert.ok(this.open.delete(handle), 'no handle is closed twice')
  }

  /** Keeps the next sync waiting until the function is called that it gives. */
  holdNext(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#gate = promise
    return resolve
  }
}

async function prepare(t: TestContext) {
  const { path, remove } = temporaryDirectory()
  const watched = new WatchedDisk()
  const store = new RealStore(path, { disk: watched.disk })
  t.after(remove)
  await store.create(1)
  for (let version = 1; version <= 2; version++) await store.write(1, 1, version, 1000)
  const inode = () => statSync(`${path}/1.dat`).ino
  return { watched, store, inode }
}

async function assertGood(store: RealStore): Promise<void> {
  assert.ok(!store.volume(1).slot.hasFlag(FLAG.failed), 'the volume has not failed')
  await store.write(1, 3, 1, 1000)
  await store.volume(1).durableAlone()
  await store.volume(1).durable()
}

for (const name of ['durableAlone', 'durable'] as const) {
  test(`${name} that waits while a compaction replaces the file`, async (t) => {
    const { watched, store, inode } = await prepare(t)
    const old = inode()
    const release = watched.holdNext()
    store.volume(1).sync.noteWrite()
    const waiting = store.volume(1)[name]()
    await new Promise<void>((resolve) => setImmediate(resolve))
    await store.keeper.compactVolume(1, 0)
    assert.notEqual(inode(), old)
    // The thread looks at its volumes, writes to the new file, and syncs it.
    await store.write(1, 2, 1, 1000)
    await store.volume(1).durableAlone()
    assert.equal(watched.synced.at(-1), inode())
    release()
    await waiting
    assert.equal(watched.synced.at(-1), old, 'it has synced the file it began with')
    await assertGood(store)
    await store.close()
  })
}

test('a volume that is closed while its syncs wait keeps no file', async (t) => {
  const { watched, store } = await prepare(t)
  const before = watched.open.size
  const release = watched.holdNext()
  const volume = store.volume(1)
  const alone = volume.durableAlone()
  await store.write(1, 2, 1, 1000)
  const together = volume.durable()
  volume.close()
  release()
  await Promise.all([alone, together])
  await new Promise<void>((resolve) => setImmediate(resolve))
  assert.ok(watched.open.size < before, 'the handle of the thread is closed')
  await store.close()
})
