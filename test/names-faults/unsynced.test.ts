/**
 * Puts whose bytes the thread that writes metadata syncs: two views of the same volumes and the two ends of SQLite metadata, as in
 * two threads, with a disk of which one end fails or waits.
 */
import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import { MessageChannel } from 'node:worker_threads'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { volumeSyncs } from '../../src/cli/roles/volume-syncs.ts'
import type { Disk } from '../../src/disk/disk.ts'
import { realDisk } from '../../src/disk/real-disk.ts'
import { createThreadContext } from '../../src/disk/thread-context.ts'
import { VolumeSet } from '../../src/disk/volume-set.ts'
import { FLAG } from '../../src/disk/volume-table.ts'
import { openMetaClient, openMetaWriter } from '../../src/meta/open-meta-store.ts'
import { Buckets } from '../../src/objects/buckets.ts'
import { BlobContentReader } from '../../src/objects/content-reader.ts'
import { BlobContentWriter, UPLOAD_LOAD_BYTES, UploadLoad } from '../../src/objects/content-writer.ts'
import { inlineHashPool } from '../../src/objects/digests.ts'
import { Names } from '../../src/objects/names.ts'
import type { Bucket, PutResult } from '../../src/objects/object-store.ts'
import { OBJECT_SCRIPTS } from '../../src/objects/scripts.ts'
import { startBlobStore } from '../blob-store/blob-store-kit.ts'
import { objectKeys } from '../support/object-keys.ts'
import { temporaryDirectory } from '../support/real-store.ts'

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

interface Kit {
  names: Names
  bucket: Bucket
  /** Of the thread that serves, and of the one that writes metadata. */
  serving: WatchedDisk
  writing: WatchedDisk
  put(key: string): Promise<PutResult>
  engine: Awaited<ReturnType<typeof startBlobStore>>['engine']
}

const closes: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closes.splice(0)) await close()
})

/** `isNear`: as if the volumes lay on the disk of the metadata. */
async function start({ isNear }: { isNear: boolean }): Promise<Kit> {
  const [serving, writing] = [new WatchedDisk(), new WatchedDisk()]
  const kit = await startBlobStore({ isLocal: true, leaseCount: 1, disk: serving.disk })
  const { context } = kit.engine
  const shared = {
    table: context.table.shared,
    arena: context.arena.shared,
    directories: [...context.directories],
  }
  const volumes = new VolumeSet(createThreadContext(shared, writing.disk, systemClock))
  const directory = temporaryDirectory()
  const parts = { clock: systemClock, random: systemRandom }
  const writer = openMetaWriter(directory.path, {
    ...parts,
    scripts: OBJECT_SCRIPTS,
    syncs: { ...volumeSyncs(volumes, directory.path), isNear: () => isNear },
  })
  const { port1, port2 } = new MessageChannel()
  writer.serve(port1)
  const meta = openMetaClient(directory.path, port2, { clock: systemClock })
  const load = new UploadLoad(new SharedArrayBuffer(UPLOAD_LOAD_BYTES))
  const keys = objectKeys()
  const storing = { ...parts, blobs: kit.blobs, load, meta, keys, hashPool: inlineHashPool }
  const names = new Names({
    ...{ ...parts, meta, keys },
    writer: new BlobContentWriter({ ...storing, collection: '_objects' }),
    reader: new BlobContentReader(storing),
  })
  const bucket = await new Buckets({ ...parts, meta }).create({ name: 'bucket', owner: 'ada' })
  closes.push(async () => {
    await meta.close()
    await writer.close()
    volumes.close()
    await kit.close()
    directory.remove()
  })
  const put = (key: string) => {
    const whole = Buffer.from(`bytes of ${key}`)
    return names.put({
      ...{ bucket, key, attributes: {} },
      body: {
        sizeBytes: whole.length,
        whole,
        async *pieces() {
          yield whole
        },
      },
    })
  }
  return { names, bucket, serving, writing, put, engine: kit.engine }
}

const keysOf = (count: number, name = 'key') => Array.from({ length: count }, (_, at) => `${name}${at}`)

/** From then on the writing thread has the files of both volumes open. */
const warm = ({ put }: Kit) => Promise.all(keysOf(4, 'warm').map(put))

async function readOf({ names, bucket }: Kit, key: string): Promise<string> {
  const found = await names.find(bucket, key)
  return String(await found.read(0, found.info.sizeBytes))
}

for (const isNear of [true, false]) {
  describe(`puts whose bytes the writer of metadata syncs, ${isNear ? 'itself' : 'beside other work'}`, () => {
    test('are synced by it alone, once it has the files open; also those of a compacted volume', async () => {
      const kit = await start({ isNear })
      await warm(kit)
      for (const round of [0, 1]) {
        const [served, written] = [kit.serving.syncs, kit.writing.syncs]
        await Promise.all(keysOf(6, `round ${round} `).map(kit.put))
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
      assert.equal(await readOf(kit, 'round 0 3'), 'bytes of round 0 3')
    })

    test('go to another volume where the bytes cannot be synced', async () => {
      const kit = await start({ isNear })
      await warm(kit)
      kit.writing.failing = '_objects_1.dat'
      const keys = keysOf(12)
      await Promise.all(keys.map(kit.put))
      for (const key of keys) assert.equal(await readOf(kit, key), `bytes of ${key}`)
      assert.ok(kit.engine.volume(1).slot.hasFlag(FLAG.failed), 'it was tried, and takes no more writes')
      kit.writing.failing = undefined
      for (const key of keysOf(4, 'later')) await kit.put(key)
    })

    test('fail where the bytes cannot be synced anywhere, and name nothing', async () => {
      const kit = await start({ isNear })
      await warm(kit)
      for (const disk of [kit.writing, kit.serving]) disk.failing = '_objects_'
      const outcome = await kit.put('lost').catch((error) => error.code)
      assert.match(String(outcome), /^(not_synced|io_error|no_writable_volume)$/)
      assert.throws(() => kit.names.find(kit.bucket, 'lost'), { code: 'not_found' })
      assert.equal(await readOf(kit, 'warm0'), 'bytes of warm0')
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
  const putting = kit.put('late').finally(() => {
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
  assert.equal(await readOf(kit, 'late'), 'bytes of late')
})
