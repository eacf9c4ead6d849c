/** The simulated disk keeps its own promises: what is synced survives, what is not may be lost, torn or reordered. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomOf } from '../support/seeds.ts'
import { SimDisk } from './sim-disk.ts'

const B = (text: string) => Buffer.from(text)
const SEEDS = 200

function withFile(): { disk: SimDisk; handle: number } {
  const disk = new SimDisk()
  disk.putDirectory('/d')
  const handle = disk.open('/d/a', 'wx+')
  disk.syncDirectorySync('/d')
  return { disk, handle }
}

function write(disk: SimDisk, handle: number, bytes: Buffer, position: number): void {
  disk.writeSync(handle, bytes, 0, bytes.length, position)
}

test('reads see writes at once, across pages and holes', () => {
  const { disk, handle } = withFile()
  const random = randomOf(7)
  const model = Buffer.alloc(60_000)
  let size = 0
  for (let i = 0; i < 500; i++) {
    const [position, bytes] = [random.below(50_000), random.bytes(random.below(9_000))]
    if (i % 17 === 0) {
      disk.truncateSync(handle, position)
      model.fill(0, position)
      size = position
      continue
    }
    write(disk, handle, bytes, position)
    bytes.copy(model, position)
    if (bytes.length > 0) size = Math.max(size, position + bytes.length)
    assert.equal(disk.sizeSync(handle), size)
  }
  assert.ok(disk.contents('/d/a').equals(model.subarray(0, size)))
  assert.ok(disk.copy().contents('/d/a').equals(model.subarray(0, size)))
})

test('synced bytes and names survive every crash', () => {
  const { disk, handle } = withFile()
  write(disk, handle, Buffer.alloc(3000, 'x'), 0)
  disk.fdatasyncSync(handle)
  write(disk, handle, Buffer.alloc(3000, 'y'), 3000)
  const seen = new Set<string>()
  for (let seed = 1; seed <= SEEDS; seed++) {
    const bytes = disk.crash(randomOf(seed)).contents('/d/a')
    assert.equal(bytes.subarray(0, 3000).toString(), 'x'.repeat(3000))
    assert.match(bytes.subarray(3000).toString('latin1'), /^[y\0]*$/)
    seen.add(bytes.toString('latin1'))
  }
  assert.ok(seen.size > 10, `${seen.size} states`)
  assert.ok(seen.has('x'.repeat(3000)))
  assert.ok(seen.has(`${'x'.repeat(3000)}${'y'.repeat(3000)}`))
})

test('unsynced writes are reordered, but a sector that has a later write has the earlier too', () => {
  const { disk, handle } = withFile()
  for (let i = 0; i < 8; i++) write(disk, handle, Buffer.alloc(300, 65 + i), i * 300)
  let reordered = 0
  for (let seed = 1; seed <= SEEDS; seed++) {
    const bytes = disk.crash(randomOf(seed), { tearBytes: false }).contents('/d/a')
    const text = bytes.toString('latin1')
    if (/\0[A-H]/.test(text)) reordered++
    for (let sector = 0; sector * 512 < bytes.length; sector++) {
      const piece = text.slice(sector * 512, (sector + 1) * 512)
      assert.match(piece, /^(\0*|[A-H]+\0*)$/, `sector ${sector} of seed ${seed}`)
    }
  }
  assert.ok(reordered > 10, `${reordered} reordered`)
})

test('names are durable only after the sync of their directory, in order', () => {
  const states = new Set<string>()
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { disk, handle } = withFile()
    write(disk, handle, B('1'), 0)
    disk.fdatasyncSync(handle)
    disk.renameSync('/d/a', '/d/b')
    disk.open('/d/c', 'wx+')
    disk.removeSync('/d/b')
    states.add(disk.crash(randomOf(seed)).list('/d').sort().join())
    disk.syncDirectorySync('/d')
    assert.deepEqual(disk.crash(randomOf(seed)).list('/d'), ['c'])
  }
  assert.deepEqual([...states].sort(), ['a', 'b', 'b,c', 'c'])
})

test('a truncation is undone or kept', () => {
  const { disk, handle } = withFile()
  write(disk, handle, Buffer.alloc(1000, 'x'), 0)
  disk.fdatasyncSync(handle)
  disk.truncateSync(handle, 400)
  write(disk, handle, B('yy'), 400)
  const states = new Set<string>()
  for (let seed = 1; seed <= SEEDS; seed++) {
    const text = disk.crash(randomOf(seed), { tearBytes: false }).contents('/d/a').toString('latin1')
    states.add(`${text.length} ${text.slice(398, 404)}`)
  }
  assert.ok(states.has('1000 xxxxxx'))
  assert.ok(states.has('400 xx'))
  assert.ok(states.has('402 xxyy'))
  assert.ok(!states.has('1000 xxyyxx'), 'a sector written after the truncation has its zeros')
})

test('the Nth call fails, alone or from then on', () => {
  const { disk, handle } = withFile()
  disk.failCall(2, 'EIO', { kinds: ['write'] })
  write(disk, handle, B('a'), 0)
  assert.throws(() => write(disk, handle, B('b'), 1), { code: 'EIO' })
  write(disk, handle, B('c'), 1)
  disk.failCall(1, 'ENOSPC', { kinds: ['truncate'], forever: true })
  for (let i = 0; i < 3; i++) assert.throws(() => disk.truncateSync(handle, 0), { code: 'ENOSPC' })
  disk.heal()
  disk.truncateSync(handle, 1)
  assert.equal(disk.contents('/d/a').toString(), 'a')
  assert.ok(disk.log.some((call) => call.kind === 'write' && call.failed === 'EIO'))
})

test('a short write leaves a part', () => {
  const lengths = new Set<number>()
  for (let seed = 1; seed < 50; seed++) {
    const disk = new SimDisk(seed)
    const handle = disk.open('/a', 'wx+')
    disk.failCall(1, 'short', { kinds: ['write'] })
    assert.throws(() => write(disk, handle, B('12345678'), 0), { code: 'ENOSPC' })
    lengths.add(disk.sizeSync(handle))
  }
  assert.ok(lengths.size > 5)
})

test('a failed sync drops pages: a later sync does not bring them back, writing the page again does', () => {
  for (const evict of [false, true]) {
    const { disk, handle } = withFile()
    write(disk, handle, Buffer.alloc(8192, 'o'), 0)
    disk.fdatasyncSync(handle)
    write(disk, handle, Buffer.alloc(8192, 'n'), 0)
    disk.failCall(1, { code: 'EIO', evict }, { kinds: ['sync'] })
    assert.throws(() => disk.fdatasyncSync(handle), { code: 'EIO' })
    assert.equal(disk.contents('/d/a').toString('latin1', 0, 1), evict ? 'o' : 'n')
    write(disk, handle, B('z'), 8000)
    disk.fdatasyncSync(handle)
    const bytes = disk.crash(randomOf(1), { style: 'all' }).contents('/d/a').toString('latin1')
    assert.equal(bytes.slice(0, 4096), 'o'.repeat(4096))
    assert.equal(bytes.slice(8000, 8002), 'zn')
  }
})

test('held calls end in the order of the test, and a sync covers only what had returned before it', async () => {
  const { disk, handle } = withFile()
  disk.hold()
  const order: string[] = []
  const first = disk.write(handle, B('1'), 0, 1, 0).then(() => order.push('first'))
  const sync = disk.fdatasync(handle).then(() => order.push('sync'))
  const second = disk.write(handle, B('2'), 0, 1, 512).then(() => order.push('second'))
  assert.deepEqual(
    disk.held.map((call) => call.kind),
    ['write', 'sync', 'write'],
  )
  disk.release(2)
  await second
  disk.release(0)
  await first
  disk.release(0)
  await sync
  assert.deepEqual(order, ['second', 'first', 'sync'])
  assert.equal(disk.crash(randomOf(1), { style: 'none' }).contents('/d/a').length, 0)
  disk.unhold()
  await disk.fdatasync(handle)
  assert.equal(disk.crash(randomOf(1), { style: 'none' }).contents('/d/a').length, 513)
})

test('a write in flight may be on the disk after a crash', () => {
  const { disk, handle } = withFile()
  disk.hold()
  void disk.write(handle, Buffer.alloc(2048, 'w'), 0, 2048, 0)
  assert.equal(disk.sizeSync(handle), 0)
  const sizes = new Set<number>()
  for (let seed = 1; seed <= SEEDS; seed++) sizes.add(disk.crash(randomOf(seed)).contents('/d/a').length)
  assert.ok(sizes.has(0) && sizes.has(2048) && sizes.size > 4)
})

test('after a kill all that returned is visible, and a power loss may still take it', () => {
  const { disk, handle } = withFile()
  write(disk, handle, B('durable'), 0)
  disk.fdatasyncSync(handle)
  write(disk, handle, B('visible'), 512)
  disk.hold()
  void disk.write(handle, B('lost'), 0, 4, 1024)
  disk.renameSync('/d/a', '/d/b')
  const after = disk.kill()
  assert.equal(after.contents('/d/b').length, 519)
  assert.deepEqual(after.list('/d'), ['b'])
  const names = new Set<string>()
  for (let seed = 1; seed <= SEEDS; seed++) {
    const gone = after.crash(randomOf(seed))
    const [name] = gone.list('/d')
    names.add(`${name} ${gone.contents(`/d/${name}`).length}`)
  }
  assert.ok(names.has('a 7') && names.has('b 519'))
  after.syncDirectorySync('/d')
  assert.deepEqual(after.crash(randomOf(1)).list('/d'), ['b'])
})

test('a buffer changed while it is written is reported', async () => {
  const { disk, handle } = withFile()
  const bytes = B('stable')
  const done = disk.write(handle, bytes, 0, bytes.length, 0)
  bytes[0] = 0
  await assert.rejects(done, /was changed/)
})

test('a full disk answers ENOSPC and says so in space()', () => {
  const { disk, handle } = withFile()
  disk.capacityBytes = 3 * 4096
  write(disk, handle, Buffer.alloc(8192), 0)
  assert.deepEqual(disk.space('/d'), { totalBytes: 12_288, freeBytes: 4096 })
  assert.throws(() => write(disk, handle, Buffer.alloc(8192), 8192), { code: 'ENOSPC' })
  write(disk, handle, Buffer.alloc(10), 0)
  disk.removeSync('/d/a')
  assert.ok(disk.space('/d').freeBytes <= 4096, 'an open file keeps its bytes')
  disk.close(handle)
  assert.equal(disk.space('/d').freeBytes, 12_288)
})

test('wrong use is an error: missing files, closed handles, writes to read-only handles', () => {
  const { disk, handle } = withFile()
  assert.throws(() => disk.open('/d/none', 'r'), { code: 'ENOENT' })
  assert.throws(() => disk.open('/none/a', 'wx+'), { code: 'ENOENT' })
  assert.throws(() => disk.open('/d/a', 'wx+'), { code: 'EEXIST' })
  const reader = disk.open('/d/a', 'r')
  assert.throws(() => write(disk, reader, B('x'), 0), { code: 'EBADF' })
  disk.close(handle)
  assert.throws(() => disk.sizeSync(handle), { code: 'EBADF' })
})

test('the same seed gives the same crash', () => {
  const run = () => {
    const { disk, handle } = withFile()
    for (let i = 0; i < 20; i++) write(disk, handle, Buffer.alloc(700, 65 + i), i * 700)
    return disk.crash(randomOf(42)).contents('/d/a')
  }
  assert.ok(run().equals(run()))
})
