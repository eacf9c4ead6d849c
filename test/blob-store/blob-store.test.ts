/** The blob store: one suite for volumes of this machine and for those of another server. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { afterEach, describe, test } from 'node:test'
import type { BlobId, ListedBlob } from '../../src/blobs/blob-store.ts'
import type { Disk } from '../../src/disk/disk.ts'
import { realDisk } from '../../src/disk/real-disk.ts'
import { WORD } from '../../src/disk/volume-table.ts'
import { BasicAuth } from '../../src/net/basic-auth.ts'
import { type BlobStoreKit, type BlobStoreKitOptions, collect, startBlobStore } from './blob-store-kit.ts'

const MIB = 1024 * 1024
const kits: BlobStoreKit[] = []

afterEach(async () => {
  for (const kit of kits.splice(0)) await kit.close()
})

for (const isLocal of [true, false]) {
  describe(isLocal ? 'blobs of this machine' : 'blobs of another server', () => suite(isLocal))
}

function suite(isLocal: boolean): void {
  const start = async (options: Partial<BlobStoreKitOptions> = {}) => {
    const kit = await startBlobStore({ isLocal, ...options })
    kits.push(kit)
    return kit
  }
  const store = (kit: BlobStoreKit, data: Buffer) => kit.blobs.write({ data, collection: '_objects' })

  test('come back whole and in parts, whatever their length', async () => {
    const { blobs } = await start()
    for (const length of [0, 1, 1000, 16_384, 70_000, MIB, 3 * MIB, 4 * MIB]) {
      const data = randomBytes(length)
      const id = await blobs.write({ data, collection: '_objects' })
      assert.ok((await blobs.read(id)).equals(data), `${length} bytes`)
      for (const [from, to] of [
        [0, length],
        [1, length - 1],
        [length >> 1, (length >> 1) + 10],
        [65_530, 65_550],
      ] as const) {
        if (from >= to || to > length) continue
        assert.ok((await collect(blobs.readRange(id, from, to))).equals(data.subarray(from, to)))
      }
    }
  })

  test('are the reader’s own: the next read does not change them', async () => {
    const kit = await start()
    const contents = Array.from({ length: 20 }, () => randomBytes(900))
    const ids = await Promise.all(contents.map((data) => store(kit, data)))
    const read = []
    for (const id of ids) read.push(await kit.blobs.read(id))
    for (const [at, data] of contents.entries()) assert.ok(read[at]!.equals(data))
    const [part] = [await collect(kit.blobs.readRange(ids[0]!, 10, 20))]
    await kit.blobs.read(ids[1]!)
    assert.ok(part!.equals(contents[0]!.subarray(10, 20)))
  })

  test('of many writers at once have ids of their own, and few questions go to the master', async () => {
    const kit = await start({ leaseCount: 64 })
    const contents = Array.from({ length: 500 }, (_, at) => Buffer.from(`blob ${at}`))
    const ids = await Promise.all(contents.map((data) => store(kit, data)))
    const keys = new Set(ids.map((id) => `${id.keyHigh} ${id.keyLow}`))
    assert.equal(keys.size, 500)
    assert.ok(new Set(ids.map((id) => id.cookie)).size > 490, 'each has a cookie of its own')
    assert.ok(kit.asked.length <= 10, `${kit.asked.length} questions`)
    for (const [at, id] of ids.entries()) assert.ok((await kit.blobs.read(id)).equals(contents[at]!))
  })

  test('that are removed are gone, but stay readable to who began before', async () => {
    const kit = await start()
    const data = randomBytes(2 * MIB)
    const ids = [await store(kit, Buffer.from('one')), await store(kit, data)]
    await kit.blobs.remove(ids)
    for (const id of ids) {
      await assert.rejects(async () => await kit.blobs.read(id), { code: 'not_found' })
      await assert.rejects(collect(kit.blobs.readRange(id, 0, 1)), { code: 'not_found' })
    }
    assert.equal((await kit.blobs.read(ids[0]!, { deleted: true })).toString(), 'one')
    const part = await collect(kit.blobs.readRange(ids[1]!, 100_000, 300_000, { deleted: true }))
    assert.ok(part.equals(data.subarray(100_000, 300_000)))
    await kit.blobs.remove(ids)
    await kit.blobs.remove([{ ...ids[0]!, keyLow: 77_777 }])
  })

  test('with another cookie are not there, and removing them removes nothing', async () => {
    const kit = await start()
    const id = await store(kit, Buffer.from('mine'))
    const guessed = { ...id, cookie: (id.cookie ^ 1) >>> 0 }
    await assert.rejects(async () => await kit.blobs.read(guessed), { code: 'not_found' })
    if (isLocal) await kit.blobs.remove([guessed])
    else await assert.rejects(kit.blobs.remove([guessed]))
    assert.equal((await kit.blobs.read(id)).toString(), 'mine')
  })

  test('go to another volume when theirs takes no more', async () => {
    const kit = await start({ leaseCount: 8 })
    const first = await store(kit, Buffer.from('1'))
    await kit.engine.keeper.setReadOnly(first.volumeId, true)
    kit.writable.splice(0, 2, first.volumeId === 1 ? 2 : 1)
    const second = await store(kit, Buffer.from('2'))
    assert.notEqual(second.volumeId, first.volumeId)
    await kit.engine.create(3, 0, '_objects')
    kit.writable.splice(0, 1, 3)
    await kit.engine.keeper.deleteVolume(second.volumeId)
    const third = await store(kit, Buffer.from('3'))
    assert.equal(third.volumeId, 3)
    assert.equal((await kit.blobs.read(first)).toString(), '1')
    await assert.rejects(kit.blobs.remove([first]), { code: 'read_only' })
  })

  test('wait for a master that still names a volume that has just been closed', async () => {
    const kit = await start({ leaseCount: 8 })
    const first = await store(kit, Buffer.from('1'))
    await kit.engine.keeper.setReadOnly(first.volumeId, true)
    kit.writable.splice(0, 2, first.volumeId)
    const open = first.volumeId === 1 ? 2 : 1
    const before = kit.asked.length
    const writing = store(kit, Buffer.from('2'))
    while (kit.asked.length < before + 2) await new Promise((resolve) => setImmediate(resolve))
    kit.writable.splice(0, 1, open)
    assert.equal((await writing).volumeId, open)
  })

  test('that nobody can take are refused, with the reason', async () => {
    const kit = await start()
    kit.writable.splice(0)
    await assert.rejects(store(kit, Buffer.from('x')), { code: 'no_writable_volume' })
  })

  test('that are damaged are an error, never other bytes', async () => {
    const kit = await start()
    for (const [length, at] of [
      [1000, 500],
      [3 * MIB, 100_000],
    ] as const) {
      const id = await store(kit, randomBytes(length))
      flipByte(kit, id, at)
      const failed = { code: isLocal || length < MIB ? 'corrupt' : /corrupt|io_error/ }
      await assert.rejects(async () => await kit.blobs.read(id), failed)
      await assert.rejects(collect(kit.blobs.readRange(id, at - 5, at + 5)), failed)
      if (length > MIB) assert.equal((await collect(kit.blobs.readRange(id, MIB, MIB + 10))).length, 10)
      await kit.blobs.remove([id])
    }
  })

  test('count as stored only when they are synced', async () => {
    let [isHeld, syncs] = [false, 0]
    let release: () => void = () => undefined
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const disk: Disk = {
      ...realDisk,
      async fdatasync(handle) {
        syncs++
        if (isHeld) await held
        await realDisk.fdatasync(handle)
      },
    }
    const kit = await start({ disk })
    const before = await store(kit, Buffer.from('warm'))
    isHeld = true
    let settled = 0
    const writes = [store(kit, Buffer.from('a')), store(kit, Buffer.from('b'))].map((write) =>
      write.finally(() => settled++),
    )
    const removal = kit.blobs.remove([before]).finally(() => settled++)
    const already = syncs
    while (syncs === already) await new Promise((resolve) => setTimeout(resolve, 5))
    assert.equal(settled, 0)
    isHeld = false
    release()
    await Promise.all([...writes, removal])
  })

  test('that cannot be synced go to another volume, unless their bytes are given back already', async () => {
    const paths = new Map<number, string>()
    let failing: 'none' | 'first' | 'all' = 'none'
    let first: string | undefined
    const disk: Disk = {
      ...realDisk,
      open(path, mode) {
        const handle = realDisk.open(path, mode)
        paths.set(handle, path)
        return handle
      },
      async fdatasync(handle) {
        const path = paths.get(handle)
        if (failing === 'first') first ??= path
        if (failing === 'all' || (first !== undefined && path === first))
          throw Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' })
        await realDisk.fdatasync(handle)
      },
    }
    const kit = await start({ disk, volumeIds: [1, 2, 3], leaseCount: 1 })
    failing = 'first'
    const id = await store(kit, Buffer.from('kept'))
    assert.equal(String(await kit.blobs.read(id)), 'kept')
    if (!isLocal) return
    failing = 'all'
    const data = Buffer.from('given back')
    const given = kit.blobs.write({ data, collection: '_objects', onWritten() {} })
    await assert.rejects(given, { code: 'not_synced' })
  })

  test('are listed, with their age, from where a search left off', async () => {
    if (!isLocal) return
    const kit = await start({ volumeIds: [1] })
    const startedMs = Date.now()
    const ids: BlobId[] = []
    for (let at = 0; at < 10; at++) ids.push(await store(kit, Buffer.alloc(at)))
    await kit.blobs.remove(ids.slice(0, 2))
    const [volume] = await kit.blobs.volumes()
    assert.deepEqual(volume, { volumeId: 1, collection: '_objects', entries: 12, revision: 0 })
    const listed: ListedBlob[] = []
    for await (const batch of kit.blobs.list(1, 5)) listed.push(...batch)
    assert.deepEqual(
      listed.map(({ id, sizeBytes }) => [id, sizeBytes]),
      ids.slice(5).map((id, at) => [id, at + 5]),
    )
    for (const { appendedMs } of listed) assert.ok(appendedMs >= startedMs - 1 && appendedMs <= Date.now())
    const all: ListedBlob[] = []
    for await (const batch of kit.blobs.list(1, 0)) all.push(...batch)
    assert.equal(all.length, 8)
    const later = kit.blobs.list(1, 0)[Symbol.asyncIterator]()
    await later.next()
    await kit.engine.keeper.compactVolume(1, 0)
    await assert.rejects(later.next(), { code: 'conflict' })
  })

  test('of a volume that no server has are unavailable, not gone', async () => {
    const kit = await start()
    const id = await store(kit, Buffer.from('x'))
    kit.locations.splice(0)
    const lost = { ...id, volumeId: 99 }
    await assert.rejects(async () => await kit.blobs.read(lost), { code: 'unavailable' })
    await assert.rejects(kit.blobs.remove([lost]), { code: 'unavailable' })
  })

  if (isLocal) return

  test('need neither password nor token between servers, and nobody else comes in', async () => {
    const kit = await start({
      server: { basicAuth: new BasicAuth('ada:secret'), jwt: { readKey: 'r', writeKey: 'w' } },
    })
    const data = Buffer.from('text that would shrink, '.repeat(100))
    const id = await store(kit, data)
    assert.ok((await kit.blobs.read(id)).equals(data))
    const needle = await kit.engine.volume(id.volumeId).read(id)
    assert.deepEqual([needle!.gzipped, needle!.name, needle!.mime], [false, undefined, undefined])
    const url = `http://${kit.locations[0]!.url}/${id.volumeId},ff00000000?type=blob`
    assert.equal((await fetch(url, { method: 'PUT', body: 'x' })).status, 401)
    await kit.blobs.remove([id])
    await assert.rejects(async () => await kit.blobs.read(id), { code: 'not_found' })
  })
}

/** Changes a byte of the blob's data in the file. */
function flipByte(kit: BlobStoreKit, id: BlobId, at: number): void {
  const { index, slot } = kit.engine.volume(id.volumeId)
  assert.ok(index.get(id.keyHigh, id.keyLow))
  const place = index.offsetUnits * 8 + 20 + at
  const directory = kit.engine.context.directories[slot.get(WORD.directory)]
  const file = openSync(`${directory}/_objects_${id.volumeId}.dat`, 'r+')
  const byte = Buffer.alloc(1)
  readSync(file, byte, 0, 1, place)
  byte[0]! ^= 0x10
  writeSync(file, byte, 0, 1, place)
  closeSync(file)
}
