/**
 * Puts whose bytes the thread that writes metadata syncs: two views of the same volumes and the two ends of SQLite metadata, as in
 * two threads, with a disk of which one end fails or waits.
 */
import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import { CARRIED_BLOB_BYTES_MAX } from '../../src/base/limits.ts'
import type { Disk } from '../../src/disk/disk.ts'
import { realDisk } from '../../src/disk/real-disk.ts'
import { FLAG } from '../../src/disk/volume-table.ts'
import { anotherView } from '../blob-store/blob-store-kit.ts'
import { RealStore, temporaryDirectory } from '../support/real-store.ts'
import { openTwoEnds, type TwoEnds } from './two-ends.ts'

/** The machine's disk, whose syncs of volumes are counted, and held or refused on demand. */
class WatchedDisk {
  readonly disk: Disk
  syncs = 0
  /** Part of the path of files that cannot be synced. */
  failing: string | undefined
  held: Promise<void> | undefined
  readonly #paths = new Map<number, string>()

  constructor() {
    this.disk = {
      ...realDisk,
      open: (path, mode) => {
        const handle = realDisk.open(path, mode)
        this.#paths.set(handle, path)
        return handle
      },
      fdatasync: async (handle) => {
        if (this.#paths.get(handle)?.endsWith('.dat')) this.syncs++
        await this.held
        this.#fail(handle)
        await realDisk.fdatasync(handle)
      },
      fdatasyncSync: (handle) => {
        if (this.#paths.get(handle)?.endsWith('.dat')) this.syncs++
        this.#fail(handle)
        realDisk.fdatasyncSync(handle)
      },
    }
  }

  #fail(handle: number): void {
    if (this.failing !== undefined && this.#paths.get(handle)?.includes(this.failing))
      throw Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' })
  }
}

interface Kit extends TwoEnds {
  /** Of the thread that serves, and of the one that writes metadata. */
  serving: WatchedDisk
  writing: WatchedDisk
  engine: RealStore
}

const closes: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closes.splice(0)) await close()
})

async function start(options: { isNear: boolean }): Promise<Kit> {
  const [serving, writing] = [new WatchedDisk(), new WatchedDisk()]
  const [volumesIn, directory] = [temporaryDirectory(), temporaryDirectory()]
  const engine = new RealStore(volumesIn.path, { disk: serving.disk })
  const volumeIds = [1, 2]
  for (const id of volumeIds) await engine.create(id, 0, '_objects')
  const view = anotherView(engine, writing.disk)
  const parts = { serving: engine.volumes, writing: view, directory: directory.path, volumeIds }
  const ends = await openTwoEnds({ ...parts, ...options })
  closes.push(async () => {
    await ends.close()
    view.close()
    await engine.close()
    volumesIn.remove()
    directory.remove()
  })
  return { ...ends, serving, writing, engine }
}

/** Too many for a commit to carry them. */
const bytesOf = (key: string) =>
  Buffer.from(`bytes of ${key} `.repeat(Math.ceil(CARRIED_BLOB_BYTES_MAX / 10)))
const putOf = (kit: Kit) => (key: string) => kit.put(key, bytesOf(key))

const keysOf = (count: number, name = 'key') => Array.from({ length: count }, (_, at) => `${name}${at}`)

/** From then on the writing thread has the files of both volumes open. */
const warm = (kit: Kit) => Promise.all(keysOf(4, 'warm').map(putOf(kit)))

for (const isNear of [true, false]) {
  describe(`puts whose bytes the writer of metadata syncs, ${isNear ? 'itself' : 'beside other work'}`, () => {
    test('are synced by it alone, once it has the files open; also those of a compacted volume', async () => {
      const kit = await start({ isNear })
      await warm(kit)
      for (const round of [0, 1]) {
        const [served, written] = [kit.serving.syncs, kit.writing.syncs]
        await Promise.all(keysOf(6, `round ${round} `).map(putOf(kit)))
        assert.equal(kit.serving.syncs, served)
        assert.ok(kit.writing.syncs > written)
        if (round === 1) break
        for (const id of [1, 2]) {
          for (const version of [1, 2]) await kit.engine.write(id, 1_000_000, version, 100)
          assert.ok((await kit.engine.keeper.compactVolume(id, 0)).compacted)
        }
        const compacted = kit.serving.syncs
        await warm(kit)
        assert.ok(kit.serving.syncs > compacted, 'what nobody covers is synced by the thread that wrote it')
      }
      assert.deepEqual(await kit.read('round 0 3'), bytesOf('round 0 3'))
    })

    test('go to another volume where the bytes cannot be synced', async () => {
      const kit = await start({ isNear })
      await warm(kit)
      kit.writing.failing = '_objects_1.dat'
      const keys = keysOf(12)
      await Promise.all(keys.map(putOf(kit)))
      for (const key of keys) assert.deepEqual(await kit.read(key), bytesOf(key))
      assert.ok(kit.engine.volume(1).slot.hasFlag(FLAG.failed), 'it was tried, and takes no more writes')
      kit.writing.failing = undefined
      for (const key of keysOf(4, 'later')) await putOf(kit)(key)
    })

    test('fail where the bytes cannot be synced anywhere, and name nothing', async () => {
      const kit = await start({ isNear })
      await warm(kit)
      for (const disk of [kit.writing, kit.serving]) disk.failing = '_objects_'
      const outcome = await putOf(kit)('lost').catch((error) => error.code)
      assert.match(String(outcome), /^(not_synced|io_error|no_writable_volume)$/)
      assert.throws(() => kit.names.find(kit.bucket, 'lost'), { code: 'not_found' })
      assert.deepEqual(await kit.read('warm0'), bytesOf('warm0'))
    })
  })
}

test('puts are neither answered nor seen before the bytes are on disk, and others go on meanwhile', async () => {
  const kit = await start({ isNear: false })
  await warm(kit)
  let release = () => {}
  kit.writing.held = new Promise((resolve) => {
    release = resolve
  })
  let isSettled = false
  const { syncs } = kit.writing
  const putting = putOf(kit)('late').finally(() => {
    isSettled = true
  })
  while (kit.writing.syncs === syncs) await new Promise(setImmediate)
  // What names no new bytes is committed meanwhile.
  await kit.names.delete({ bucket: kit.bucket, key: 'warm0' })
  assert.equal(isSettled, false)
  assert.throws(() => kit.names.find(kit.bucket, 'late'), { code: 'not_found' })
  kit.writing.held = undefined
  release()
  await putting
  assert.deepEqual(await kit.read('late'), bytesOf('late'))
})
